#!/usr/bin/env bash
# Does what seed.sh does, as a careful operator would: nothing is taken down first, and the build uses its cache.
#
# usage: compose.sh DIRECTORY [COMMIT]   releases the newest commit, or goes back to COMMIT
set -euo pipefail

main() {
  cd "$1"
  if (($# == 2)); then git reset --quiet --hard "$2"; else git pull --quiet; fi
  docker compose build
  docker compose up -d
}

main "$@"
