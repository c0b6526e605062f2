// Package output keeps what a command prints, and shows it while it runs as far as the user wants to see it.
package output

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
)

// Names of the environment variables in which a later run finds what an earlier one printed.
const (
	PreviousStdout = "PULUMI_COMMAND_STDOUT"
	PreviousStderr = "PULUMI_COMMAND_STDERR"
)

// Logging says which streams of a command are shown; unset means both. The outputs stdout and stderr do not depend
// on it.
type Logging string

// The values of @pulumi/command.
const (
	LogStdout          Logging = "stdout"
	LogStderr          Logging = "stderr"
	LogStdoutAndStderr Logging = "stdoutAndStderr"
	LogNone            Logging = "none"
)

// Values lists them for the schema.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: "stdout", Value: LogStdout, Description: "Capture stdout in logs but not stderr"},
		{Name: "stderr", Value: LogStderr, Description: "Capture stderr in logs but not stdout"},
		{Name: "stdoutAndStderr", Value: LogStdoutAndStderr, Description: "Capture stdout and stderr in logs"},
		{Name: "none", Value: LogNone, Description: "Capture no logs"},
	}
}

// Streams are the outputs that every command has.
type Streams struct {
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// Capture collects one run's output. Stdout and Stderr may be written from a goroutine each.
type Capture struct {
	Stdout, Stderr io.Writer

	stdout, stderr, both bytes.Buffer
	mu                   sync.Mutex
	shown                *io.PipeWriter
	done                 chan struct{}
}

// NewCapture starts collecting and showing. Close ends it.
func NewCapture(ctx context.Context, logging *Logging) *Capture {
	read, write := io.Pipe()
	c := &Capture{shown: write, done: make(chan struct{})}
	c.Stdout = c.writer(&c.stdout, logging, LogStdout)
	c.Stderr = c.writer(&c.stderr, logging, LogStderr)
	go func() {
		defer close(c.done)
		show(ctx, read)
	}()
	return c
}

func (c *Capture) writer(stream *bytes.Buffer, logging *Logging, only Logging) io.Writer {
	writers := []io.Writer{stream, lockedWriter{&c.mu, &c.both}}
	if logging == nil || *logging == only || *logging == LogStdoutAndStderr {
		writers = append(writers, c.shown)
	}
	return io.MultiWriter(writers...)
}

// Close waits until everything is shown, and returns both streams without their last newline, and all of it as it came.
func (c *Capture) Close() (streams Streams, all string) {
	_ = c.shown.Close()
	<-c.done
	return Streams{
		Stdout: strings.TrimSuffix(c.stdout.String(), "\n"),
		Stderr: strings.TrimSuffix(c.stderr.String(), "\n"),
	}, c.both.String()
}

// show passes r on line by line until its end. Lines may have any length: nothing stops reading before the end, or the
// command would wait for ever.
func show(ctx context.Context, r io.Reader) {
	logger := p.GetLogger(ctx)
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			logger.InfoStatus(strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			return
		}
	}
}

type lockedWriter struct {
	mu    *sync.Mutex
	inner io.Writer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inner.Write(p)
}
