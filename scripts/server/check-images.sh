#!/usr/bin/env bash
# Asks the registries whether the images that run here have newer ones under their tags, and keeps in IMAGE_UPDATES since
# when. It pulls nothing and touches no container.
#
# usage: env SETTINGS=FILE check-images.sh
# Prints a line PART IMAGE RUNNING NEWEST SINCE for each image:
#   PART      database, proxy, or base: the bot's image may be built on several
#   IMAGE     its name with its tag
#   RUNNING   the digest of what runs, or - where that is not known: it came from no registry, or nothing runs
#   NEWEST    the digest that the registry has under the tag, or - where it does not tell; standard error says why
#   SINCE     the time at which this script first saw another one there, in seconds since 1970, or -
set -euo pipefail
umask 077
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/arguments.sh"
need BOT DATABASE_CONTAINER PROXY DATABASE_IMAGE PROXY_IMAGE BASES_LABEL IMAGE_UPDATES REGISTRY_SECONDS

# The digests of the image that a container runs, a line each: one image may be in several registries.
digests_of() {
  local id
  id=$(docker container inspect --format '{{.Image}}' "$1" 2>/dev/null) || return 0
  docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$id" 2>/dev/null | sed '/^$/d; s/.*@//' || true
}

# What the bot's image was built on, as build-image.sh has written it down.
bases() {
  docker container inspect --format "{{index .Config.Labels \"$BASES_LABEL\"}}" "$BOT" 2>/dev/null | tr ' ' '\n' | sed '/^$/d' || true
}

# Docker asks the registry itself, over its own API: no command of its command line gives this digest without a pull.
newest() {
  local answer digest
  answer=$(curl -sS --max-time "$REGISTRY_SECONDS" --unix-socket /var/run/docker.sock "http://docker/distribution/$1/json" 2>&1) || true
  digest=$(grep -o '"digest":"sha256:[0-9a-f]*"' <<<"$answer" | head -n 1 | cut -d '"' -f 4) || true
  if [[ -n $digest ]]; then
    echo "$digest"
  else
    answer=${answer#*\"message\":\"}
    answer=${answer%\"*}
    say "$1: its registry does not tell what is newest (${answer//\\\"/\"})"
  fi
}

since_before() {
  if [[ -f $IMAGE_UPDATES ]]; then awk -v image="$1" '$1 == image { print $2 }' "$IMAGE_UPDATES"; fi
}

# check PART IMAGE DIGESTS: prints the line of one image.
check() {
  local part=$1 image=${2%%@*} digests=$3 latest='' running since
  running=${digests%%$'\n'*}
  # Without a tag there is nothing that could move.
  if [[ ${image##*/} == *:* ]]; then latest=$(newest "$image"); fi
  since=$(since_before "$image")
  if [[ -n $latest && $'\n'$digests$'\n' == *$'\n'$latest$'\n'* ]]; then
    running=$latest since=''
  elif [[ -z $running ]]; then
    since=''
  elif [[ -n $latest ]]; then
    since=${since:-$(date +%s)}
  fi
  echo "$part $image ${running:--} ${latest:--} ${since:--}"
}

check_all() {
  local base
  check database "$DATABASE_IMAGE" "$(digests_of "$DATABASE_CONTAINER")"
  check proxy "$PROXY_IMAGE" "$(digests_of "$PROXY")"
  while read -r base; do
    check base "$base" "$(grep -o 'sha256:.*' <<<"$base" || true)"
  done < <(bases)
}

lines=$(check_all)
# Before the first update there is no place for it.
if [[ -d ${IMAGE_UPDATES%/*} ]]; then
  awk '$5 != "-" { print $2, $5 }' <<<"$lines" | sort -u >"$IMAGE_UPDATES.new"
  mv "$IMAGE_UPDATES.new" "$IMAGE_UPDATES"
fi
echo "$lines"
