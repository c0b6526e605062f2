package main

import (
	"testing"

	"hockey-delivery/tools/pulumi/plugins/conformance"
)

func TestInputsAreThoseOfTheNpmPackage(t *testing.T) {
	conformance.Check(t, providerInfo(), map[string]string{
		"provider.d.ts:ProviderArgs":                                                           "",
		"actionsEnvironmentSecret.d.ts:ActionsEnvironmentSecretArgs":                           "github_actions_environment_secret",
		"actionsEnvironmentVariable.d.ts:ActionsEnvironmentVariableArgs":                       "github_actions_environment_variable",
		"actionsRepositoryPermissions.d.ts:ActionsRepositoryPermissionsArgs":                   "github_actions_repository_permissions",
		"actionsSecret.d.ts:ActionsSecretArgs":                                                 "github_actions_secret",
		"actionsVariable.d.ts:ActionsVariableArgs":                                             "github_actions_variable",
		"branch.d.ts:BranchArgs":                                                               "github_branch",
		"branchProtection.d.ts:BranchProtectionArgs":                                           "github_branch_protection",
		"issueLabel.d.ts:IssueLabelArgs":                                                       "github_issue_label",
		"repository.d.ts:RepositoryArgs":                                                       "github_repository",
		"repositoryDeployKey.d.ts:RepositoryDeployKeyArgs":                                     "github_repository_deploy_key",
		"repositoryEnvironment.d.ts:RepositoryEnvironmentArgs":                                 "github_repository_environment",
		"repositoryEnvironmentDeploymentPolicy.d.ts:RepositoryEnvironmentDeploymentPolicyArgs": "github_repository_environment_deployment_policy",
		"repositoryFile.d.ts:RepositoryFileArgs":                                               "github_repository_file",
		"repositoryRuleset.d.ts:RepositoryRulesetArgs":                                         "github_repository_ruleset",
		"getRepository.d.ts:GetRepositoryArgs":                                                 "data.github_repository",
		"getActionsPublicKey.d.ts:GetActionsPublicKeyArgs":                                     "data.github_actions_public_key",
		"getBranch.d.ts:GetBranchArgs":                                                         "data.github_branch",
		"getRepositoryFile.d.ts:GetRepositoryFileArgs":                                         "data.github_repository_file",
		"getUser.d.ts:GetUserArgs":                                                             "data.github_user",
		"repositoryWebhook.d.ts:RepositoryWebhookArgs":                                         "github_repository_webhook",
	})
}
