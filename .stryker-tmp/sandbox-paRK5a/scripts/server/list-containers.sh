#!/usr/bin/env bash
# Lists what there is on the server of a release, a line each, to be compared with Pulumi's state:
#   container NAME ID STATUS REVISION    status: Docker's word, such as running
#                                        revision: the commit in the label that the stack gives the bot, or -
#   image ID                             the bot's image of COMMIT, where there is one
set -euo pipefail
: "${BOT:?}" "${DATABASE_CONTAINER:?}" "${PROXY:?}" "${COMMIT:?}" "${REVISION_LABEL:?}"

docker image inspect --format 'image {{.Id}}' "$BOT:$COMMIT" 2>/dev/null || true
for name in "$BOT" "$DATABASE_CONTAINER" "$PROXY"; do
  docker container inspect --format \
    "container $name {{.Id}} {{.State.Status}} {{or (index .Config.Labels \"$REVISION_LABEL\") \"-\"}}" "$name" 2>/dev/null || true
done
