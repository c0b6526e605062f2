// Package remote holds the resources that live on a host reached by SSH.
package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"golang.org/x/crypto/ssh"

	"hockey-delivery/tools/pulumi/plugins/command/output"
)

// Command runs a command on a remote host at every step of its life for which one is given.
type Command struct{}

// CommandInputs are the inputs of Command.
type CommandInputs struct {
	Triggers *[]any  `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Create   *string `pulumi:"create,optional"`
	Update   *string `pulumi:"update,optional"`
	Delete   *string `pulumi:"delete,optional"`

	Stdin                  *string           `pulumi:"stdin,optional"`
	Logging                *output.Logging   `pulumi:"logging,optional"`
	Connection             *Connection       `pulumi:"connection" provider:"secret"`
	Environment            map[string]string `pulumi:"environment,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
}

// CommandOutputs are the outputs of Command.
type CommandOutputs struct {
	CommandInputs
	output.Streams
}

// Create runs `create`, if there is one.
func (*Command) Create(
	ctx context.Context, req infer.CreateRequest[CommandInputs],
) (infer.CreateResponse[CommandOutputs], error) {
	state := CommandOutputs{CommandInputs: req.Inputs}
	id, err := resource.NewUniqueHex(req.Name, 8, 0)
	if err == nil && !req.DryRun && state.Create != nil {
		err = state.run(ctx, *state.Create)
	}
	return infer.CreateResponse[CommandOutputs]{ID: id, Output: state}, err
}

// Update runs `update`, or where there is none, `create`.
func (*Command) Update(
	ctx context.Context, req infer.UpdateRequest[CommandInputs, CommandOutputs],
) (infer.UpdateResponse[CommandOutputs], error) {
	state := CommandOutputs{CommandInputs: req.Inputs, Streams: req.State.Streams}
	command := req.Inputs.Update
	if command == nil {
		command = req.Inputs.Create
	}
	var err error
	if !req.DryRun && command != nil {
		err = state.run(ctx, *command)
	}
	return infer.UpdateResponse[CommandOutputs]{Output: state}, err
}

// Delete runs `delete`, if there is one.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[CommandOutputs]) (infer.DeleteResponse, error) {
	if req.State.Delete == nil {
		return infer.DeleteResponse{}, nil
	}
	return infer.DeleteResponse{}, req.State.run(ctx, *req.State.Delete)
}

// run executes one command on the host and keeps what it prints in the state.
func (c *CommandOutputs) run(ctx context.Context, command string) error {
	client, err := c.Connection.Dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // the session is over
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close() //nolint:errcheck // the command has ended

	if err := c.setEnvironment(ctx, session); err != nil {
		return err
	}
	if c.Stdin != nil && *c.Stdin != "" {
		session.Stdin = strings.NewReader(*c.Stdin)
	}
	capture := output.NewCapture(ctx, c.Logging)
	session.Stdout, session.Stderr = capture.Stdout, capture.Stderr

	stop := context.AfterFunc(ctx, func() { interrupt(client, session) })
	err = session.Run(command)
	stop()
	streams, all := capture.Close()
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, command, all)
	}
	c.Streams = streams
	return nil
}

// interrupt asks the command to end, and hangs up on one that does not.
func interrupt(client *ssh.Client, session *ssh.Session) {
	_ = session.Signal(ssh.SIGTERM)
	time.AfterFunc(2*time.Second, func() { _ = client.Close() })
}

// setEnvironment passes the variables on through SSH. A server takes only those that its AcceptEnv names: the user's own
// are required, those with the previous output are not.
func (c *CommandOutputs) setEnvironment(ctx context.Context, session *ssh.Session) error {
	const refused = `Unable to set '%s'. This only works if your SSH server is configured to accept
	these variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could
	prefix the command itself with the variables in the form 'VAR=value command'`
	for name, value := range c.Environment {
		if err := session.Setenv(name, value); err != nil {
			p.GetLogger(ctx).Errorf(refused, name)
			return fmt.Errorf("could not set environment variable %q: %w", name, err)
		}
	}
	if c.AddPreviousOutputInEnv != nil && !*c.AddPreviousOutputInEnv {
		return nil
	}
	for name, value := range map[string]string{output.PreviousStdout: c.Stdout, output.PreviousStderr: c.Stderr} {
		if value != "" && session.Setenv(name, value) != nil {
			p.GetLogger(ctx).Warningf(refused, name)
		}
	}
	return nil
}
