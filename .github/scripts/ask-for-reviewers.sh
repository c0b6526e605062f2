#!/usr/bin/env bash
# Prints in a workflow run whether a person has approved it: `reviewed=true` if GitHub requires reviewers for the environment
# in which the job runs. GitHub itself is asked: a variable could be set by all who may push a branch.
#
# usage: ask-for-reviewers.sh ENVIRONMENT   with GITHUB_TOKEN, which may read actions
set -euo pipefail

# The token comes on standard input, as other processes can read the arguments.
curl --silent --show-error --fail-with-body --max-time 30 --header @- \
  "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/environments/$1" <<<"Authorization: Bearer $GITHUB_TOKEN" |
  jq --raw-output '"reviewed=\(any(.protection_rules[]?; .type == "required_reviewers"))"'
