#!/usr/bin/env bash
# Restarts the bot as a release would: the gate closes, requests in flight finish, the bot stops and starts, the gate
# opens when it is healthy. Uploaded with each call; installed scripts, which may be of another version, are not used.
set -euo pipefail
: "${BOT:?}" "${PROXY:?}" "${PAGE:?}" "${GATE:?}" "${HOLD_SECONDS:?}" "${DRAIN_SECONDS:?}"
: "${START_SECONDS:?}" "${CONTAINER_PIDS:?}" "${SECRET_TEXTS:?}"
: "${RESTORE_JOURNAL:?}" "${UPGRADE_JOURNAL:?}" "${STANDSTILL_STAGES:?}" "${SWAP_LOCK:?}" "${PROBATION_SECONDS:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/gate.sh"
source "${BASH_SOURCE[0]%/*}/lib/redact.sh"
source "${BASH_SOURCE[0]%/*}/lib/health.sh"
source "${BASH_SOURCE[0]%/*}/lib/standstill.sh"

main() {
  # A release, a restore or an upgrade must not find the bot in the middle of its restart, nor this one it in theirs.
  mkdir -p "${SWAP_LOCK%/*}"
  exec 9>"$SWAP_LOCK"
  flock -w $((HOLD_SECONDS + PROBATION_SECONDS)) 9 ||
    refuse "A release of the bot does not come to its end on the server; see \`./delivery status\`, then try again."
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
