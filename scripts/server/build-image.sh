#!/usr/bin/env bash
# Builds the bot's image from exactly one commit, on the server. An image that is there is not built again.
#
# usage: env SETTINGS=FILE IMAGE=NAME COMMIT=HASH build-image.sh
# With STACK, its full name, and STACK_ID, where the caller has that at hand: only where this stack has claimed the
# directory, and its bot has this name there.
# Prints the image's id, and nothing else, on standard output, and its progress on standard error. The build's own
# output goes to BUILD_LOG. No running container is touched.
# It is built on the newest base images, which are pulled once within BASE_PULL_HOURS (lib/bases.sh).
# Before a build, images of IMAGE beyond the newest KEPT_IMAGES go; one that a container uses stays, and every volume.
set -euo pipefail
umask 077
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/arguments.sh"
source "${BASH_SOURCE[0]%/*}/lib/claim.sh"
source "${BASH_SOURCE[0]%/*}/lib/redact.sh"
source "${BASH_SOURCE[0]%/*}/lib/bases.sh"

need IMAGE COMMIT REPOSITORY GIT_SSH MIRROR BUILD_LOG BUILD_LOCK REVISION_LABEL BUILD_FREE_MB KEPT_IMAGES CLAIM BOT \
  SECRET_TEXTS BASE_PULLS BASE_PULL_HOURS BASE_PULL_SECONDS BASES_LABEL DEPLOY_PATH SETTINGS_FILE
# Ahead of an update, which the caller of an uploaded script does, nothing is built but in the stack's own directory and
# under the name that its bot has there, and nothing is printed.
if [[ -n ${STACK-} ]]; then
  is_own "$CLAIM" && grep -qsx "bot=$IMAGE" "$DEPLOY_PATH/$SETTINGS_FILE" || exit 0
fi
export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND=$GIT_SSH

image_id() {
  docker image inspect --format '{{.Id}}' "$IMAGE:$COMMIT" 2>/dev/null
}

check_disk() {
  local free
  free=$(docker_free_mb)
  ((free >= BUILD_FREE_MB)) ||
    refuse "The server's disk has $free MB left and a build needs $BUILD_FREE_MB; remove old images there with: docker image prune"
}

# By the time of their tagging: a build that takes all from its cache gives the creation time of the older image.
remove_old_images() {
  local tag
  docker image ls --format '{{.Repository}}:{{.Tag}}' "$IMAGE" |
    while read -r tag; do docker image inspect --format "{{.Metadata.LastTagTime.Unix}} $tag" "$tag"; done |
    sort -rn | tail -n "+$((KEPT_IMAGES + 1))" |
    while read -r _ tag; do
      docker image rm "$tag" >/dev/null 2>&1 || true
    done
  # Images that lost their name when a build was tagged anew. Only those with the stack's label are ours.
  docker image prune --force --filter "label=$REVISION_LABEL" >/dev/null
}

has_commit() {
  git -C "$MIRROR" cat-file -e "$COMMIT^{commit}" 2>/dev/null
}

# The mirror is kept, so that the next fetch is short.
fetch() {
  [[ -d $MIRROR ]] || git init --quiet --bare "$MIRROR"
  if has_commit; then return 0; fi
  git -C "$MIRROR" fetch --quiet --prune "$REPOSITORY" '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*' ||
    refuse "The server cannot read the repository $REPOSITORY; correct \`app.repository\`, or give the server access to it."
  if has_commit; then return 0; fi
  git -C "$MIRROR" fetch --quiet "$REPOSITORY" "$COMMIT" 2>/dev/null ||
    refuse "The commit $COMMIT is not in the repository $REPOSITORY; push it, or correct \`commit\`."
}

build() {
  local began=$SECONDS context base bases=()
  say "building $IMAGE:$COMMIT"
  context=$(mktemp -d)
  # shellcheck disable=SC2064 # the directory of now
  trap "rm -rf '$context'" EXIT
  # The files' modes end in the image, where another user than this one reads them.
  (umask 022 && git -C "$MIRROR" archive "$COMMIT" | tar -x -C "$context")
  [[ -f $context/Dockerfile ]] || refuse "The commit $COMMIT has no Dockerfile at its top; add one, or correct \`app.repository\`."
  while read -r base; do
    pull_base "$base"
    bases+=("$(with_digest "$base")")
  done < <(bases_in "$context/Dockerfile")
  if ! DOCKER_BUILDKIT=1 docker build --progress plain --label "$REVISION_LABEL=$COMMIT" \
    --label "$BASES_LABEL=${bases[*]-}" --tag "$IMAGE:$COMMIT" "$context" >"$BUILD_LOG" 2>&1; then
    tail -n 20 "$BUILD_LOG" | redact >&2
    if grep -qi 'no space left on device' "$BUILD_LOG"; then
      refuse "The server's disk ran full while the image of commit $COMMIT was built; make room there with: docker system prune. What runs was not touched."
    fi
    refuse "The image of commit $COMMIT could not be built (the whole log: $BUILD_LOG on the server); correct the Dockerfile or what it installs. What runs was not touched."
  fi
  say "built in $((SECONDS - began)) s"
}

# Two builds at once would fetch into the same mirror.
exec 9>"$BUILD_LOCK"
flock 9
if ! image_id >/dev/null; then
  remove_old_images
  check_disk
  fetch
  build
fi
image_id
