#!/usr/bin/env bash
# Does what the four workflows that this project replaces did on the server: take down, build, start.
#
# usage: seed.sh DIRECTORY [COMMIT]   releases the newest commit, or goes back to COMMIT
set -euo pipefail

main() {
  cd "$1"
  if (($# == 2)); then git reset --quiet --hard "$2"; else git pull --quiet; fi
  docker compose down
  docker compose build --no-cache
  docker compose up -d
}

main "$@"
