#!/usr/bin/env bash
# Shows the last LOG_LINES log lines of CONTAINER, standard error included, each with its time; with FOLLOW=yes also new ones.
# The secrets of the stack are left out.
set -euo pipefail
: "${CONTAINER:?}" "${LOG_LINES:?}" "${BOT:?}" "${SECRET_TEXTS:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/redact.sh"

has_container "$CONTAINER" ||
  refuse "There is no container $CONTAINER on the server; put it there with: ./delivery deploy"
docker logs --timestamps --tail "$LOG_LINES" ${FOLLOW:+--follow} "$CONTAINER" 2>&1 | redact
