# shellcheck shell=bash
# What an upgrade needs to go back, whatever Pulumi replaces meanwhile: each container's spare, which waits beside it under
# another name. The database's is a copy, since Pulumi deletes the container itself. The bot's is the very container that
# stopped, so that no image holds its environment. Needs lib/common.sh.
# shellcheck disable=SC2154 # shared with the scripts and the other files here

# The label of the copy's image.
readonly SPARE=delivery.spare

spare_of() {
  echo "$1_spare"
}

# Makes a stopped copy of the database's container: an image carries its files, environment and health check, which name a
# file with the password; options carry its limits.
copy_container() {
  local name=$1 image flags
  image=$(docker commit --pause=false --change "LABEL $SPARE=yes" "$name")
  mapfile -t flags < <(docker container inspect --format \
    '{{range .HostConfig.CapAdd}}--cap-add={{println .}}{{end}}{{range .HostConfig.CapDrop}}--cap-drop={{println .}}{{end}}--network={{println .HostConfig.NetworkMode}}--memory={{println .HostConfig.Memory}}--memory-swap={{println .HostConfig.MemorySwap}}--shm-size={{println .HostConfig.ShmSize}}--stop-timeout={{.Config.StopTimeout}}' "$name")
  # A release knows the stack's containers by this label (lib/inventory.sh).
  docker create --name "$(spare_of "$name")" --restart unless-stopped --security-opt no-new-privileges --log-driver local \
    --label "${setting[revisionLabel]}=copy" --volumes-from "$name" "${flags[@]}" "$image" >/dev/null
}

# Makes way for a new container: set_aside NAME. The first that had the name is the spare; any other is Pulumi's own.
set_aside() {
  if has_container "$(spare_of "$1")"; then
    docker rm --force "$1" >/dev/null 2>&1 || true
  else
    docker rename "$1" "$(spare_of "$1")" 2>/dev/null || true
  fi
}

# Puts a spare, where there is one, in its original's place: put_spare_back NAME STOP_SECONDS. The name is the lock: whatever
# Pulumi may still be doing, only one container can have it.
put_spare_back() {
  local name=$1 spare tries
  spare=$(spare_of "$1")
  for tries in {1..20}; do
    has_container "$spare" || return 0
    docker stop --time "$2" "$name" >/dev/null 2>&1 || true
    docker rm --force "$name" >/dev/null 2>&1 || true
    docker rename "$spare" "$name" 2>/dev/null || sleep 0.2
  done
  ! has_container "$spare" || refuse "The container $spare cannot take the place of $name after $tries tries; see \`docker ps --all\`."
}

remove_spares() {
  docker rm --force --volumes "$(spare_of "${setting[container]}")" >/dev/null 2>&1 || true
  docker rm --force "$(spare_of "${setting[bot]}")" >/dev/null 2>&1 || true
  docker image prune --force --filter "label=$SPARE" >/dev/null 2>&1 || true
}
