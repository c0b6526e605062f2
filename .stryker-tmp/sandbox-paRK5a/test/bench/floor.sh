#!/usr/bin/env bash
# The least that a swap can cost: remove the old container, start one from an image that exists already.
#
# usage: floor.sh IMAGE ENV_FILE
set -euo pipefail

docker rm --force floor_bot >/dev/null
docker run --detach --name floor_bot --init --network floor --env-file "$2" --env POSTGRES_HOST=floor_db \
  --publish 5000:5000 "$1" >/dev/null
