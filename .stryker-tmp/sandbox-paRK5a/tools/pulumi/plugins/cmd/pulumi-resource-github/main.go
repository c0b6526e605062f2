// pulumi-resource-github is the plugin of @pulumi/github: the upstream Terraform provider behind Pulumi's bridge, with
// the resources that a repository's delivery needs.
package main

import (
	"github.com/integrations/terraform-provider-github/v6/github"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
)

// version is the npm package's: with any other, every run warns.
const version = "6.15.0"

func main() {
	tfbridge.Main("github", version, providerInfo(), []byte(`{"name":"github","version":"`+version+`"}`))
}

func providerInfo() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:            shimv2.NewProvider(github.NewProvider(version, "")()),
		Name:         "github",
		Version:      version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		Config: map[string]*tfbridge.SchemaInfo{
			"base_url": {Default: &tfbridge.DefaultInfo{
				EnvVars: []string{"GITHUB_BASE_URL"},
				Value:   "https://api.github.com/",
			}},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"github_actions_environment_secret": {
				Tok:                 "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret",
				DeleteBeforeReplace: true,
			},
			"github_actions_environment_variable":   {Tok: "github:index/actionsEnvironmentVariable:ActionsEnvironmentVariable"},
			"github_actions_repository_permissions": {Tok: "github:index/actionsRepositoryPermissions:ActionsRepositoryPermissions"},
			"github_actions_secret":                 {Tok: "github:index/actionsSecret:ActionsSecret"},
			"github_actions_variable":               {Tok: "github:index/actionsVariable:ActionsVariable"},
			"github_branch":                         {Tok: "github:index/branch:Branch"},
			"github_branch_protection":              {Tok: "github:index/branchProtection:BranchProtection"},
			"github_issue_label":                    {Tok: "github:index/issueLabel:IssueLabel"},
			"github_repository":                     {Tok: "github:index/repository:Repository"},
			"github_repository_deploy_key": {
				Tok:                 "github:index/repositoryDeployKey:RepositoryDeployKey",
				DeleteBeforeReplace: true,
			},
			"github_repository_environment": {
				Tok:    "github:index/repositoryEnvironment:RepositoryEnvironment",
				Fields: map[string]*tfbridge.SchemaInfo{"reviewers": {MaxItemsOne: tfbridge.False()}},
			},
			"github_repository_environment_deployment_policy": {Tok: "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy"},
			"github_repository_file":                          {Tok: "github:index/repositoryFile:RepositoryFile"},
			"github_repository_ruleset":                       {Tok: "github:index/repositoryRuleset:RepositoryRuleset"},
			"github_repository_webhook":                       {Tok: "github:index/repositoryWebhook:RepositoryWebhook"},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"github_actions_public_key": {Tok: "github:index/getActionsPublicKey:getActionsPublicKey"},
			"github_branch":             {Tok: "github:index/getBranch:getBranch"},
			"github_repository":         {Tok: "github:index/getRepository:getRepository"},
			"github_repository_file":    {Tok: "github:index/getRepositoryFile:getRepositoryFile"},
			"github_user":               {Tok: "github:index/getUser:getUser"},
		},
	}
	info.SetAutonaming(255, "-")
	return info
}
