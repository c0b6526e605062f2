#!/usr/bin/env bash
# Has the running proxy take over its configuration file without dropping a connection. A faulty file is
# refused by Caddy, which then goes on with the old one.
#
# usage: reload-proxy.sh PROXY
set -euo pipefail

(($# == 1)) || {
  echo "usage: reload-proxy.sh PROXY" >&2
  exit 1
}
# Caddy tells at length what goes well; only what goes wrong is passed on.
report=$(docker exec "$1" caddy reload --config /etc/caddy/Caddyfile 2>&1) || {
  echo "$report" >&2
  exit 1
}
