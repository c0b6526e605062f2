// pulumi-resource-docker is the plugin of @pulumi/docker: the upstream Terraform provider behind Pulumi's bridge.
// What the bridge would name or shape differently from the npm package is overridden here.
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/terraform-providers/terraform-provider-docker/shim"
)

// version is the npm package's: with any other, every run warns.
const version = "5.2.0"

func main() {
	tfbridge.Main("docker", version, providerInfo(), []byte(`{"name":"docker","version":"`+version+`"}`))
}

func providerInfo() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:            shimv2.NewProvider(shim.NewProvider()),
		Name:         "docker",
		Version:      version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		Config: map[string]*tfbridge.SchemaInfo{
			"host": {Default: &tfbridge.DefaultInfo{EnvVars: []string{"DOCKER_HOST"}}},
			"registry_auth": {
				Name:        "registryAuth",
				MaxItemsOne: tfbridge.False(),
			},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_container": {
				Tok: "docker:index/container:Container",
				// A container's name is unique on a host: the old one must go first.
				DeleteBeforeReplace: true,
				Fields: map[string]*tfbridge.SchemaInfo{
					"command":           {Name: "command"},
					"networks_advanced": {Name: "networksAdvanced"},
				},
			},
			"docker_image": {
				Tok:    "docker:index/remoteImage:RemoteImage",
				Fields: map[string]*tfbridge.SchemaInfo{"name": {Name: "name"}},
			},
			"docker_network": {Tok: "docker:index/network:Network"},
			"docker_tag":     {Tok: "docker:index/tag:Tag"},
			"docker_volume":  {Tok: "docker:index/volume:Volume"},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"docker_image":   {Tok: "docker:index/getRemoteImage:getRemoteImage"},
			"docker_logs":    {Tok: "docker:index/getLogs:getLogs"},
			"docker_network": {Tok: "docker:index/getNetwork:getNetwork"},
		},
	}
	info.SetAutonaming(255, "-")
	return info
}
