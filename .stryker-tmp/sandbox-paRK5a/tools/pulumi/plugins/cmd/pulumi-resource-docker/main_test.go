package main

import (
	"testing"

	"hockey-delivery/tools/pulumi/plugins/conformance"
)

func TestInputsAreThoseOfTheNpmPackage(t *testing.T) {
	conformance.Check(t, providerInfo(), map[string]string{
		"provider.d.ts:ProviderArgs":             "",
		"container.d.ts:ContainerArgs":           "docker_container",
		"network.d.ts:NetworkArgs":               "docker_network",
		"remoteImage.d.ts:RemoteImageArgs":       "docker_image",
		"tag.d.ts:TagArgs":                       "docker_tag",
		"volume.d.ts:VolumeArgs":                 "docker_volume",
		"getLogs.d.ts:GetLogsArgs":               "data.docker_logs",
		"getNetwork.d.ts:GetNetworkArgs":         "data.docker_network",
		"getRemoteImage.d.ts:GetRemoteImageArgs": "data.docker_image",
	})
}
