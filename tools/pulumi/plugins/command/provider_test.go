package command_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blang/semver"
	sshserver "github.com/gliderlabs/ssh"
	"github.com/pkg/sftp"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/integration"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/asset"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"golang.org/x/crypto/ssh"

	"hockey-delivery/tools/pulumi/plugins/command"
)

const (
	remoteCommand = "urn:pulumi:stack::project::command:remote:Command::name"
	copyToRemote  = "urn:pulumi:stack::project::command:remote:CopyToRemote::name"
	localCommand  = "urn:pulumi:stack::project::command:local:Command::name"
)

// host is a real SSH server on loopback that runs what it is told in a shell, and accepts one key.
type host struct {
	address   *net.TCPAddr
	clientKey string   // PEM
	hostKeys  []string // of several kinds, as servers have them
}

func newKey(t *testing.T) (signer ssh.Signer, private string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	signer, err = ssh.NewSignerFromKey(key)
	check(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	check(t, err)
	return signer, string(pem.EncodeToMemory(block))
}

func hostSigners(t *testing.T) []ssh.Signer {
	t.Helper()
	edwards, _ := newKey(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	curveSigner, err := ssh.NewSignerFromKey(curve)
	check(t, err)
	prime, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	primeSigner, err := ssh.NewSignerFromKey(prime)
	check(t, err)
	return []ssh.Signer{edwards, curveSigner, primeSigner}
}

func startHost(t *testing.T) *host {
	t.Helper()
	client, private := newKey(t)
	server := &sshserver.Server{
		Handler: func(s sshserver.Session) {
			shell := exec.Command("/bin/sh", "-c", s.RawCommand())
			shell.Env = append(os.Environ(), s.Environ()...)
			shell.Stdin, shell.Stdout, shell.Stderr = s, s, s.Stderr()
			if err := shell.Start(); err != nil {
				_ = s.Exit(255)
				return
			}
			signals := make(chan sshserver.Signal, 1)
			s.Signals(signals)
			go func() {
				if _, ok := <-signals; ok {
					_ = shell.Process.Kill()
				}
			}()
			var exit *exec.ExitError
			if err := shell.Wait(); errors.As(err, &exit) {
				_ = s.Exit(exit.ExitCode())
			}
		},
		SubsystemHandlers: map[string]sshserver.SubsystemHandler{"sftp": func(s sshserver.Session) {
			if server, err := sftp.NewServer(s); err == nil {
				_ = server.Serve()
			}
		}},
		PublicKeyHandler: func(_ sshserver.Context, key sshserver.PublicKey) bool {
			return sshserver.KeysEqual(key, client.PublicKey())
		},
		LocalPortForwardingCallback: func(sshserver.Context, string, uint32) bool { return true },
		ChannelHandlers: map[string]sshserver.ChannelHandler{
			"session": sshserver.DefaultSessionHandler, "direct-tcpip": sshserver.DirectTCPIPHandler,
		},
	}
	h := &host{clientKey: private}
	for _, signer := range hostSigners(t) {
		server.AddHostKey(signer)
		h.hostKeys = append(h.hostKeys, string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	h.address = listener.Addr().(*net.TCPAddr)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return h
}

// connection to the host, with changes over it; nil takes a property away.
func (h *host) connection(changes map[string]any) map[string]any {
	return merge(map[string]any{
		"host": "127.0.0.1", "port": float64(h.address.Port), "user": "deploy",
		"privateKey": h.clientKey, "hostKey": h.hostKeys[0], "dialErrorLimit": 0.0,
	}, changes)
}

func merge(base, changes map[string]any) map[string]any {
	for name, value := range changes {
		if value == nil {
			delete(base, name)
		} else {
			base[name] = value
		}
	}
	return base
}

// life drives one resource through the provider as the engine would.
type life struct {
	t      *testing.T
	server integration.Server
	urn    resource.URN
	inputs property.Map
	state  property.Map
	id     string
}

func newLife(t *testing.T, urn resource.URN) *life {
	t.Helper()
	t.Setenv("SSH_AUTH_SOCK", "")
	provider, err := command.NewProvider()
	check(t, err)
	server, err := integration.NewServer(t.Context(), "command", semver.MustParse("1.2.1"),
		integration.WithProvider(provider))
	check(t, err)
	return &life{t: t, server: server, urn: urn}
}

func (l *life) check(inputs map[string]any) property.Map {
	l.t.Helper()
	response, err := l.server.Check(p.CheckRequest{Urn: l.urn, Inputs: propertyMap(inputs)})
	check(l.t, err)
	for _, failure := range response.Failures {
		l.t.Fatalf("%s: %s", failure.Property, failure.Reason)
	}
	return response.Inputs
}

func (l *life) create(inputs map[string]any) error {
	l.t.Helper()
	l.inputs = l.check(inputs)
	response, err := l.server.Create(p.CreateRequest{Urn: l.urn, Properties: l.inputs})
	if err == nil {
		l.state, l.id = response.Properties, response.ID
	}
	return err
}

func (l *life) diff(inputs map[string]any) p.DiffResponse {
	l.t.Helper()
	response, err := l.server.Diff(p.DiffRequest{
		Urn: l.urn, ID: l.id, State: l.state, OldInputs: l.inputs, Inputs: l.check(inputs),
	})
	check(l.t, err)
	return response
}

func (l *life) update(inputs map[string]any, dryRun bool) (property.Map, error) {
	l.t.Helper()
	response, err := l.server.Update(p.UpdateRequest{
		Urn: l.urn, ID: l.id, State: l.state, OldInputs: l.inputs, Inputs: l.check(inputs), DryRun: dryRun,
	})
	if err == nil && !dryRun {
		l.inputs, l.state = l.check(inputs), response.Properties
	}
	return response.Properties, err
}

func (l *life) delete() error {
	return l.server.Delete(p.DeleteRequest{Urn: l.urn, ID: l.id, Properties: l.state})
}

func (l *life) output(name string) string { return l.state.Get(name).AsString() }

func propertyMap(values map[string]any) property.Map {
	return resource.FromResourcePropertyValue(
		resource.NewProperty(resource.NewPropertyMapFromMap(values))).AsMap()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %q, not %q", what, got, want)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, wanted one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in the error %q", part, err)
		}
	}
}

func TestLifeOfARemoteCommand(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	file := filepath.Join(t.TempDir(), "file")
	inputs := func(changes map[string]any) map[string]any {
		return merge(map[string]any{
			"connection": h.connection(nil), "stdin": "given",
			"create": "cat >" + file + "; echo out; echo err >&2",
			"update": "cat; cat " + file, "delete": "rm " + file,
		}, changes)
	}
	check(t, l.create(inputs(nil)))
	want(t, "stdout", l.output("stdout"), "out")
	want(t, "stderr", l.output("stderr"), "err")
	content, _ := os.ReadFile(file)
	want(t, "the file", string(content), "given")

	if diff := l.diff(inputs(nil)); diff.HasChanges {
		t.Errorf("unchanged inputs differ: %v", diff)
	}
	_, err := l.update(inputs(map[string]any{"stdin": "new-"}), false)
	check(t, err)
	want(t, "stdout after the update", l.output("stdout"), "new-given")
	want(t, "stderr after the update", l.output("stderr"), "")

	check(t, l.delete())
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("delete left the file: %v", err)
	}
}

func TestWithoutUpdateCreateRunsAgainAndWithoutDeleteNothing(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	check(t, l.create(map[string]any{"connection": h.connection(nil), "create": "echo 1"}))
	_, err := l.update(map[string]any{"connection": h.connection(nil), "create": "echo 2"}, false)
	check(t, err)
	want(t, "stdout", l.output("stdout"), "2")
	l.state = l.state.Set("connection", property.New(propertyMap(h.connection(map[string]any{"port": 1.0}))))
	check(t, l.delete()) // does not even connect
}

func TestWhatReplacesAndWhatUpdates(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	inputs := func(changes map[string]any) map[string]any {
		return merge(map[string]any{"connection": h.connection(nil), "create": "true", "update": "true"}, changes)
	}
	check(t, l.create(inputs(nil)))
	for name, value := range map[string]any{
		// A changed element of triggers replaces too, because the npm package says replaceOnChanges: triggers[*].
		"triggers": []any{"1"}, "create": "false", "update": "false", "delete": "true", "stdin": "x",
		"logging": "none", "environment": map[string]any{"A": "b"}, "addPreviousOutputInEnv": false,
		"connection": h.connection(map[string]any{"user": "other"}),
	} {
		diff := l.diff(inputs(map[string]any{name: value}))
		replaces := false
		for _, d := range diff.DetailedDiff {
			replaces = replaces || d.Kind == p.AddReplace || d.Kind == p.UpdateReplace || d.Kind == p.DeleteReplace
		}
		if !diff.HasChanges || replaces != (name == "triggers") {
			t.Errorf("a change of %s: %+v", name, diff)
		}
	}
}

func TestPreviewOfAnUpdateRunsNothingAndKnowsNoOutput(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	file := filepath.Join(t.TempDir(), "file")
	check(t, l.create(map[string]any{"connection": h.connection(nil), "create": "echo 1"}))
	preview, err := l.update(map[string]any{"connection": h.connection(nil), "create": "touch " + file}, true)
	check(t, err)
	if !preview.Get("stdout").IsComputed() || !preview.Get("stderr").IsComputed() {
		t.Errorf("the preview claims to know the output: %v", preview)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the preview ran the command")
	}
}

func TestTheConnectionIsSecretAndItsDefaultsAreSet(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	inputs := l.check(map[string]any{"connection": map[string]any{"host": "127.0.0.1"}, "create": "true"})
	connection := inputs.Get("connection")
	if !connection.Secret() {
		t.Error("the connection is not secret")
	}
	for name, value := range map[string]float64{"port": 22, "dialErrorLimit": 10, "perDialTimeout": 15} {
		if got := connection.AsMap().Get(name); !got.IsNumber() || got.AsNumber() != value {
			t.Errorf("%s is %v, not %v", name, got, value)
		}
	}
	want(t, "user", connection.AsMap().Get("user").AsString(), "root")
	if _, ok := inputs.GetOk("addPreviousOutputInEnv"); ok {
		t.Error("addPreviousOutputInEnv has a value, which @pulumi/command does not give it")
	}
	check(t, l.create(map[string]any{"connection": h.connection(nil), "create": "echo 1"}))
	if !l.state.Get("connection").Secret() || l.state.Get("stdout").Secret() {
		t.Errorf("secretness in the state is wrong: %v", l.state)
	}
}

func TestPasswordsAndKeysAreSecretsInsideTheConnection(t *testing.T) {
	source, err := asset.FromText("text")
	check(t, err)
	for urn, inputs := range map[resource.URN]map[string]any{
		remoteCommand: {"create": "true"},
		copyToRemote:  {"remotePath": "/file", "source": source},
	} {
		l := newLife(t, urn)
		connection := l.check(merge(inputs, map[string]any{"connection": login(login(nil))})).Get("connection")
		for at, fields := range map[string]property.Map{
			"connection": connection.AsMap(), "proxy": connection.AsMap().Get("proxy").AsMap(),
		} {
			for name, value := range fields.All {
				secret := name == "password" || name == "privateKey" || name == "privateKeyPassword"
				if value.Secret() != secret {
					t.Errorf("%s: %s.%s is secret: %t", urn.Type(), at, name, value.Secret())
				}
			}
		}
	}
}

func TestTheStateKeepsTheSecretsInsideTheConnection(t *testing.T) {
	l := newLife(t, remoteCommand)
	inputs := map[string]any{"connection": login(nil)}
	check(t, l.create(inputs)) // without a command: connects to nothing
	if !l.state.Get("connection").Equals(l.inputs.Get("connection")) {
		t.Errorf("the inputs hold %v, the state %v", l.inputs.Get("connection"), l.state.Get("connection"))
	}
	if diff := l.diff(inputs); diff.HasChanges {
		t.Errorf("unchanged inputs differ: %v", diff)
	}
}

func TestAConnectionFromAStateWithoutSecretsInsideIsTheSame(t *testing.T) {
	l := newLife(t, remoteCommand)
	check(t, l.create(map[string]any{"connection": login(login(nil))}))
	flat := property.New(propertyMap(login(login(nil)))).WithSecret(true)
	l.inputs, l.state = l.inputs.Set("connection", flat), l.state.Set("connection", flat)
	for name, value := range map[string]any{"": nil, "user": "other", "password": "other", "privateKey": nil} {
		connection := merge(login(login(nil)), map[string]any{name: value})
		if diff := l.diff(map[string]any{"connection": connection}); diff.HasChanges != (name != "") {
			t.Errorf("a change of %q: %+v", name, diff)
		}
	}
}

// login is a connection with every property that can be secret, and no default left to set; never dialed.
func login(proxy map[string]any) map[string]any {
	connection := map[string]any{
		"host": "192.0.2.1", "port": 22.0, "user": "deploy", "password": "a password", "privateKey": "a key",
		"privateKeyPassword": "its password", "dialErrorLimit": 0.0, "perDialTimeout": 15.0,
	}
	if proxy != nil {
		connection["proxy"] = proxy
	}
	return connection
}

func TestAFailingCommandSaysWhyAndLeavesNoResource(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	err := l.create(map[string]any{
		"connection": h.connection(nil), "create": "echo so far; echo no such thing >&2; exit 3",
	})
	wantError(t, err, "Process exited with status 3", "so far", "no such thing", `running "echo so far`)
	want(t, "the id", l.id, "")
}

func TestOnlyTheKnownServerIsTalkedTo(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	other, _ := newKey(t)
	try := func(hostKey any) error {
		return l.create(map[string]any{
			"connection": h.connection(map[string]any{"hostKey": hostKey}), "create": "true",
		})
	}
	wantError(t, try(string(ssh.MarshalAuthorizedKey(other.PublicKey()))), "host key mismatch")
	wantError(t, try("nonsense"), "failed to parse host key")
	check(t, try(nil))
	for _, known := range h.hostKeys {
		check(t, try(strings.TrimSpace(known)+" root@server"))
	}
}

func TestAWrongKeyIsRefusedAfterTheAllowedAttempts(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	_, wrong := newKey(t)
	started := time.Now()
	err := l.create(map[string]any{
		"connection": h.connection(map[string]any{"privateKey": wrong, "dialErrorLimit": 2.0}), "create": "true",
	})
	wantError(t, err, "after 2 failed attempts", "unable to authenticate")
	if waited := time.Since(started); waited > 5*time.Second {
		t.Errorf("giving up took %s", waited)
	}
}

func TestAnAgentThatHasEndedIsNeededOnlyWithoutAnotherWayIn(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	gone := filepath.Join(t.TempDir(), "gone")
	t.Setenv("SSH_AUTH_SOCK", gone)
	try := func(changes map[string]any) error {
		return l.create(map[string]any{"connection": h.connection(changes), "create": "true"})
	}
	check(t, try(nil))
	wantError(t, try(map[string]any{"privateKey": nil}), "dial unix "+gone)
	wantError(t, try(map[string]any{"agentSocketPath": gone}), "dial unix "+gone)
}

func TestAProxyLeadsToTheHost(t *testing.T) {
	h, proxy, l := startHost(t), startHost(t), newLife(t, remoteCommand)
	check(t, l.create(map[string]any{
		"connection": h.connection(map[string]any{"proxy": proxy.connection(nil)}),
		"create":     "echo there",
	}))
	want(t, "stdout", l.output("stdout"), "there")
	other, _ := newKey(t)
	wrong := proxy.connection(map[string]any{"hostKey": string(ssh.MarshalAuthorizedKey(other.PublicKey()))})
	err := l.create(map[string]any{
		"connection": h.connection(map[string]any{"proxy": wrong}), "create": "true",
	})
	wantError(t, err, "proxy:", "host key mismatch")
}

func TestTheEnvironmentAndThePreviousOutputArePassedOn(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	inputs := map[string]any{
		"connection": h.connection(nil), "environment": map[string]any{"NAME": "value"},
		"create": `echo "$NAME"; echo "$PULUMI_COMMAND_STDOUT" >&2`,
	}
	check(t, l.create(inputs))
	want(t, "stdout", l.output("stdout"), "value")
	want(t, "what create sees of the past", l.output("stderr"), "")
	_, err := l.update(inputs, false)
	check(t, err)
	want(t, "what update sees of the past", l.output("stderr"), "value")
	_, err = l.update(merge(inputs, map[string]any{"addPreviousOutputInEnv": false}), false)
	check(t, err)
	want(t, "what update sees when told not to look", l.output("stderr"), "")
}

func TestOnlyTheWantedStreamsAreShown(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	for logging, shown := range map[string][2]bool{
		"": {true, true}, "stdoutAndStderr": {true, true},
		"stdout": {true, false}, "stderr": {false, true}, "none": {false, false},
	} {
		log := captureLog(t)
		inputs := map[string]any{"connection": h.connection(nil), "create": "echo to-stdout; echo to-stderr >&2"}
		if logging != "" {
			inputs["logging"] = logging
		}
		check(t, l.create(inputs))
		if strings.Contains(log.String(), "to-stdout") != shown[0] ||
			strings.Contains(log.String(), "to-stderr") != shown[1] {
			t.Errorf("logging %q showed %q", logging, log)
		}
		want(t, "stdout", l.output("stdout"), "to-stdout")
		want(t, "stderr", l.output("stderr"), "to-stderr")
	}
}

func TestLongLinesDoNotHang(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	captureLog(t)
	check(t, l.create(map[string]any{
		"connection": h.connection(nil), "create": "head -c 300000 /dev/zero | tr '\\0' x",
	}))
	want(t, "the length of stdout", strconv.Itoa(len(l.output("stdout"))), "300000")
}

func TestCancelEndsTheRemoteCommand(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	started := filepath.Join(t.TempDir(), "started")
	ended := make(chan error, 1)
	inputs := map[string]any{
		"connection": h.connection(nil), "create": "touch " + started + "; exec sleep 60",
	}
	go func() { ended <- l.create(inputs) }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(started); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the command did not start")
		}
	}
	check(t, l.server.Cancel())
	select {
	case err := <-ended:
		wantError(t, err, "context canceled")
	case <-time.After(10 * time.Second):
		t.Fatal("the command goes on")
	}
}

func TestReadLooksAtNothing(t *testing.T) {
	h, l := startHost(t), newLife(t, remoteCommand)
	check(t, l.create(map[string]any{"connection": h.connection(nil), "create": "echo 1"}))
	response, err := l.server.Read(p.ReadRequest{Urn: l.urn, ID: l.id, Properties: l.state, Inputs: l.inputs})
	check(t, err)
	if !response.Properties.Equals(l.state) {
		t.Errorf("read changed the state to %v", response.Properties)
	}
}

func TestCopyToRemote(t *testing.T) {
	h, l := startHost(t), newLife(t, copyToRemote)
	local, there := t.TempDir(), t.TempDir()
	check(t, os.WriteFile(filepath.Join(local, "a"), []byte("content"), 0o600))
	copied := func(name, content string) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(there, name))
		check(t, err)
		want(t, name, string(got), content)
	}
	text := func(text string) map[string]any {
		value, err := asset.FromText(text)
		check(t, err)
		return map[string]any{
			"connection": h.connection(nil), "remotePath": filepath.Join(there, "new/text"), "source": value,
		}
	}
	check(t, l.create(text("one")))
	copied("new/text", "one")
	_, err := l.update(text("two"), false)
	check(t, err)
	copied("new/text", "two")

	file, err := asset.FromPath(filepath.Join(local, "a"))
	check(t, err)
	check(t, l.create(map[string]any{"connection": h.connection(nil), "remotePath": there, "source": file}))
	copied("a", "content")

	directory, err := resource.NewPathArchive(local + "/")
	check(t, err)
	check(t, l.create(map[string]any{
		"connection": h.connection(nil), "remotePath": filepath.Join(there, "tree"), "source": directory,
	}))
	copied("tree/a", "content")
}

func TestLocalCommand(t *testing.T) {
	l := newLife(t, localCommand)
	check(t, l.create(map[string]any{
		"create": `cat; echo "$NAME in $PWD" >&2`, "stdin": "in", "dir": "/",
		"environment": map[string]any{"NAME": "here"}, "logging": "none",
	}))
	want(t, "stdout", l.output("stdout"), "in")
	want(t, "stderr", l.output("stderr"), "here in /")
	wantError(t, l.create(map[string]any{"create": "echo why; exit 4", "logging": "none"}), "exit status 4", "why")
}

// captureLog collects what the provider shows to the user until the test ends.
func captureLog(t *testing.T) *safeBuffer {
	t.Helper()
	before, log := slog.Default(), &safeBuffer{}
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

type safeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}
