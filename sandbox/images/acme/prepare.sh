#!/usr/bin/env bash
# Builds Pebble, the ACME server that Let's Encrypt tests clients with, and its DNS server into CONTEXT; and a certificate
# for the hop from Caddy to Pebble, which speaks TLS only. Usage: prepare.sh CONTEXT
set -euo pipefail

context=$1
version=v2.10.3

if ! command -v go >/dev/null; then
  echo "Go is missing: install it (https://go.dev/dl) to make the ACME server" >&2
  exit 1
fi
for command in pebble pebble-challtestsrv; do
  CGO_ENABLED=0 GOBIN="$context" go install -trimpath -ldflags "-s -w" "github.com/letsencrypt/pebble/v2/cmd/$command@$version"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=localhost \
  -keyout "$context/localhost.key" -out "$context/localhost.crt" 2>/dev/null
