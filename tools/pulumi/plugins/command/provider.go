// Package command is a provider for @pulumi/command, whose own module cannot be had: the same resources, property names,
// defaults and replace rules, as far as this project uses them.
package command

import (
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"

	"hockey-delivery/tools/pulumi/plugins/command/local"
	"hockey-delivery/tools/pulumi/plugins/command/remote"
)

// NewProvider returns the provider.
func NewProvider() (p.Provider, error) {
	return infer.NewProviderBuilder().WithResources(
		infer.Resource(&local.Command{}),
		infer.Resource(&remote.Command{}),
		infer.Resource(&remote.CopyToRemote{}),
	).Build()
}
