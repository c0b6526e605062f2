#!/usr/bin/env bash
# Builds Caddy into CONTEXT/caddy. Usage: prepare.sh CONTEXT
set -euo pipefail

context=$1
version=v2.11.9

if ! command -v go >/dev/null; then
  echo "Go is missing: install it (https://go.dev/dl) to make the stand-in image caddy:2" >&2
  exit 1
fi
CGO_ENABLED=0 GOBIN="$context" go install -trimpath \
  -ldflags "-s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$version" "github.com/caddyserver/caddy/v2/cmd/caddy@$version"
