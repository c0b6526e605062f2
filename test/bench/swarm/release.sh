#!/usr/bin/env bash
# Releases a commit with `docker service update`, or goes back to one whose image is there.
#
# usage: release.sh NAME DIRECTORY COMMIT
set -euo pipefail

main() {
  local name=$1 directory=$2 commit=$3
  if ! docker image inspect "$name:$commit" >/dev/null 2>&1; then
    git -C "$directory" pull --quiet
    DOCKER_BUILDKIT=1 docker build --quiet --tag "$name:$commit" "$directory"
  fi
  docker service update --quiet --no-resolve-image --image "$name:$commit" "${name}_bot"
}

main "$@"
