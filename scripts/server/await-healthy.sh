#!/usr/bin/env bash
# Waits until a container is healthy and returns as soon as it is; for the bot it then opens the gate that
# hold-requests.sh closed.
#
# usage: env SETTINGS=FILE await-healthy.sh bot|database, or with the names that lib/health.sh lists
# Exit status 1 with one sentence on standard error, after the container's last log lines.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/arguments.sh"
source "${BASH_SOURCE[0]%/*}/lib/gate.sh"
source "${BASH_SOURCE[0]%/*}/lib/redact.sh"
source "${BASH_SOURCE[0]%/*}/lib/health.sh"

case ${1-} in
  bot)
    need BOT PROXY PAGE GATE START_SECONDS CONTAINER_PIDS SECRET_TEXTS
    await_bot
    ;;
  database)
    need DATABASE_CONTAINER ROLE DATABASE READY_SECONDS CONTAINER_PIDS BOT SECRET_TEXTS
    await_database
    ;;
  *) refuse "usage: await-healthy.sh bot|database" ;;
esac
