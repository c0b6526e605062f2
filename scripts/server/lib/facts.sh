# shellcheck shell=bash
# What the judgement rests on, as far as it can be found out: `fact`. Nothing is changed. Needs lib/side-by-side.sh,
# lib/memory.sh, lib/backup-facts.sh and lib/system-facts.sh.
# shellcheck disable=SC2034,SC2154 # shared with the script and the other files here

# The bot answers within two seconds whatever state it is in, and a page that is held may wait for a while. While the bot
# does not answer, only the proxy's own page is to be expected.
readonly BOT_SECONDS=5
readonly PAGE_SECONDS=10
readonly PROXY_SECONDS=2
readonly TELEGRAM_SECONDS=5

declare -A fact=()
# The bot's token, from its container; it stays in this process and in curl's standard input.
token=''

# A space ends each field. `.ID` is in Docker's own words; with the `.Id` of its JSON, a missing label would read
# "<no value>". Of the environment of containers nothing is looked at but the bot's token.
readonly CONTAINER='{{slice .Name 1}} {{.ID}} {{.State.Pid}} {{.HostConfig.Memory}} {{.State.Status}} {{with .State.Health}}{{.Status}}{{else}}-{{end}} {{.State.StartedAt}} {{.Created}} {{.RestartCount}} {{.State.OOMKilled}} {{or (index .Config.Labels "'"$REVISION_LABEL"'") "-"}} {{.Image}} -{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} -{{range .Config.Env}}{{if eq (index (split . "=") 0) "TELEGRAM_TOKEN"}}{{slice . 15}}{{end}}{{end}}'

# What Docker knows of the containers, by their names; nothing of one that is gone.
learn() {
  local name key id pid limit status health started created restarts killed commit image address its_token
  while read -r name id pid limit status health started created restarts killed commit image address its_token; do
    for key in id pid limit status health started created restarts killed commit image; do fact[$name.$key]=${!key}; done
    fact[$name.address]=${address#-}
    if [[ $name == "$BOT" ]]; then token=${its_token#-}; fi
  done
  for name in "${containers[@]}"; do : "${fact[$name.status]:=gone}"; done
}

# pg_isready has the last word: the container's address may be out of reach.
database_is_ready() {
  if wants_password "${fact[$DATABASE_CONTAINER.address]-}" ||
    docker exec "$DATABASE_CONTAINER" pg_isready -q -h 127.0.0.1 -U "$ROLE" -d "$DATABASE"; then
    echo yes
  fi
}

# {"NAME":"35MiB / 512MiB",…}: as Docker words it, without those that it cannot be known of.
memory() {
  local name used total
  read -r _ total _ <"$PROCESSES/meminfo"
  total=$((total * 1024))
  for name in "${containers[@]}"; do
    if [[ ${fact[$name.status]} == gone ]]; then continue; fi
    if ((fact[$name.pid] == 0)); then
      echo "$name 0 0"
    elif used=$(used_memory "${fact[$name.id]}" "${fact[$name.pid]}"); then
      # Without a limit, or with one above it, the limit is the machine's memory.
      echo "$name $used $((0 < fact[$name.limit] && fact[$name.limit] < total ? fact[$name.limit] : total))"
    fi
  done | memory_in_words
}

killed() {
  local name
  for name in "${containers[@]}"; do
    if ((${fact[$name.pid]-0} > 0)) && killed_beside "${fact[$name.id]}" "${fact[$name.pid]}"; then return 0; fi
  done
}

# When the gate was closed, and by which process; nothing while it is open.
gate() {
  # shellcheck disable=SC2016 # for the shell in the container
  docker exec "$PROXY" sh -c 'stat -c %Y "$0" && cat "$0"' "$GATE"
}

# Looks at the gate, and at what has closed it: learn_gate ANSWER, an answer of `gate`.
learn_gate() {
  local closed='' holder=''
  { read -r closed && read -r holder; } <<<"$1" || true
  fact[gate]=$closed fact[work]=''
  if [[ -z $closed ]]; then return 0; fi
  if [[ -e $UPGRADE_JOURNAL ]]; then
    fact[work]='an upgrade'
  elif [[ -e $RESTORE_JOURNAL ]]; then
    fact[work]='a restore'
  elif [[ -e $SWAP_LOCK ]] && ! flock --shared --nonblock "$SWAP_LOCK" true; then
    fact[work]='a release'
  elif [[ $holder =~ ^([0-9]+)- && -d /proc/${BASH_REMATCH[1]} ]]; then
    fact[work]='a restart'
  fi
}

look_at_gate_again() {
  learn_gate "$(gate 2>/dev/null </dev/null || true)"
}

# How many updates wait at Telegram for the bot; nothing if it cannot be asked. That disturbs no poller.
pending_updates() {
  printf 'url = "%s/bot%s/getWebhookInfo"\n' "$BOT_API_URL" "$token" |
    curl -sS -m "$TELEGRAM_SECONDS" --config - | grep -oE '"pending_update_count": *[0-9]+' | grep -oE '[0-9]+$'
}

# The bot's own answer, the milliseconds that it took, and the public page. A closed gate holds that, and what it would
# answer means nothing.
learn_answers() {
  local began=${EPOCHREALTIME/[.,]/} answer='' seconds=$PAGE_SECONDS address=${fact[$BOT.address]-}
  if [[ -n $address ]]; then answer=$(ask "$address" "$PORT" "$HEALTH_PATH" "$BOT_SECONDS" "$address"); fi
  fact[health.milliseconds]=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
  fact[health.status]=$(status_in "$answer")
  fact[health.reasons]=$(reasons_in "$answer")
  fact[poller.seconds]=$(poller_in "$answer")
  if [[ -z $answer ]]; then seconds=$PROXY_SECONDS; fi
  if [[ -z ${fact[gate]} ]]; then
    fact[page.status]=$(status_in "$(ask 127.0.0.1 "$PUBLIC_PORT" "$HEALTH_PATH" "$seconds" "${DOMAIN:-localhost}")")
  fi
  # A release may have closed the gate just before the question.
  if [[ -z ${fact[gate]} && (${fact[health.status]} != 200 || ${fact[page.status]} != [23]*) ]]; then look_at_gate_again; fi
}

# The status of an HTTP answer, 0 where there was none.
status_in() {
  if [[ $1 =~ ^HTTP/[^\ ]+\ ([0-9]{3}) ]]; then echo "${BASH_REMATCH[1]}"; else echo 0; fi
}

# The bot's own reasons for an unhealthy answer, if it gives any: "reasons": ["…"]. They may have brackets in them.
reasons_in() {
  local list text='"([^"\\]|\\.)*"'
  if [[ $1 =~ \"reasons\":[[:space:]]*\[(([[:space:],]*$text)*)[[:space:]]*\] ]]; then
    list=${BASH_REMATCH[1]//[[:cntrl:]]/ }
    list=${list//\", \"/; }
    list=${list//\",\"/; }
    echo "${list//\"/}"
  fi
}

# Whole seconds since the bot's poller got through to Telegram, where it tells: "seconds_since_success": 3.2.
poller_in() {
  if [[ $1 =~ \"seconds_since_success\":[[:space:]]*([0-9]+) ]]; then echo "${BASH_REMATCH[1]}"; fi
}

gather() {
  local docker_root='' inspected='' gate_answer='' certificates='' backups='' pending='' ready='' synchronised='' memory_json='' oom=''
  # Each start of docker's command takes a while, so what can runs side by side.
  begin inspected docker container inspect --format "$CONTAINER" "${containers[@]}"
  begin docker_root docker info --format '{{.DockerRootDir}}'
  begin gate_answer gate
  begin certificates certificate_end
  begin backups read_manifest
  begin synchronised synchronisation
  finish inspected
  finish docker_root
  fact[docker]=$docker_root
  if [[ -n $docker_root ]]; then
    learn <<<"$inspected"
    begin ready database_is_ready
    begin memory_json memory
    begin oom killed
    if [[ -n $token ]]; then begin pending pending_updates; fi
    finish ready
    finish memory_json
    finish oom
    fact[database]=$ready fact[oom]=$oom fact[memory]=$memory_json
  fi
  learn_disk "${docker_root:-/}"
  learn_system
  finish backups
  learn_backups <<<"$backups"
  finish certificates
  finish synchronised
  fact[certificate.ends]=$certificates fact[synchronised]=$synchronised
  finish gate_answer
  if [[ -n $docker_root ]]; then
    learn_gate "$gate_answer"
    # What had closed it may have ended before it was looked for.
    if [[ -n ${fact[gate]} && -z ${fact[work]} ]]; then look_at_gate_again; fi
    if [[ -n $token ]]; then finish pending; fi
    fact[pending]=$pending
    # Last and alone: what this script itself keeps busy is no part of the time that an answer takes.
    learn_answers
  fi
}
