# shellcheck shell=bash
# What every script on the server may need. Sourced where it is installed; an uploaded script carries it inside
# (infra/model/scripts.ts).

say() {
  echo "$*" >&2
}

# Ends the script with one sentence; $scratch/reason keeps it for a caller that reports it elsewhere.
refuse() {
  say "$*"
  if [[ -n ${scratch-} ]]; then echo "$*" >"$scratch/reason"; fi
  exit 1
}

# Fills `setting` from lines KEY=VALUE, which may have more equals signs: load_settings FILE.
declare -A setting=()
# shellcheck disable=SC2034 # callers read it
load_settings() {
  local line
  [[ -f $1 ]] || refuse "There is no settings file $1; run \`pulumi up\`, which writes it."
  while IFS= read -r line; do setting[${line%%=*}]=${line#*=}; done <"$1"
}

is_running() {
  [[ $(docker container inspect --format '{{.State.Running}}' "$1" 2>/dev/null) == true ]]
}

has_container() {
  docker container inspect "$1" >/dev/null 2>&1
}

# The volume that a container mounts; nothing where there is no such container or volume.
volume_of() {
  docker container inspect --format '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}' "$1" 2>/dev/null | head -n 1 || true
}

# Free MB of the file system that holds a directory, which this user may not be able to read.
free_mb() {
  local directory=$1 free
  while ! free=$(df --output=avail -m "$directory" 2>/dev/null); do directory=$(dirname "$directory"); done
  tail -n 1 <<<"$free" | tr -d ' '
}

docker_free_mb() {
  free_mb "$(docker info --format '{{.DockerRootDir}}')"
}

# The server's time zone by its IANA name.
time_zone() {
  local zone
  zone=$(readlink -f /etc/localtime 2>/dev/null) || zone=''
  if [[ $zone == */zoneinfo/* ]]; then echo "${zone#*/zoneinfo/}"; else echo UTC; fi
}
