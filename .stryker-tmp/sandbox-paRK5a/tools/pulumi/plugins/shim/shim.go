// Package shim hands out the Docker provider, which its module keeps in an internal package: Go decides `internal` by
// import path, and this module's path lies below the provider's.
package shim

import (
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

// NewProvider returns the upstream Terraform provider for Docker.
func NewProvider() *schema.Provider { return provider.New("dev")() }
