#!/usr/bin/env bash
# Shows a container's last log lines, standard error among them, each with its time.
#
# usage: show-logs.sh CONTAINER LINES [--follow]
set -euo pipefail

(($# == 2 || $# == 3)) || {
  echo "usage: show-logs.sh CONTAINER LINES [--follow]" >&2
  exit 1
}
docker container inspect "$1" >/dev/null 2>&1 || {
  echo "There is no container $1 on the server; put it there with: ./delivery deploy" >&2
  exit 1
}
exec docker logs --timestamps --tail "$2" "${@:3}" "$1" 2>&1
