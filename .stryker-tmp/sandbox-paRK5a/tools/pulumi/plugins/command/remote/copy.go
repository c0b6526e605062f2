package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pkg/sftp"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// CopyToRemote puts a file, a text or a directory on a remote host. It takes nothing away again.
type CopyToRemote struct{}

// CopyToRemoteInputs are the inputs of CopyToRemote.
type CopyToRemoteInputs struct {
	Connection *Connection          `pulumi:"connection" provider:"secret"`
	Triggers   *[]any               `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Source     types.AssetOrArchive `pulumi:"source"`
	RemotePath string               `pulumi:"remotePath"`
}

// CopyToRemoteOutputs are the outputs of CopyToRemote.
type CopyToRemoteOutputs struct{ CopyToRemoteInputs }

// Check refuses sources that are neither a local path nor a text.
func (*CopyToRemote) Check(
	ctx context.Context, req infer.CheckRequest,
) (infer.CheckResponse[CopyToRemoteInputs], error) {
	inputs, failures, err := infer.DefaultCheck[CopyToRemoteInputs](ctx, req.NewInputs)
	if err != nil {
		return infer.CheckResponse[CopyToRemoteInputs]{Inputs: inputs, Failures: failures}, err
	}
	fail := func(property, reason string) {
		failures = append(failures, p.CheckFailure{Property: property, Reason: reason})
	}
	asset, archive := inputs.Source.Asset, inputs.Source.Archive
	switch {
	case asset != nil && archive != nil:
		fail("asset", "only one of asset or archive can be set")
	case asset == nil && archive == nil:
		fail("asset", "either asset or archive must be set")
	case asset != nil && !asset.IsPath() && !asset.IsText():
		fail("asset", "asset must be a path-based file asset or a text asset")
	case archive != nil && !archive.IsPath():
		fail("archive", "archive must be a path to a file or directory")
	}
	return infer.CheckResponse[CopyToRemoteInputs]{Inputs: inputs, Failures: failures}, nil
}

// Create copies.
func (*CopyToRemote) Create(
	ctx context.Context, req infer.CreateRequest[CopyToRemoteInputs],
) (infer.CreateResponse[CopyToRemoteOutputs], error) {
	response := infer.CreateResponse[CopyToRemoteOutputs]{Output: CopyToRemoteOutputs{req.Inputs}}
	if req.DryRun {
		return response, nil
	}
	if err := req.Inputs.copy(ctx); err != nil {
		return response, err
	}
	id, err := resource.NewUniqueHex("", 8, 0)
	response.ID = id
	return response, err
}

// Update copies again where the content or the destination has changed.
func (*CopyToRemote) Update(
	ctx context.Context, req infer.UpdateRequest[CopyToRemoteInputs, CopyToRemoteOutputs],
) (infer.UpdateResponse[CopyToRemoteOutputs], error) {
	var err error
	changed := req.Inputs.hash() != req.State.hash() || req.Inputs.RemotePath != req.State.RemotePath
	if changed && !req.DryRun {
		err = req.Inputs.copy(ctx)
	}
	return infer.UpdateResponse[CopyToRemoteOutputs]{Output: CopyToRemoteOutputs{req.Inputs}}, err
}

func (c *CopyToRemoteInputs) hash() string {
	if c.Source.Archive != nil {
		return c.Source.Archive.Hash
	}
	return c.Source.Asset.Hash
}

func (c *CopyToRemoteInputs) copy(ctx context.Context) error {
	client, err := c.Connection.Dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // everything has been written
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	remote, err := sftp.NewClient(client, sftp.UseConcurrentWrites(true))
	if err != nil {
		return err
	}
	defer remote.Close() //nolint:errcheck // everything has been written

	if err := remote.MkdirAll(path.Dir(c.RemotePath)); err != nil {
		return fmt.Errorf("failed to create remote directory %s: %w", path.Dir(c.RemotePath), err)
	}
	if asset := c.Source.Asset; asset != nil && asset.IsText() {
		return copyText(remote, asset.Text, c.RemotePath)
	}
	source := ""
	if c.Source.Asset != nil {
		source = c.Source.Asset.Path
	} else {
		source = c.Source.Archive.Path
	}
	return copyPath(remote, source, c.RemotePath)
}

func copyText(remote *sftp.Client, text, to string) error {
	if info, err := stat(remote, to); err != nil {
		return err
	} else if info != nil && info.IsDir() {
		return fmt.Errorf("remote path %s is a directory; when using a text asset, remotePath must be a file path", to)
	}
	return write(remote, strings.NewReader(text), to)
}

// copyPath copies a file to `to`, or into it where it is a directory; and a directory into `to`, without its own name
// where the path ends with a slash.
func copyPath(remote *sftp.Client, from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	target, err := stat(remote, to)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if target != nil && target.IsDir() {
			to = path.Join(to, filepath.Base(from))
		}
		return copyFile(remote, from, to)
	}
	if err := mkdir(remote, to); err != nil {
		return err
	}
	if !strings.HasSuffix(from, "/") {
		to = path.Join(to, filepath.Base(from))
	}
	return filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		destination := path.Join(to, filepath.ToSlash(relative))
		if entry.IsDir() {
			return mkdir(remote, destination)
		}
		return copyFile(remote, name, destination)
	})
}

func copyFile(remote *sftp.Client, from, to string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	return write(remote, file, to)
}

func write(remote *sftp.Client, from io.Reader, to string) error {
	file, err := remote.Create(to)
	if err != nil {
		return fmt.Errorf("failed to create remote file %s: %w", to, err)
	}
	_, err = file.ReadFrom(from)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("failed to write remote file %s: %w", to, err)
	}
	return nil
}

func mkdir(remote *sftp.Client, dir string) error {
	info, err := stat(remote, dir)
	if err != nil {
		return err
	}
	if info != nil {
		if !info.IsDir() {
			return fmt.Errorf("remote path %s exists but is not a directory", dir)
		}
		return nil
	}
	if err := remote.Mkdir(dir); err != nil {
		return fmt.Errorf("failed to create remote directory %s: %w", dir, err)
	}
	return nil
}

// stat returns nil where nothing exists.
func stat(remote *sftp.Client, name string) (fs.FileInfo, error) {
	info, err := remote.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("failed to stat remote path %s: %w", name, err)
	}
	return info, nil
}
