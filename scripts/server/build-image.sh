#!/usr/bin/env bash
# Builds the bot's image from exactly one commit, on the server. An image that is there is not built again.
#
# usage: build-image.sh IMAGE REPOSITORY COMMIT DEPLOY_PATH SSH
#   SSH   the ssh that git is to use, with its options
# Prints the image's id, and nothing else, on standard output; what it does on standard error.
# The build's own output goes to DEPLOY_PATH/build.log. Nothing that runs is touched.
# Before a build, images of IMAGE beyond the newest KEPT_IMAGES go; one that a container uses stays, and every volume.
set -euo pipefail
umask 077

# Below this much room a build is not begun: it would fill the disk of the database.
readonly LEAST_FREE_MB=1024
# Earlier releases whose images are kept: as far back a rollback builds nothing.
readonly KEPT_IMAGES=5

refuse() {
  echo "$*" >&2
  exit 1
}

image_id() {
  docker image inspect --format '{{.Id}}' "$1" 2>/dev/null
}

check_disk() {
  local directory free
  directory=$(docker info --format '{{.DockerRootDir}}')
  # Docker's own directory is closed to this user; the file system that holds it is not.
  while ! free=$(df --output=avail -m "$directory" 2>/dev/null); do directory=$(dirname "$directory"); done
  free=$(tail -n 1 <<<"$free" | tr -d ' ')
  ((free >= LEAST_FREE_MB)) ||
    refuse "The server's disk has $free MB left and a build needs $LEAST_FREE_MB; remove old images there with: docker image prune"
}

# By the time of their tagging: a build that found everything in its cache has the creation time of the older one.
remove_old_images() {
  local image=$1 tag
  docker image ls --format '{{.Repository}}:{{.Tag}}' "$image" |
    while read -r tag; do docker image inspect --format "{{.Metadata.LastTagTime.Unix}} $tag" "$tag"; done |
    sort -rn | tail -n "+$((KEPT_IMAGES + 1))" |
    while read -r _ tag; do
      if docker image rm "$tag" >/dev/null 2>&1; then echo "removed the old image $tag" >&2; fi
    done
  # What lost its name in a build that was tagged anew. Only what carries the stack's label is ours.
  docker image prune --force --filter label=org.opencontainers.image.revision >/dev/null
}

# A bare copy of the repository, kept so that the next fetch is short.
fetch() {
  local repository=$1 commit=$2 mirror=$3
  [[ -d $mirror ]] || git init --quiet --bare "$mirror"
  if git -C "$mirror" cat-file -e "$commit^{commit}" 2>/dev/null; then return; fi
  echo "fetching $commit" >&2
  git -C "$mirror" fetch --quiet --prune "$repository" '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*' ||
    refuse "The server cannot read the repository $repository; correct \`app.repository\`, or give the server access to it."
  if git -C "$mirror" cat-file -e "$commit^{commit}" 2>/dev/null; then return; fi
  git -C "$mirror" fetch --quiet "$repository" "$commit" 2>/dev/null ||
    refuse "The commit $commit is not in the repository $repository; push it, or correct \`commit\`."
}

build() {
  local image=$1 commit=$2 mirror=$3 log=$4 began=$SECONDS
  echo "building $image:$commit" >&2
  context=$(mktemp -d)
  trap 'rm -rf "$context"' EXIT
  # The files' modes end in the image, where another user than this one reads them.
  (umask 022 && git -C "$mirror" archive "$commit" | tar -x -C "$context")
  [[ -f $context/Dockerfile ]] || refuse "The commit $commit has no Dockerfile at its top; add one, or correct \`app.repository\`."
  if ! DOCKER_BUILDKIT=1 docker build --progress plain --label "org.opencontainers.image.revision=$commit" \
    --tag "$image:$commit" "$context" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    if grep -qi 'no space left on device' "$log"; then
      refuse "The server's disk ran full while the image of commit $commit was built; make room there with: docker system prune. What runs was not touched."
    fi
    refuse "The image of commit $commit could not be built (the whole log: $log on the server); correct the Dockerfile or what it installs. What runs was not touched."
  fi
  echo "built in $((SECONDS - began)) s" >&2
}

main() {
  (($# == 5)) || refuse "usage: build-image.sh IMAGE REPOSITORY COMMIT DEPLOY_PATH SSH"
  local image=$1 repository=$2 commit=$3 deploy=$4
  export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND=$5
  # Two builds at once would fetch into the same copy of the repository.
  exec 9>"$deploy/.build-lock"
  flock 9
  if ! image_id "$image:$commit" >/dev/null; then
    remove_old_images "$image"
    check_disk
    fetch "$repository" "$commit" "$deploy/repository.git"
    build "$image" "$commit" "$deploy/repository.git" "$deploy/build.log"
  fi
  image_id "$image:$commit"
}

main "$@"
