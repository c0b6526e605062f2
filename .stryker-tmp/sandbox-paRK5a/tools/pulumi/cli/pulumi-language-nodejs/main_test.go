package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// newHost returns a host, and a request for a program whose SDK is a script: it gets what cmd/run would get.
func newHost(t *testing.T, script string) (*host, *pulumirpc.RunRequest) {
	t.Helper()
	project := t.TempDir()
	run := filepath.Join(project, "node_modules", "@pulumi", "pulumi", "cmd", "run")
	check(t, os.MkdirAll(run, 0o700))
	check(t, os.WriteFile(filepath.Join(run, "index.js"), []byte(script), 0o600))
	program := filepath.Join(project, "program")
	check(t, os.Mkdir(program, 0o700))
	options, err := structpb.NewStruct(map[string]any{"typescript": false, "nodeargs": "--title='a program'"})
	check(t, err)

	h := &host{engine: "engine:1"}
	h.alive, h.end = context.WithCancel(t.Context())
	return h, &pulumirpc.RunRequest{
		MonitorAddress: "monitor:1", Organization: "org", Project: "project", Stack: "stack", Parallel: 8, DryRun: true,
		Args: []string{"an argument"}, Config: map[string]string{"project:key": "value"},
		ConfigSecretKeys: []string{"project:key"},
		Info: &pulumirpc.ProgramInfo{
			RootDirectory: project, ProgramDirectory: program, EntryPoint: ".", Options: options,
		},
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, h *host, req *pulumirpc.RunRequest) *pulumirpc.RunResponse {
	t.Helper()
	response, err := h.Run(t.Context(), req)
	check(t, err)
	return response
}

func TestTheRunnerOfTheSdkGetsTheWholeRequest(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	t.Setenv("OUT", out)
	h, req := newHost(t, `
		const { PULUMI_CONFIG, PULUMI_CONFIG_SECRET_KEYS, PULUMI_NODEJS_TYPESCRIPT } = process.env;
		const env = { PULUMI_CONFIG, PULUMI_CONFIG_SECRET_KEYS, PULUMI_NODEJS_TYPESCRIPT };
		const got = [process.title, ...process.argv.slice(2), JSON.stringify(env)];
		require("node:fs").writeFileSync(process.env.OUT, JSON.stringify(got));`)
	if response := run(t, h, req); response.GetError() != "" {
		t.Fatal(response.GetError())
	}
	content, err := os.ReadFile(out)
	check(t, err)
	var got []string
	check(t, json.Unmarshal(content, &got))
	want := []string{
		"a program", "--monitor", "monitor:1", "--engine", "engine:1", "--organization", "org", "--project", "project",
		"--root-directory", req.GetInfo().GetRootDirectory(), "--stack", "stack",
		"--pwd", req.GetInfo().GetProgramDirectory(), "--parallel", "8", "--dry-run", ".", "an argument",
		`{"PULUMI_CONFIG":"{\"project:key\":\"value\"}","PULUMI_CONFIG_SECRET_KEYS":"[\"project:key\"]"}`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestHowAProgramEnds(t *testing.T) {
	for script, want := range map[string]struct {
		bail bool
		err  string
	}{
		`process.exitCode = 0`:                 {},
		`process.exitCode = 32`:                {bail: true},
		`process.exitCode = 3`:                 {err: "Program exited with non-zero exit code: 3"},
		`process.kill(process.pid, "SIGKILL")`: {err: "signal: killed"},
		`throw new Error("unhandled")`:         {err: "Program exited with non-zero exit code: 1"},
	} {
		h, req := newHost(t, script)
		if response := run(t, h, req); response.GetBail() != want.bail || response.GetError() != want.err {
			t.Errorf("%s: %v", script, response)
		}
	}
}

func TestCancelEndsTheProgram(t *testing.T) {
	h, req := newHost(t, `setTimeout(() => {}, 60_000)`)
	time.AfterFunc(200*time.Millisecond, func() { _, _ = h.Cancel(t.Context(), &emptypb.Empty{}) })
	started := time.Now()
	if response := run(t, h, req); response.GetError() == "" {
		t.Error("the engine is not told that the program was interrupted")
	}
	if took := time.Since(started); took > endDelay {
		t.Errorf("the program ended after %s", took)
	}
}

func TestAMissingSdkIsNamed(t *testing.T) {
	h, req := newHost(t, "")
	check(t, os.RemoveAll(filepath.Join(req.GetInfo().GetRootDirectory(), "node_modules")))
	if response := run(t, h, req); !strings.Contains(response.GetError(), "@pulumi/pulumi is not installed in") {
		t.Errorf("%v", response)
	}
}
