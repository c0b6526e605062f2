#!/usr/bin/env bash
# What the four workflows that this project replaces did on the server: everything down, everything built, everything up.
#
# usage: seed.sh DIRECTORY [COMMIT]   the newest commit; with COMMIT back to that one
set -euo pipefail

main() {
  cd "$1"
  if (($# == 2)); then git reset --quiet --hard "$2"; else git pull --quiet; fi
  docker-compose down
  docker-compose build --no-cache
  docker-compose up -d
}

main "$@"
