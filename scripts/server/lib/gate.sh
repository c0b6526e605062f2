# shellcheck shell=bash
# The proxy's gate: while it is closed, requests wait (container/Caddyfile). Takes PROXY, and GATE: the file in the proxy
# container's memory that closes it. A restart of the container opens it.

# A request that looked at the gate just before it closed has only to be passed on, which takes milliseconds, before it
# counts as in flight.
readonly PASSING_SECONDS=0.1
# An answer of the shell in the proxy's container takes milliseconds; without one in this time, another way is taken.
readonly ANSWER_SECONDS=3

# Prints how many requests the bot has, by its address, which the container's environment names. What waits has none.
# shellcheck disable=SC2016 # for the shell in the container
readonly COUNT='wget -q -O - http://127.0.0.1:2019/reverse_proxy/upstreams | tr "{" "\n" |
  sed -n "s/^\"address\":\"$UPSTREAM\",\"num_requests\":\([0-9]*\).*/\1/p" | awk "{ sum += \$1 } END { print sum + 0 }"'

# Starts a shell in the proxy's container: each `docker exec` would take a tenth of a second, in which requests wait.
# Everything works without it, too.
enter_proxy() {
  # A proxy that is stopped meanwhile ends the shell, and a write to it fails.
  trap '' PIPE
  coproc PROXY_SHELL { exec docker exec -i "$PROXY" sh 2>/dev/null; }
}

# Runs a command in the proxy's container that prints one line, which then is in `reply`.
reply=''
in_proxy() {
  if [[ -n ${PROXY_SHELL_PID-} ]] && echo "$1" 2>/dev/null >&"${PROXY_SHELL[1]}" &&
    read -r -t "$ANSWER_SECONDS" -u "${PROXY_SHELL[0]}" reply; then
    return 0
  fi
  reply=$(docker exec "$PROXY" sh -c "$1")
}

# How many requests the bot has, in `reply`.
in_flight() {
  in_proxy "$COUNT"
}

# Closes the gate and returns when no request is in flight any more, at the latest after DRAIN_SECONDS. The gate opens
# by itself after HOLD_SECONDS, even when this machine, the connection or the caller is gone. `gate_token` tells one
# hold from another; it stays empty where no proxy runs: then there are no requests to hold. `closed_at` is the time.
gate_token='' closed_at=''
hold_requests() {
  local deadline token=$$-$RANDOM timer
  # First what opens the gate again. Only the newest hold may: an earlier timer finds another token in the file. What is
  # asked of Docker here, it does side by side.
  docker exec -d "$PROXY" sh -c \
    'sleep "$1"; if [ "$(cat "$2")" = "$0" ]; then rm "$2"; fi' "$token" "$HOLD_SECONDS" "$GATE" 2>/dev/null &
  timer=$!
  enter_proxy
  if ! wait "$timer"; then
    if is_running "$PROXY"; then refuse "The proxy $PROXY takes no commands; start it anew with: docker restart $PROXY"; fi
    return 0
  fi
  gate_token=$token
  # shellcheck disable=SC2034 # callers read it
  closed_at=${EPOCHREALTIME/[.,]/}
  close_again
  sleep "$PASSING_SECONDS"
  deadline=$((SECONDS + DRAIN_SECONDS))
  while
    in_flight
    ((reply > 0 && SECONDS < deadline))
  do
    sleep 0.05
  done
}

# Closes the gate once more in the same hold: what opens it by itself still waits.
close_again() {
  in_proxy "echo $gate_token >$GATE && echo closed"
}

open_gate() {
  in_proxy "rm -f $GATE && echo open"
}
