#!/usr/bin/env bash
# Lists what there is on the server of a release, a line each, to be compared with Pulumi's state:
#   container NAME ID STATUS REVISION    status: Docker's word, such as running
#                                        revision: the commit in the label that the stack gives the bot, or -
#   image ID                             of IMAGE, where there is one
#
# usage: list-containers.sh IMAGE CONTAINER...
set -euo pipefail

(($# >= 2)) || {
  echo "usage: list-containers.sh IMAGE CONTAINER..." >&2
  exit 1
}
docker image inspect --format 'image {{.Id}}' "$1" 2>/dev/null || true
for name in "${@:2}"; do
  docker container inspect --format \
    "container $name {{.Id}} {{.State.Status}} {{or (index .Config.Labels \"org.opencontainers.image.revision\") \"-\"}}" "$name" 2>/dev/null || true
done
