# shellcheck shell=bash
# The bot around a change of its database: the proxy holds requests, the bot stops, and starts again on the new data.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# Has the proxy hold requests, for at most SECONDS: close_gate SECONDS. Returns when none is in flight.
close_gate() {
  "$HERE/hold-requests.sh" "${setting[proxy]}" "$1"
}

gate_is_open() {
  is_running "${setting[proxy]}" && ! docker exec "${setting[proxy]}" test -e /gate/closed
}

stop_bot() {
  docker stop --time "${setting[botStopSeconds]}" "${setting[bot]}" >/dev/null
}

# Starts the bot, waits until it is healthy, and then has the proxy let in the requests that it holds.
start_bot() {
  docker start "${setting[bot]}" >/dev/null
  await_bot
}

await_bot() {
  local gate=()
  if is_running "${setting[proxy]}"; then gate=("${setting[proxy]}" "${setting[page]}"); fi
  "$HERE/await-healthy.sh" "${setting[bot]}" "${setting[healthySeconds]}" "${gate[@]}"
}
