// pulumi-language-nodejs is the Node.js language host, for machines where Pulumi's own cannot be downloaded. Like the
// real one it runs every program in a Node process of its own, through the SDK's cmd/run: errors, exit codes and output
// are therefore the SDK's. It installs nothing and runs no plugins written in Node.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/shlex"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	// alreadyReported is the exit status by which cmd/run says that the user has been told what is wrong.
	alreadyReported = 32
	// endDelay is how long an interrupted program may take to end.
	endDelay = 5 * time.Second
	// unlimited is the size of a message, for programs with large configurations.
	unlimited = 1 << 30
)

type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	engine   string
	programs sync.WaitGroup
	alive    context.Context // of all programs
	end      context.CancelFunc
}

func main() {
	if err := serve(os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(engine string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := &host{engine: engine}
	h.alive, h.end = context.WithCancel(context.Background())
	go h.exitWithParent()
	server := grpc.NewServer(grpc.MaxRecvMsgSize(unlimited), grpc.MaxSendMsgSize(unlimited))
	pulumirpc.RegisterLanguageRuntimeServer(server, h)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return server.Serve(listener)
}

// exitWithParent ends the programs of a command line that was killed: they would go on forever, and busily.
func (h *host) exitWithParent() {
	for parent := os.Getppid(); os.Getppid() == parent; {
		time.Sleep(time.Second)
	}
	h.end()
	h.programs.Wait()
	os.Exit(1)
}

func (h *host) Handshake(
	_ context.Context, req *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	h.engine = req.GetEngineAddress()
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (*host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{}, nil
}

// GetRequiredPackages announces none: the engine looks a plugin up when a resource first asks for it.
func (*host) GetRequiredPackages(
	context.Context, *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

func (*host) About(ctx context.Context, _ *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	version, err := exec.CommandContext(ctx, node, "--version").Output()
	return &pulumirpc.AboutResponse{Executable: node, Version: strings.Trim(string(version), "v\n")}, err
}

func (h *host) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	h.end()
	return &emptypb.Empty{}, nil
}

func (h *host) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.alive, cancel)()

	program, err := h.program(ctx, req)
	if err == nil {
		h.programs.Add(1)
		defer h.programs.Done()
		err = program.Run()
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case errors.As(err, &exit) && exit.ExitCode() == alreadyReported:
		return &pulumirpc.RunResponse{Bail: true}, nil
	case errors.As(err, &exit) && exit.Exited():
		err = fmt.Errorf("Program exited with non-zero exit code: %d", exit.ExitCode()) //nolint:staticcheck // as the real one
	}
	return &pulumirpc.RunResponse{Error: err.Error()}, nil
}

// program is the Node process that runs the program of one request.
func (h *host) program(ctx context.Context, req *pulumirpc.RunRequest) (*exec.Cmd, error) {
	info := req.GetInfo()
	options := info.GetOptions().AsMap()
	run, err := cmdRun(info.GetProgramDirectory())
	if err != nil {
		return nil, err
	}
	nodeArgs, _ := options["nodeargs"].(string)
	args, err := shlex.Split(nodeArgs)
	if err != nil {
		return nil, fmt.Errorf("Pulumi.yaml: runtime.options.nodeargs: %w", err)
	}
	args = append(args, run)
	for _, flag := range [][2]string{
		{"monitor", req.GetMonitorAddress()},
		{"engine", h.engine},
		{"organization", req.GetOrganization()},
		{"project", req.GetProject()},
		{"root-directory", info.GetRootDirectory()},
		{"stack", req.GetStack()},
		{"pwd", info.GetProgramDirectory()},
		{"parallel", strconv.Itoa(int(req.GetParallel()))},
	} {
		if flag[1] != "" {
			args = append(args, "--"+flag[0], flag[1])
		}
	}
	if req.GetDryRun() {
		args = append(args, "--dry-run")
	}
	args = append(append(args, info.GetEntryPoint()), req.GetArgs()...)

	config, err := json.Marshal(req.GetConfig())
	if err != nil {
		return nil, err
	}
	secretKeys, err := json.Marshal(append([]string{}, req.GetConfigSecretKeys()...))
	if err != nil {
		return nil, err
	}
	program := exec.CommandContext(ctx, "node", args...)
	program.Stdout, program.Stderr = os.Stdout, os.Stderr
	program.Cancel = func() error { return program.Process.Signal(os.Interrupt) }
	program.WaitDelay = endDelay
	program.Env = append(os.Environ(),
		"PULUMI_CONFIG="+string(config), "PULUMI_CONFIG_SECRET_KEYS="+string(secretKeys))
	if typescript, ok := options["typescript"].(bool); !ok || typescript {
		program.Env = append(program.Env, "PULUMI_NODEJS_TYPESCRIPT=true")
	}
	if tsconfig, ok := options["tsconfig"].(string); ok {
		program.Env = append(program.Env, "PULUMI_NODEJS_TSCONFIG_PATH="+tsconfig)
	}
	return program, nil
}

// cmdRun finds the SDK's runner as Node would: in the node_modules of the program's directory or of one above.
func cmdRun(programDirectory string) (string, error) {
	for dir := programDirectory; ; dir = filepath.Dir(dir) {
		run := filepath.Join(dir, "node_modules", "@pulumi", "pulumi", "cmd", "run", "index.js")
		if _, err := os.Stat(run); err == nil {
			return run, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("@pulumi/pulumi is not installed in %s: run scripts/bootstrap or npm ci", programDirectory)
		}
	}
}
