#!/usr/bin/env bash
# Reports the state of the server and of everything of the stack on it, as one JSON object; changes nothing.
# PUBLIC_PORT is where the proxy serves on this server; DOMAIN may be empty.
# What cannot be found out is null. Texts of others come in base64. The environment of containers is never read, but for
# the bot's token, which WITH_TOKEN=yes asks for: it stands before the report, in a line token=TOKEN.
set -euo pipefail
: "${BOT:?}" "${DATABASE_CONTAINER:?}" "${PROXY:?}" "${GATE:?}" "${CERTIFICATES:?}" "${REVISION_LABEL:?}"
: "${PORT:?}" "${HEALTH_PATH:?}" "${PUBLIC_PORT:?}" "${DOMAIN?}" "${ROLE:?}" "${DATABASE:?}"
: "${DATABASE_PORT:?}" "${BACKUP_MANIFEST:?}" "${DRIFT:?}" "${HEALTH:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/gate.sh"
source "${BASH_SOURCE[0]%/*}/lib/memory.sh"

# The bot answers within two seconds whatever state it is in, and a page that is held may wait for a while. While the bot
# does not answer, only the proxy's own page is to be expected.
readonly BOT_SECONDS=5
readonly PAGE_SECONDS=10
readonly PROXY_SECONDS=2

# Names, numbers and times only: nothing here needs escaping, and a space ends each field. What may be empty comes last.
# `.ID` is in Docker's own words; with the `.Id` of its JSON, a missing label would read "<no value>".
readonly CONTAINER='{"name":"{{slice .Name 1}}","status":"{{.State.Status}}","health":"{{with .State.Health}}{{.Status}}{{end}}","started":"{{.State.StartedAt}}","created":"{{.Created}}","restarts":{{.RestartCount}},"outOfMemory":{{.State.OOMKilled}},"commit":"{{index .Config.Labels "'"$REVISION_LABEL"'"}}","image":"{{.Image}}","memoryLimit":{{.HostConfig.Memory}}}'
# The bot's token alone of all that is in its environment, and only on request.
readonly TOKEN=${WITH_TOKEN:+'{{range .Config.Env}}{{if eq (index (split . "=") 0) "TELEGRAM_TOKEN"}}{{slice . 15}}{{end}}{{end}}'}
readonly FACTS='{{slice .Name 1}} {{.ID}} {{.State.Pid}} {{.HostConfig.Memory}} '$CONTAINER" token:$TOKEN"' {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'

# begin NAME COMMAND...: runs a command beside this script. `finish NAME` waits for it and fills the variable NAME with
# what it has printed; its standard error and exit status are lost.
declare -A under_way=()
begin() {
  local output
  exec {output}< <("${@:2}" 2>/dev/null)
  under_way[$1]=$output
}

finish() {
  local printed=''
  IFS= read -r -d '' printed <&"${under_way[$1]}" || true
  printf -v "$1" %s "${printed%$'\n'}"
}

# What Docker knows of the containers, by their names; nothing of one that is gone.
declare -A id=() pid=() limit=() container=() token=() address=()
learn() {
  local name id_ pid_ limit_ container_ token_ address_
  while read -r name id_ pid_ limit_ container_ token_ address_; do
    id[$name]=$id_ pid[$name]=$pid_ limit[$name]=$limit_ container[$name]=$container_ address[$name]=$address_
    token[$name]=${token_#token:}
  done
}

containers() {
  local name gone lines=()
  for name in "$@"; do
    gone="{\"name\":\"$name\",\"status\":\"gone\"}"
    lines+=("${container[$name]-$gone}")
  done
  local IFS=,
  echo "[${lines[*]}]"
}

# {"NAME":"35MiB / 512MiB",…}: as Docker words it, without those that it cannot be known of.
memory() {
  local name used total
  read -r _ total _ <"$PROCESSES/meminfo"
  total=$((total * 1024))
  for name in "$@"; do
    if [[ ! -v pid[$name] ]]; then continue; fi
    if ((pid[$name] == 0)); then
      echo "$name 0 0"
    elif used=$(used_memory "${id[$name]}" "${pid[$name]}"); then
      # Without a limit, or with one above it, the limit is the machine's memory.
      echo "$name $used $((0 < limit[$name] && limit[$name] < total ? limit[$name] : total))"
    fi
  done | memory_in_words
}

# ask ADDRESS PORT PATH SECONDS HOST: the whole answer to a GET, in base64; empty where there is none.
ask() {
  # shellcheck disable=SC2016
  timeout "$4" bash -c '
    exec 3<>"/dev/tcp/$0/$1"
    printf "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$2" "$3" >&3
    cat <&3' "$1" "$2" "$3" "$5" 2>/dev/null | base64 -w 0 || true
}

# Asks PostgreSQL for a session over the network, and goes away when it wants the password: then it accepts connections.
# pg_isready does the same, but a process inside a container takes a tenth of a second to start.
wants_password() {
  local length
  # dd reads the whole answer: PostgreSQL would log a connection that ends with a part of it unread.
  # Two numbers of four bytes, and four texts and the end, each with a zero after it.
  printf -v length '\\x%02x' $((4 + 4 + 5 + ${#ROLE} + 1 + 9 + ${#DATABASE} + 1 + 1))
  # shellcheck disable=SC2016
  [[ R == "$(timeout 1 bash -c '
    exec 3<>"/dev/tcp/$0/$1"
    printf "\0\0\0$2\0\3\0\0user\0%s\0database\0%s\0\0" "$3" "$4" >&3
    dd bs=1024 count=1 <&3' "$1" "$DATABASE_PORT" "$length" "$ROLE" "$DATABASE" | head -c 1)" ]]
}

# pg_isready has the last word: the container's address may be out of reach.
database_is_ready() {
  if wants_password "${address[$DATABASE_CONTAINER]-}" ||
    docker exec "$DATABASE_CONTAINER" pg_isready -q -h 127.0.0.1 -U "$ROLE" -d "$DATABASE"; then
    echo true
  else
    echo false
  fi
}

gate() {
  if gate_is_closed; then echo true; else echo false; fi
}

certificate() {
  if [[ -z $DOMAIN ]]; then return 0; fi
  docker exec "$PROXY" sh -c 'cat "$1"/caddy/certificates/*/"$0"/"$0".crt' "$DOMAIN" "$CERTIFICATES" | base64 -w 0
}

# The bot's whole answer, the milliseconds that it took, and the public page. A closed gate holds that, and what it would
# answer means nothing.
answers() {
  local began=${EPOCHREALTIME/[.,]/} health='' milliseconds page='' seconds=$PAGE_SECONDS
  if [[ -n ${address[$BOT]-} ]]; then health=$(ask "${address[$BOT]}" "$PORT" "$HEALTH_PATH" "$BOT_SECONDS" "${address[$BOT]}"); fi
  milliseconds=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
  if [[ -z $health ]]; then seconds=$PROXY_SECONDS; fi
  if [[ $1 == false ]]; then page=$(ask 127.0.0.1 "$PUBLIC_PORT" "$HEALTH_PATH" "$seconds" "${DOMAIN:-localhost}"); fi
  printf '"health":"%s","healthMilliseconds":%s,"page":"%s",' "$health" "$milliseconds" "$page"
}

# SIZE FREE in bytes of the file system that a directory is on, which this user may not be able to read.
disk_of() {
  local directory=$1 disk
  while ! disk=$(df -B1 --output=size,avail "$directory" 2>/dev/null); do directory=$(dirname "$directory"); done
  tail -n 1 <<<"$disk"
}

# The newest backup, and the newest verified one: the last lines of the manifest that a crash has not cut off.
last_backups() {
  local manifest=$BACKUP_MANIFEST
  if [[ ! -r $manifest ]]; then manifest=/dev/null; fi
  LC_ALL=C awk '
    /^[{].*[}]$/ { last = $0; if (/"verified":true,/) verified = $0 }
    END { printf "\"backup\":%s,\"verifiedBackup\":%s", last ? last : "null", verified ? verified : "null" }' "$manifest"
}

remembered() {
  if [[ -s $1 ]]; then echo "$(<"$1")"; else echo null; fi
}

main() {
  local names=("$BOT" "$DATABASE_CONTAINER" "$PROXY") size free load
  local root facts backups zone gate certificate memory ready
  # Each start of docker's command takes a while, so what can runs side by side.
  begin facts docker container inspect --format "$FACTS" "${names[@]}"
  begin root docker info --format '{{.DockerRootDir}}'
  begin gate gate
  begin certificate certificate
  begin backups last_backups
  begin zone time_zone
  finish facts
  if [[ -n $facts ]]; then learn <<<"$facts"; fi
  begin ready database_is_ready
  begin memory memory "${names[@]}"
  finish root
  [[ -n $root ]] || refuse "Docker does not answer on the server; start it there with: systemctl start docker"
  read -r size free < <(disk_of "$root")
  read -r -d '' load </proc/loadavg || true
  finish memory
  finish ready
  finish gate
  finish certificate
  finish backups
  finish zone
  if [[ -n ${token[$BOT]-} ]]; then echo "token=${token[$BOT]}"; fi
  printf '{"clock":%(%s)T,"containers":%s,"memory":%s,"databaseReady":%s,"gateClosed":%s,' \
    -1 "$(containers "${names[@]}")" "$memory" "$ready" "$gate"
  # Last and alone: what this script itself keeps busy is no part of the time that an answer takes.
  answers "$gate"
  printf '"disk":{"size":%s,"free":%s},"load":"%s","timeZone":"%s",' \
    "$size" "$free" "${load% * *}" "$zone"
  printf '"certificate":"%s",%s,"drift":%s,"remembered":%s}\n' \
    "$certificate" "$backups" "$(remembered "$DRIFT")" "$(remembered "$HEALTH")"
}

main
