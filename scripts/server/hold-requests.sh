#!/usr/bin/env bash
# Closes the proxy's gate: it goes on accepting requests and holds them. Returns when none is in flight
# any more, so that the bot can be stopped without anyone noticing.
#
# usage: hold-requests.sh PROXY SECONDS
#
# The gate is a file in the proxy container's memory: while it is there, Caddy's health check of the bot
# fails and requests wait. It opens again by itself after SECONDS, also when this machine, the connection
# or the update that asked for it is gone; a restart of the container opens it too.
set -euo pipefail

# Caddy asks for the gate's state every 200 ms (infra/files/Caddyfile); three times that, and it knows.
readonly NOTICE_SECONDS=0.6
# How long a request in flight may take to finish before the bot is stopped all the same.
readonly DRAIN_SECONDS=20

refuse() {
  echo "$*" >&2
  exit 1
}

in_flight() {
  docker exec "$1" wget -q -O - http://127.0.0.1:2019/reverse_proxy/upstreams |
    awk -v RS=, -F: '/"num_requests"/ { sum += $2 } END { print sum + 0 }'
}

main() {
  (($# == 2)) || refuse "usage: hold-requests.sh PROXY SECONDS"
  local proxy=$1 seconds=$2 deadline
  # Without a running proxy nobody is served, and there is nothing to hold.
  if [[ $(docker inspect --format '{{.State.Running}}' "$proxy" 2>/dev/null) != true ]]; then exit 0; fi
  # Only the newest hold may open the gate: an earlier timer finds another token in the file.
  docker exec -d "$proxy" sh -c \
    'echo "$0" >/gate/closed; sleep "$1"; if [ "$(cat /gate/closed)" = "$0" ]; then rm /gate/closed; fi' "$$-$RANDOM" "$seconds"
  sleep "$NOTICE_SECONDS"
  deadline=$((SECONDS + DRAIN_SECONDS))
  while (($(in_flight "$proxy") > 0 && SECONDS < deadline)); do sleep 0.1; done
}

main "$@"
