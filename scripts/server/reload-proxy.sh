#!/usr/bin/env bash
# Has the running PROXY take over its configuration file. Requests that are with the bot are answered as if nothing had
# happened. One that is sent in that very moment may be dropped: Go's net/http closes what it has accepted and not read
# when a server stops. One that waits gets 503. Caddy refuses a faulty file and goes on with the old one.
#
# usage: env SETTINGS=FILE reload-proxy.sh
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/arguments.sh"

need PROXY CADDYFILE
# Caddy reports success at length; only a failure is passed on.
report=$(docker exec "$PROXY" caddy reload --config "$CADDYFILE" 2>&1) || refuse "$report"
