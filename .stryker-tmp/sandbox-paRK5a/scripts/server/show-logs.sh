#!/usr/bin/env bash
# Shows the last LOG_LINES log lines of CONTAINER, standard error included, each with its time; with FOLLOW=yes also new ones.
set -euo pipefail
: "${CONTAINER:?}" "${LOG_LINES:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"

has_container "$CONTAINER" ||
  refuse "There is no container $CONTAINER on the server; put it there with: ./delivery deploy"
exec docker logs --timestamps --tail "$LOG_LINES" ${FOLLOW:+--follow} "$CONTAINER" 2>&1
