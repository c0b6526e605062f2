#!/usr/bin/env bash
# Has the running PROXY take over its configuration file. Requests that it has read are answered as if nothing had
# happened. A connection of the very moment, accepted and not read yet, is closed without an answer: Go's net/http does
# so with what it finds in a server that stops. Caddy refuses a faulty file and goes on with the old one.
#
# usage: env SETTINGS=FILE reload-proxy.sh
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/arguments.sh"

need PROXY CADDYFILE
# Caddy reports success at length; only a failure is passed on.
report=$(docker exec "$PROXY" caddy reload --config "$CADDYFILE" 2>&1) || refuse "$report"
