#!/usr/bin/env bash
# Reports in a workflow run whether GitHub's part of the stack has a change that waits for an operator. Compares the program
# with the state only: reads nothing from GitHub and changes nothing. Usage: github-waits.sh
set -euo pipefail

unset PULUMI_OPTION_EXCLUDE
export PULUMI_OPTION_TARGET='**hockey:index:Repository**'

if ! answer=$(pulumi preview --refresh=false --expect-no-changes --diff --color never --suppress-outputs 2>&1); then
  if grep -q 'no changes were expected' <<<"$answer"; then
    printf '%s\n' "$answer"
    echo "::notice::GitHub's part of the stack has a change that waits for an operator: run pulumi up with an administrator's GITHUB_TOKEN."
  else
    printf '%s\n' "$answer" >&2
    exit 1
  fi
fi
