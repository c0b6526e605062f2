#!/usr/bin/env bash
# Reports the state of the server and of everything of the stack on it, as one JSON object; changes nothing.
# PUBLIC_PORT is where the proxy serves on this server; DOMAIN may be empty.
# What cannot be found out is null. Texts of others come in base64. The environment of containers is never read.
set -euo pipefail
: "${BOT:?}" "${DATABASE_CONTAINER:?}" "${PROXY:?}" "${GATE:?}" "${CERTIFICATES:?}" "${REVISION_LABEL:?}"
: "${PORT:?}" "${HEALTH_PATH:?}" "${PUBLIC_PORT:?}" "${DOMAIN?}" "${ROLE:?}" "${DATABASE:?}"
: "${BACKUP_MANIFEST:?}" "${DRIFT:?}" "${HEALTH:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/gate.sh"

# The bot answers within two seconds whatever state it is in, and a page that is held may wait for a while.
readonly BOT_SECONDS=5
readonly PAGE_SECONDS=10

# Names, numbers and times only: nothing here needs escaping.
readonly CONTAINER='{"name":"{{slice .Name 1}}","status":"{{.State.Status}}","health":"{{with .State.Health}}{{.Status}}{{end}}","started":"{{.State.StartedAt}}","created":"{{.Created}}","restarts":{{.RestartCount}},"outOfMemory":{{.State.OOMKilled}},"commit":"{{index .Config.Labels "'"$REVISION_LABEL"'"}}","image":"{{.Image}}","memoryLimit":{{.HostConfig.Memory}}}'

containers() {
  local name lines=()
  for name in "$@"; do
    lines+=("$(docker container inspect --format "$CONTAINER" "$name" 2>/dev/null || echo "{\"name\":\"$name\",\"status\":\"gone\"}")")
  done
  local IFS=,
  echo "[${lines[*]}]"
}

# {"NAME":"35MiB / 512MiB",…}: as Docker words it.
memory() {
  docker stats --no-stream --format '"{{.Name}}":"{{.MemUsage}}"' "$@" 2>/dev/null | paste -sd , | sed 's/.*/{&}/'
}

# ask ADDRESS PORT PATH SECONDS HOST: the whole answer to a GET, in base64; empty where there is none.
ask() {
  # shellcheck disable=SC2016
  timeout "$4" bash -c '
    exec 3<>"/dev/tcp/$0/$1"
    printf "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$2" "$3" >&3
    cat <&3' "$1" "$2" "$3" "$5" 2>/dev/null | base64 -w 0 || true
}

address() {
  docker container inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1" 2>/dev/null || true
}

# The last line of the manifest that a crash has not cut off and that matches PATTERN: last_backup PATTERN.
last_backup() {
  local line
  line=$(grep -aE "^\{.*$1.*\}\$" "$BACKUP_MANIFEST" 2>/dev/null | tail -n 1 || true)
  echo "${line:-null}"
}

remembered() {
  if [[ -s $1 ]]; then cat "$1"; else echo null; fi
}

main() {
  local containers=("$BOT" "$DATABASE_CONTAINER" "$PROXY") bot began root disk size free ready=false gate=false
  docker version >/dev/null 2>&1 || refuse "Docker does not answer on the server; start it there with: systemctl start docker"
  root=$(docker info --format '{{.DockerRootDir}}')
  while ! disk=$(df -B1 --output=size,avail "$root" 2>/dev/null); do root=$(dirname "$root"); done
  read -r size free < <(tail -n 1 <<<"$disk")
  bot=$(address "$BOT")
  if docker exec "$DATABASE_CONTAINER" pg_isready -q -h 127.0.0.1 -U "$ROLE" -d "$DATABASE" 2>/dev/null; then ready=true; fi
  if gate_is_closed; then gate=true; fi
  printf '{"clock":%s,"containers":%s,"memory":%s,"databaseReady":%s,"gateClosed":%s,' \
    "$(date +%s)" "$(containers "${containers[@]}")" "$(memory "${containers[@]}")" "$ready" "$gate"
  began=${EPOCHREALTIME/[.,]/}
  printf '"health":"%s",' "$(if [[ -n $bot ]]; then ask "$bot" "$PORT" "$HEALTH_PATH" "$BOT_SECONDS" "$bot"; fi)"
  printf '"healthMilliseconds":%s,' "$(((${EPOCHREALTIME/[.,]/} - began) / 1000))"
  printf '"page":"%s",' "$(ask 127.0.0.1 "$PUBLIC_PORT" "$HEALTH_PATH" "$PAGE_SECONDS" "${DOMAIN:-localhost}")"
  printf '"disk":{"size":%s,"free":%s},"load":"%s","timeZone":"%s",' "$size" "$free" "$(cut -d ' ' -f 1-3 /proc/loadavg)" "$(time_zone)"
  printf '"certificate":"%s",' "$(if [[ -n $DOMAIN ]]; then
    docker exec "$PROXY" sh -c 'cat "$1"/caddy/certificates/*/"$0"/"$0".crt' "$DOMAIN" "$CERTIFICATES" 2>/dev/null | base64 -w 0
  fi || true)"
  printf '"backup":%s,"verifiedBackup":%s,"drift":%s,"remembered":%s}\n' \
    "$(last_backup '')" "$(last_backup '"verified":true,')" "$(remembered "$DRIFT")" "$(remembered "$HEALTH")"
}

main
