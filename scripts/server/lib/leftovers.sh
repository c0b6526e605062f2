# shellcheck shell=bash
# What is left of a container that Docker has forgotten. Docker notes last that it has started a container; where it ends
# before that, the process goes on, at an address that Docker gives away again, and neither `docker stop` nor `docker rm`
# ends it. Needs lib/common.sh; takes PROXY, whose image has what this takes.

# Ends every process of a container that Docker does not call running, or does not know any more: end_leftovers ID. Never
# fails: there is no more that this script could do.
end_leftovers() {
  local image pattern="[/-]$1(\.scope)?\$"
  grep -qsE "$pattern" /proc/[0-9]*/cgroup || return 0
  # Docker may have started it although its answer did not come.
  if is_running "$1"; then return 0; fi
  say "Docker has forgotten a process of the container $1"
  image=$(docker container inspect --format '{{.Image}}' "$PROXY") || image=''
  # The user of this script may not end it. It is looked for once more: its number may be another process's by now.
  # shellcheck disable=SC2016 # the inner shell's own
  docker run --rm --pid host --userns host --network none --user 0 --cap-drop ALL --cap-add KILL --entrypoint sh "$image" \
    -c 'kill -KILL $(grep -lsE "$0" /proc/[0-9]*/cgroup | cut -d / -f 3)' "$pattern" || say "it may still be there"
}
