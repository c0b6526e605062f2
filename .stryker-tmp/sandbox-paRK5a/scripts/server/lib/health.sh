# shellcheck shell=bash
# Waits for containers to get healthy. Needs lib/common.sh and lib/gate.sh.

# Waits until the bot is healthy and opens the gate that hold_requests closed; takes BOT, PROXY, PAGE (such as
# 5000/health, asked from inside the proxy, which notices seconds before Docker does), GATE, HEALTHY_SECONDS,
# STEADY_SECONDS, HEALTHY_FINGERPRINTS and CONTAINER_PIDS.
#
# A bot that has just begun to answer may crash a moment later. So an image with an environment that has never run here
# must stay up for STEADY_SECONDS before requests are let in; one that has passed once, as in a rollback, need not again.
await_bot() {
  local mark steady=0 through=''
  mark=$(fingerprint_of "$BOT")
  grep -qsxF "$mark" "$HEALTHY_FINGERPRINTS" || steady=$STEADY_SECONDS
  if is_running "$PROXY"; then through=$PAGE; fi
  await_healthy "$BOT" "$HEALTHY_SECONDS" "$steady" "$through"
  if [[ -n $through ]]; then open_gate; fi
  if ((steady > 0)); then (umask 077 && echo "$mark" >>"$HEALTHY_FINGERPRINTS"); fi
}

# Waits until PostgreSQL is healthy; takes DATABASE_CONTAINER, READY_SECONDS and CONTAINER_PIDS.
await_database() {
  await_healthy "$DATABASE_CONTAINER" "$READY_SECONDS" 0 ''
}

fingerprint_of() {
  docker inspect --format '{{.Image}} {{json .Config.Env}} {{json .Config.Cmd}}' "$1" | sha256sum | cut -c 1-64
}

# await_healthy CONTAINER SECONDS STEADY THROUGH: gives up at once when Docker calls the container unhealthy or has to
# start it again; then the container's last log lines come before the sentence. THROUGH is the page to ask for from
# inside the proxy, or empty.
await_healthy() {
  local container=$1 seconds=$2 steady=$3 through=$4 deadline=$((SECONDS + $2)) since='' status restarts health address
  local state='{{.State.Status}} {{.RestartCount}} {{with .State.Health}}{{.Status}}{{else}}none{{end}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
  while true; do
    read -r status restarts health address < <(docker inspect --format "$state" "$container") ||
      refuse "The container $container is gone; put it back with: ./delivery deploy"
    if [[ $health == unhealthy ]]; then give_up "$container" "is unhealthy"; fi
    if [[ $health == healthy ]] && ((steady == 0)); then break; fi
    # During a restart the count may lag behind the state.
    if ((restarts > 0)) || [[ $status == exited || $status == dead || $status == restarting ]]; then
      give_up "$container" "does not stay up ($status, restarted $restarts times)"
    fi
    if [[ $health == healthy ]] || is_answering "$address" "$through"; then
      : "${since:=$SECONDS}"
      if ((SECONDS - since >= steady)); then break; fi
    else
      since=''
    fi
    ((SECONDS < deadline)) || give_up "$container" "is not healthy after $seconds seconds"
    sleep 0.2
  done
  # The Docker provider has no such property.
  docker update --pids-limit "$CONTAINER_PIDS" "$container" >/dev/null
}

is_answering() {
  [[ -n $2 ]] && docker exec "$PROXY" timeout 2 wget -q -O /dev/null "http://$1:$2" 2>/dev/null
}

give_up() {
  docker logs --tail 20 "$1" >&2 2>&1 || true
  refuse "The container $1 $2; its last log lines stand above. \`./delivery logs\` shows more."
}
