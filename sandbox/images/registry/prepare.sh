#!/usr/bin/env bash
# Builds the registry into CONTEXT/registry. Usage: prepare.sh CONTEXT
set -euo pipefail

context=$1
version=v3.1.2

if ! command -v go >/dev/null; then
  echo "Go is missing: install it (https://go.dev/dl) to make the stand-in image registry:3" >&2
  exit 1
fi
CGO_ENABLED=0 GOBIN="$context" go install -trimpath -ldflags "-s -w" "github.com/distribution/distribution/v3/cmd/registry@$version"
