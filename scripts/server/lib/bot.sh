# shellcheck shell=bash
# The bot around a change of its database: the proxy holds requests, the bot stops, and starts again on the new data.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# Has the proxy hold requests, for at most SECONDS: close_gate SECONDS. Returns when none is in flight.
close_gate() {
  env PROXY="${setting[proxy]}" GATE="${setting[gate]}" DRAIN_SECONDS="${setting[drainSeconds]}" HOLD_SECONDS="$1" \
    "$HERE/hold-requests.sh"
}

gate_is_open() {
  is_running "${setting[proxy]}" && ! docker exec "${setting[proxy]}" test -e "${setting[gate]}"
}

stop_bot() {
  docker stop --time "${setting[botStopSeconds]}" "${setting[bot]}" >/dev/null
}

# Starts the bot, waits until it is healthy, and then has the proxy let in the requests that it holds.
start_bot() {
  docker start "${setting[bot]}" >/dev/null
  env SETTINGS="$settings_file" "$HERE/await-healthy.sh" bot
}
