# shellcheck shell=bash
# The proxy's gate: while it is closed, requests wait (container/Caddyfile). Takes PROXY, and GATE: the file in the proxy
# container's memory that closes it. A restart of the container opens it.

# A request that looked at the gate just before it closed has only to be passed on, which takes milliseconds, before it
# counts as in flight.
readonly PASSING_SECONDS=0.2

# How many requests the bot has, by its address, which the container's environment names. What waits has none.
in_flight() {
  # shellcheck disable=SC2016 # for the shell in the container
  docker exec "$PROXY" sh -c 'wget -q -O - http://127.0.0.1:2019/reverse_proxy/upstreams | tr "{" "\n" |
    sed -n "s/^\"address\":\"$UPSTREAM\",\"num_requests\":\([0-9]*\).*/\1/p"' |
    awk '{ sum += $1 } END { print sum + 0 }'
}

# Closes the gate and returns when no request is in flight any more, at the latest after DRAIN_SECONDS. The gate opens
# by itself after HOLD_SECONDS, even when this machine, the connection or the caller is gone. `gate_token` tells one
# hold from another; it stays empty where no proxy runs: then there are no requests to hold.
gate_token=''
hold_requests() {
  local deadline
  is_running "$PROXY" || return 0
  gate_token=$$-$RANDOM
  # First what opens the gate again. Only the newest hold may: an earlier timer finds another token in the file.
  docker exec -d "$PROXY" sh -c \
    'sleep "$1"; if [ "$(cat "$2")" = "$0" ]; then rm "$2"; fi' "$gate_token" "$HOLD_SECONDS" "$GATE"
  # shellcheck disable=SC2016 # for the shell in the container
  docker exec "$PROXY" sh -c 'echo "$0" >"$1"' "$gate_token" "$GATE"
  sleep "$PASSING_SECONDS"
  deadline=$((SECONDS + DRAIN_SECONDS))
  while (($(in_flight) > 0 && SECONDS < deadline)); do sleep 0.1; done
}

open_gate() {
  docker exec "$PROXY" rm -f "$GATE"
}

gate_is_closed() {
  docker exec "$PROXY" test -e "$GATE" 2>/dev/null
}
