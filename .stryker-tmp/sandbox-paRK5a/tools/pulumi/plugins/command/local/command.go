// Package local holds the resource that runs commands on this machine.
package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"hockey-delivery/tools/pulumi/plugins/command/output"
)

// Command runs a command here at every step of its life for which one is given. Of @pulumi/command's it lacks
// assetPaths and archivePaths.
type Command struct{}

// CommandInputs are the inputs of Command.
type CommandInputs struct {
	Triggers *[]any  `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Create   *string `pulumi:"create,optional"`
	Update   *string `pulumi:"update,optional"`
	Delete   *string `pulumi:"delete,optional"`

	Interpreter            *[]string          `pulumi:"interpreter,optional"`
	Dir                    *string            `pulumi:"dir,optional"`
	Environment            *map[string]string `pulumi:"environment,optional"`
	Stdin                  *string            `pulumi:"stdin,optional"`
	Logging                *output.Logging    `pulumi:"logging,optional"`
	AddPreviousOutputInEnv *bool              `pulumi:"addPreviousOutputInEnv,optional"`
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

func (c *CommandOutputs) run(ctx context.Context, command string) error {
	args := []string{"/bin/sh", "-c"}
	if c.Interpreter != nil && len(*c.Interpreter) > 0 {
		args = append([]string{}, *c.Interpreter...)
	}
	args = append(args, command)

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	if c.Dir != nil {
		cmd.Dir = *c.Dir
	}
	cmd.Env = os.Environ()
	if c.Environment != nil {
		for name, value := range *c.Environment {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	if c.AddPreviousOutputInEnv == nil || *c.AddPreviousOutputInEnv {
		for name, value := range map[string]string{output.PreviousStdout: c.Stdout, output.PreviousStderr: c.Stderr} {
			if value != "" {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
		}
	}
	if c.Stdin != nil && *c.Stdin != "" {
		cmd.Stdin = strings.NewReader(*c.Stdin)
	}
	capture := output.NewCapture(ctx, c.Logging)
	cmd.Stdout, cmd.Stderr = capture.Stdout, capture.Stderr
	err := cmd.Run()
	streams, all := capture.Close()
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, command, all)
	}
	c.Streams = streams
	return nil
}
