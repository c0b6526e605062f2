#!/usr/bin/env bash
# Restarts the bot as a release would: the gate closes, requests in flight finish, the bot stops and starts, the gate
# opens when it is healthy. Uploaded with each call; installed scripts, which may be of another version, are not used.
set -euo pipefail
: "${BOT:?}" "${PROXY:?}" "${PAGE:?}" "${GATE:?}" "${HOLD_SECONDS:?}" "${DRAIN_SECONDS:?}"
: "${START_SECONDS:?}" "${CONTAINER_PIDS:?}"
: "${RESTORE_JOURNAL:?}" "${UPGRADE_JOURNAL:?}" "${STANDSTILL_STAGES:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/gate.sh"
source "${BASH_SOURCE[0]%/*}/lib/health.sh"
source "${BASH_SOURCE[0]%/*}/lib/standstill.sh"

main() {
  if stands_still; then refuse_standstill; fi
  has_container "$BOT" ||
    refuse "There is no container $BOT on the server; put it there with: ./delivery deploy"
  say "holding new requests"
  hold_requests
  say "restarting $BOT"
  # Docker itself knows the container's grace before it kills.
  docker restart "$BOT" >/dev/null
  say "waiting until it is healthy"
  await_bot
}

main
