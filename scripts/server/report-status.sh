#!/usr/bin/env bash
# Reports how the server and everything of the stack on it is, as one JSON object; changes nothing.
#
# usage: report-status.sh NAME PORT HEALTH_PATH PUBLIC_PORT DEPLOY_PATH BACKUP_PATH ROLE DATABASE [DOMAIN]
#   PUBLIC_PORT: where the proxy serves on this server
# What cannot be found out is null. Texts of others come in base64. The environment of containers is never read.
set -euo pipefail

# The bot answers within two seconds whatever state it is in, and a page that is held may wait for a while.
readonly BOT_SECONDS=5
readonly PAGE_SECONDS=10

refuse() {
  echo "$*" >&2
  exit 1
}

# Names, numbers and times only: nothing here needs escaping.
readonly CONTAINER='{"name":"{{slice .Name 1}}","status":"{{.State.Status}}","health":"{{with .State.Health}}{{.Status}}{{end}}","started":"{{.State.StartedAt}}","created":"{{.Created}}","restarts":{{.RestartCount}},"outOfMemory":{{.State.OOMKilled}},"commit":"{{index .Config.Labels "org.opencontainers.image.revision"}}","image":"{{.Image}}","memoryLimit":{{.HostConfig.Memory}}}'

containers() {
  local name lines=()
  for name in "$@"; do
    lines+=("$(docker container inspect --format "$CONTAINER" "$name" 2>/dev/null || echo "{\"name\":\"$name\",\"status\":\"gone\"}")")
  done
  local IFS=,
  echo "[${lines[*]}]"
}

# {"training_bot":"35MiB / 512MiB",…}: as Docker words it.
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

# The last line of the manifest that a crash has not cut off and that matches: last_backup DIRECTORY PATTERN.
last_backup() {
  local line
  line=$(grep -aE "^\{.*$2.*\}\$" "$1/manifest.jsonl" 2>/dev/null | tail -n 1 || true)
  echo "${line:-null}"
}

remembered() {
  if [[ -s $1 ]]; then cat "$1"; else echo null; fi
}

time_zone() {
  local zone
  zone=$(readlink -f /etc/localtime 2>/dev/null || true)
  if [[ $zone == */zoneinfo/* ]]; then echo "${zone#*/zoneinfo/}"; else echo UTC; fi
}

main() {
  (($# >= 8)) || refuse "usage: report-status.sh NAME PORT HEALTH_PATH PUBLIC_PORT DEPLOY_PATH BACKUP_PATH ROLE DATABASE [DOMAIN]"
  local name=$1 port=$2 health=$3 public=$4 deploy=$5 backups=$6 role=$7 database=$8 domain=${9-} bot began disk ready=false gate=false
  docker version >/dev/null 2>&1 || refuse "Docker does not answer on the server; start it there with: systemctl start docker"
  local root
  root=$(docker info --format '{{.DockerRootDir}}')
  while ! disk=$(df -B1 --output=size,avail "$root" 2>/dev/null); do root=$(dirname "$root"); done
  read -r size free < <(tail -n 1 <<<"$disk")
  bot=$(address "$name")
  if docker exec "${name}_db" pg_isready -q -h 127.0.0.1 -U "$role" -d "$database" 2>/dev/null; then ready=true; fi
  if docker exec "${name}_proxy" test -e /gate/closed 2>/dev/null; then gate=true; fi
  printf '{"clock":%s,"containers":%s,"memory":%s,"databaseReady":%s,"gateClosed":%s,' \
    "$(date +%s)" "$(containers "$name" "${name}_db" "${name}_proxy")" "$(memory "$name" "${name}_db" "${name}_proxy")" "$ready" "$gate"
  began=${EPOCHREALTIME/[.,]/}
  printf '"health":"%s",' "$(if [[ -n $bot ]]; then ask "$bot" "$port" "$health" "$BOT_SECONDS" "$bot"; fi)"
  printf '"healthMilliseconds":%s,' "$(((${EPOCHREALTIME/[.,]/} - began) / 1000))"
  printf '"page":"%s",' "$(ask 127.0.0.1 "$public" "$health" "$PAGE_SECONDS" "${domain:-localhost}")"
  printf '"disk":{"size":%s,"free":%s},"load":"%s","timeZone":"%s",' "$size" "$free" "$(cut -d ' ' -f 1-3 /proc/loadavg)" "$(time_zone)"
  printf '"certificate":"%s",' "$(if [[ -n $domain ]]; then
    docker exec "${name}_proxy" sh -c 'cat /data/caddy/certificates/*/"$0"/"$0".crt' "$domain" 2>/dev/null | base64 -w 0
  fi || true)"
  printf '"backup":%s,"verifiedBackup":%s,"drift":%s,"remembered":%s}\n' \
    "$(last_backup "$backups" '')" "$(last_backup "$backups" '"verified":true,')" "$(remembered "$deploy/drift.json")" "$(remembered "$deploy/health.json")"
}

main "$@"
