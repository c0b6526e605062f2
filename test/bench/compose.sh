#!/usr/bin/env bash
# The same as seed.sh as a careful person would type it: nothing is taken down first, and the build may use its cache.
#
# usage: compose.sh DIRECTORY [COMMIT]   the newest commit; with COMMIT back to that one
set -euo pipefail

main() {
  cd "$1"
  if (($# == 2)); then git reset --quiet --hard "$2"; else git pull --quiet; fi
  docker-compose build
  docker-compose up -d
}

main "$@"
