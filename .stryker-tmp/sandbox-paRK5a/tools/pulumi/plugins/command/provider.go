// Package command is a provider for @pulumi/command, whose own module cannot be had: the same resources, property names,
// defaults and replace rules, as far as this project uses them, and the same state.
package command

import (
	"context"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"hockey-delivery/tools/pulumi/plugins/command/local"
	"hockey-delivery/tools/pulumi/plugins/command/remote"
)

// NewProvider returns the provider.
func NewProvider() (p.Provider, error) {
	provider, err := infer.NewProviderBuilder().WithResources(
		infer.Resource(&local.Command{}),
		infer.Resource(&remote.Command{}),
		infer.Resource(&remote.CopyToRemote{}),
	).Build()
	if err != nil {
		return p.Provider{}, err
	}
	diff := provider.Diff
	provider.Diff = func(ctx context.Context, req p.DiffRequest) (p.DiffResponse, error) {
		for _, values := range []*property.Map{&req.State, &req.OldInputs, &req.Inputs} {
			*values = withPlainConnection(*values)
		}
		return diff(ctx, req)
	}
	return provider, nil
}

// withPlainConnection removes the secrets inside the connection, which is secret as a whole. Earlier versions of this
// provider stored none of them, and a connection from such a state is not a changed one.
func withPlainConnection(values property.Map) property.Map {
	connection, ok := values.GetOk("connection")
	if !ok {
		return values
	}
	return values.Set("connection", withoutSecrets(connection).WithSecret(connection.Secret()))
}

func withoutSecrets(value property.Value) property.Value {
	if value.IsMap() {
		fields := map[string]property.Value{}
		for name, field := range value.AsMap().All {
			fields[name] = withoutSecrets(field)
		}
		value = property.WithGoValue(value, property.NewMap(fields))
	}
	return value.WithSecret(false)
}
