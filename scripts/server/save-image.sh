#!/usr/bin/env bash
# Writes the image of a release to standard output, compressed, as `docker load` takes it. COMMIT may be shortened; without
# one it is the release that runs.
set -euo pipefail
: "${BOT:?}" "${REVISION_LABEL:?}" "${COMMIT:=}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"

commit=${COMMIT:-$(docker container inspect --format "{{index .Config.Labels \"$REVISION_LABEL\"}}" "$BOT" 2>/dev/null)} ||
  refuse "No release runs on the server; name a commit whose image it has."
tags=$(docker image ls --format '{{.Tag}}' "$BOT")
image=$(grep "^$commit" <<<"$tags" || true)
[[ -n $image && $image != *$'\n'* ]] ||
  refuse "The server has no image of the commit $commit; it has those of: ${tags//$'\n'/, }"
# The line goes through a network, and the server has other work: a little compression is the best of both.
docker save "$BOT:$image" | gzip -1
