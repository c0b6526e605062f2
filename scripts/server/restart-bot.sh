#!/usr/bin/env bash
# Restarts the bot as a release would: the gate closes, what is in flight finishes, the bot stops and starts, the gate
# opens when it is well.
#
# usage: restart-bot.sh CONTAINER PROXY PORT_AND_PATH DEPLOY_PATH BACKUP_PATH
set -euo pipefail

# As a release: infra/components/Bot.ts.
readonly HOLD_SECONDS=120
readonly HEALTHY_SECONDS=60

refuse() {
  echo "$*" >&2
  exit 1
}

main() {
  (($# == 5)) || refuse "usage: restart-bot.sh CONTAINER PROXY PORT_AND_PATH DEPLOY_PATH BACKUP_PATH"
  local container=$1 proxy=$2 page=$3 bin=$4/bin
  # As restore-db.sh and upgrade-db.sh note it: a bot that came up now would write to the database that they leave.
  if grep -qsE '^stage=(holding|stopping|moving|swapping|switching|starting)$' "$5/.restore" "$5/.upgrade"; then
    refuse "The database is being restored or upgraded, and the bot stands still for it; wait until that has ended, or, if it was cut off, begin it again."
  fi
  docker container inspect "$container" >/dev/null 2>&1 ||
    refuse "There is no container $container on the server; put it there with: ./delivery deploy"
  echo "holding new requests" >&2
  "$bin/hold-requests.sh" "$proxy" "$HOLD_SECONDS"
  echo "restarting $container" >&2
  # Docker itself knows the container's grace before it kills.
  docker restart "$container" >/dev/null
  echo "waiting until it is well" >&2
  "$bin/await-healthy.sh" "$container" "$HEALTHY_SECONDS" "$proxy" "$page"
}

main "$@"
