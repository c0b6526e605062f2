# shellcheck shell=bash
# The proxy's gate: while it is closed, Caddy's health check of the bot fails, and requests wait. Takes PROXY, and GATE:
# the file in the proxy container's memory that closes it. A restart of the container opens it.

# Caddy asks for the gate's state every 200 ms (container/Caddyfile); after three times that it has noticed.
readonly NOTICE_SECONDS=0.6

in_flight() {
  docker exec "$PROXY" wget -q -O - http://127.0.0.1:2019/reverse_proxy/upstreams |
    awk -v RS=, -F: '/"num_requests"/ { sum += $2 } END { print sum + 0 }'
}

# Closes the gate and returns when no request is in flight any more, at the latest after DRAIN_SECONDS. The gate opens
# by itself after HOLD_SECONDS, even when this machine, the connection or the caller is gone. `gate_token` tells one
# hold from another; it stays empty where no proxy runs: then there are no requests to hold.
gate_token=''
hold_requests() {
  local deadline
  is_running "$PROXY" || return 0
  gate_token=$$-$RANDOM
  # Only the newest hold may open the gate: an earlier timer finds another token in the file.
  docker exec -d "$PROXY" sh -c \
    'echo "$0" >"$2"; sleep "$1"; if [ "$(cat "$2")" = "$0" ]; then rm "$2"; fi' "$gate_token" "$HOLD_SECONDS" "$GATE"
  sleep "$NOTICE_SECONDS"
  deadline=$((SECONDS + DRAIN_SECONDS))
  while (($(in_flight) > 0 && SECONDS < deadline)); do sleep 0.1; done
}

open_gate() {
  docker exec "$PROXY" rm -f "$GATE"
}

gate_is_closed() {
  docker exec "$PROXY" test -e "$GATE" 2>/dev/null
}
