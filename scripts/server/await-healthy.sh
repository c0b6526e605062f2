#!/usr/bin/env bash
# Waits until a container is well and says so as soon as it is known; gives up at once when Docker calls it
# unhealthy or has to start it again. With a proxy named, it then opens the gate that hold-requests.sh closed.
#
# usage: await-healthy.sh CONTAINER SECONDS [PROXY PORT_AND_PATH]
#   PORT_AND_PATH, such as 5000/health, is asked from inside the proxy, which notices seconds before Docker does.
# Exit status 1 with one sentence on standard error, after the container's last log lines.
#
# What has just begun to answer may crash a moment later. So an image with an environment that has never run here must
# stay up for STEADY_SECONDS before anybody is let in; one that has passed once, as in a rollback, need not again.
set -euo pipefail
umask 077

readonly LOG_LINES=20
readonly STEADY_SECONDS=5
# Against a fork bomb; the Docker provider has no such property. Threads count too.
readonly PIDS_LIMIT=256
readonly STATE='{{.State.Status}} {{.RestartCount}} {{with .State.Health}}{{.Status}}{{else}}none{{end}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
# Fingerprints of what has passed, a line each; beside the directory of this script.
proven=$(dirname "$0")/../proven
readonly proven

refuse() {
  echo "$*" >&2
  exit 1
}

give_up() {
  docker logs --tail "$LOG_LINES" "$1" >&2 2>&1 || true
  refuse "The container $1 $2; its last log lines stand above. \`./delivery logs\` shows more."
}

fingerprint() {
  docker inspect --format '{{.Image}} {{json .Config.Env}} {{json .Config.Cmd}}' "$1" | sha256sum | cut -c 1-64
}

main() {
  (($# == 2 || $# == 4)) || refuse "usage: await-healthy.sh CONTAINER SECONDS [PROXY PORT_AND_PATH]"
  local container=$1 deadline=$((SECONDS + $2)) proxy=${3-} page=${4-} steady=0 well_since="" mark status restarts health address
  mark=$(fingerprint "$container")
  if [[ -n $proxy ]] && ! grep -qsx "$mark" "$proven"; then steady=$STEADY_SECONDS; fi
  while true; do
    read -r status restarts health address < <(docker inspect --format "$STATE" "$container") ||
      refuse "The container $container is gone; put it back with: ./delivery deploy"
    if [[ $health == unhealthy ]]; then give_up "$container" "is unhealthy"; fi
    if [[ $health == healthy ]] && ((steady == 0)); then break; fi
    # In a restart the count may still be the old one while the state tells already.
    if ((restarts > 0)) || [[ $status == exited || $status == dead || $status == restarting ]]; then
      give_up "$container" "does not stay up ($status, restarted $restarts times)"
    fi
    if [[ $health == healthy ]] || is_answering "$proxy" "$address" "$page"; then
      : "${well_since:=$SECONDS}"
      if ((SECONDS - well_since >= steady)); then break; fi
    else
      well_since=""
    fi
    ((SECONDS < deadline)) || give_up "$container" "is not healthy after $2 seconds"
    sleep 0.2
  done
  docker update --pids-limit "$PIDS_LIMIT" "$container" >/dev/null
  if [[ -n $proxy ]]; then docker exec "$proxy" rm -f /gate/closed; fi
  if ((steady > 0)); then echo "$mark" >>"$proven"; fi
}

is_answering() {
  [[ -n $1 ]] && docker exec "$1" timeout 2 wget -q -O /dev/null "http://$2:$3" 2>/dev/null
}

main "$@"
