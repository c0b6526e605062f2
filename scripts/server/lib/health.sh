# shellcheck shell=bash
# Waits for containers to be well. Needs lib/common.sh and lib/redact.sh.
#
# The bot is asked from the server itself, at its own address: a question costs a few milliseconds and needs nothing in
# the bot's image, so it may come every PROBE_PAUSE. Docker's own health check is far too slow for that.

# Seconds between two questions, and the limit for an answer.
readonly PROBE_PAUSE=0.1
readonly PROBE_SECONDS=2

# Microseconds since some moment, in `now`.
clock() {
  now=${EPOCHREALTIME/[.,]/}
}

# Fills `id`, `status`, `pid`, `restarts`, `exit_status`, `out_of_memory` and `address` of a container; fails where there is
# none. All at once: while Docker starts a container again, each question waits for that.
look_at() {
  local format='{{.Id}} {{.State.Status}} {{.State.Pid}} {{.RestartCount}} {{.State.ExitCode}} {{.State.OOMKilled}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
  # shellcheck disable=SC2034 # callers read them
  read -r id status pid restarts exit_status out_of_memory address < <(docker container inspect --format "$format" "$1" 2>/dev/null)
  # Docker prints an empty line of what it does not find.
  [[ -n $id ]]
}

# The status of the answer to a GET of PAGE (5000/health) at ADDRESS: probe ADDRESS PAGE. Nothing where none comes.
probe() {
  # shellcheck disable=SC2016 # the inner shell's own
  timeout "$PROBE_SECONDS" bash -c '
    exec 3<>"/dev/tcp/$0/$1"
    printf "GET /%s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$2" "$0" >&3
    read -r _ code _ <&3 && echo "$code"' "$1" "${2%%/*}" "${2#*/}" 2>/dev/null || true
}

# Whether the process that look_at has found is still there; the kernel tells at once, and for nothing.
is_alive() {
  ((pid > 0)) && [[ -d /proc/$pid ]]
}

# Waits until the bot answers 200 at PAGE: await_good CONTAINER SECONDS [new]. Otherwise it fails, with the reason in
# `fault`, a phrase that follows the container's name: as soon as the process ends, after two fifths of SECONDS of wrong
# answers, and after SECONDS without any. While Docker itself is away, nothing is known, and the wait goes on. A `new`
# container, which look_at has found, has failed, too, if Docker has had to start it again already. `ended` says that the
# process has ended, and `answered` that it has answered anything.
fault='' ended='' answered='' most_restarts=''
await_good() {
  local container=$1 began now wrong_since='' code
  clock
  began=$now ended='' answered='' most_restarts=${3:+0}
  # A new one has just been looked at.
  if [[ -z ${3-} ]] || ((restarts > 0)); then pid=0; fi
  while true; do
    if ! is_alive && ! look_again "$container"; then return 1; fi
    code=$(probe "$address" "$PAGE")
    if [[ -n $code ]]; then answered=yes; fi
    if [[ $code == 200 ]]; then return 0; fi
    clock
    if [[ -z $code ]]; then wrong_since=''; else : "${wrong_since:=$now}"; fi
    if [[ -n $wrong_since ]] && ((now - wrong_since > $2 * 400000)); then
      fault="answers $code at /${PAGE#*/}, not 200"
      return 1
    fi
    if ((now - began > $2 * 1000000)); then
      fault="does not answer at port ${PAGE%%/*} after $2 s (app.startSeconds)"
      return 1
    fi
    sleep "$PROBE_PAUSE"
  done
}

# Looks whether a container is there and running, or has ended: then it fails, with the reason in `fault`.
look_again() {
  local before=$pid
  until look_at "$1"; do
    if docker version >/dev/null 2>&1; then
      # Docker may have come back between the two questions.
      if look_at "$1"; then break; fi
      fault='is gone'
      return 1
    fi
    sleep 1
  done
  # Restarts of long ago do not count. Where Docker itself was stopped and started, it counts none.
  if ((before == 0)); then : "${most_restarts:=$restarts}"; fi
  if [[ $status == running ]] && ((restarts <= most_restarts)); then return 0; fi
  fault=$(describe_end) ended=yes
  return 1
}

# What has become of the container that look_at has found.
describe_end() {
  if [[ $out_of_memory == true ]]; then
    echo 'ran out of memory'
  elif ((exit_status != 0)); then
    echo "ended with status $exit_status"
  else
    echo 'does not stay up'
  fi
}

# Watches a bot that answers for SECONDS more: stays_good CONTAINER SECONDS. It fails, with the reason in `fault`, as
# soon as the process ends, and when it has not answered well for half of that time.
stays_good() {
  local container=$1 now last end
  clock
  last=$now end=$((now + $2 * 1000000))
  while ((now < end)); do
    sleep "$PROBE_PAUSE"
    if ! is_alive && ! look_again "$container"; then return 1; fi
    if [[ $(probe "$address" "$PAGE") == 200 ]]; then
      clock
      last=$now
    fi
    clock
    if ((now - last > $2 * 500000)); then
      fault="does not answer well any more at /${PAGE#*/}"
      return 1
    fi
  done
}

# Waits until the bot is well and opens the gate that hold_requests closed; takes BOT, PROXY, PAGE, GATE, START_SECONDS
# and CONTAINER_PIDS.
await_bot() {
  await_good "$BOT" "$START_SECONDS" || give_up "$BOT" "$fault"
  if is_running "$PROXY"; then open_gate; fi
  limit_processes "$BOT"
}

# Waits until PostgreSQL accepts connections; takes DATABASE_CONTAINER, ROLE, DATABASE, READY_SECONDS and CONTAINER_PIDS.
await_database() {
  local deadline=$((SECONDS + READY_SECONDS))
  # Over TCP: while the image makes the database, PostgreSQL answers on its socket already.
  until docker exec "$DATABASE_CONTAINER" pg_isready -q -h 127.0.0.1 -U "$ROLE" -d "$DATABASE" 2>/dev/null; do
    look_at "$DATABASE_CONTAINER" || refuse "The container $DATABASE_CONTAINER is gone; put it back with: ./delivery deploy"
    if ((restarts > 0)) || [[ $status == exited || $status == dead || $status == restarting ]]; then
      give_up "$DATABASE_CONTAINER" "$(describe_end)"
    fi
    ((SECONDS < deadline)) || give_up "$DATABASE_CONTAINER" "does not accept connections after $READY_SECONDS s"
    sleep "$PROBE_PAUSE"
  done
  limit_processes "$DATABASE_CONTAINER"
}

# The Docker provider has no such property.
limit_processes() {
  docker update --pids-limit "$CONTAINER_PIDS" "$1" >/dev/null
}

give_up() {
  docker logs --tail 20 "$1" 2>&1 | redact >&2 || true
  refuse "The container $1 $2; its last log lines stand above. \`./delivery logs\` shows more."
}
