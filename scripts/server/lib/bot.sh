# shellcheck shell=bash
# The bot around a change of its database: the proxy holds requests, the bot stops, and starts again on the new data.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# Has the proxy hold requests, for at most SECONDS: close_gate SECONDS. Returns when none is in flight.
close_gate() {
  env PROXY="${setting[proxy]}" GATE="${setting[gate]}" DRAIN_SECONDS="${setting[drainSeconds]}" HOLD_SECONDS="$1" \
    "$HERE/hold-requests.sh"
}

# Notes in `bot`, which journals keep, whether the bot is running or stopped.
note_bot() {
  bot=stopped
  if is_running "${setting[bot]}"; then bot=running; fi
}

# Waits until no swap or restart of the bot is under way, and keeps another one from beginning: hold_swaps. A swap that was
# cut off is ended first, since the bot may have another name in it. Once a stage of standstill is in the journal
# (lib/standstill.sh), that keeps swaps from beginning, and release_swaps must let waiting ones read it.
hold_swaps() {
  env SETTINGS="$settings_file" "$HERE/swap-bot.sh" recover || true
  mkdir -p "${setting[swapDirectory]}"
  exec {swap_lock}>"${setting[swapLock]}"
  flock -w "$((setting[holdSeconds] + setting[probationSeconds]))" "$swap_lock" ||
    refuse "A release or a restart of the bot does not come to its end; see \`docker ps --all\` on the server."
  [[ ! -e ${setting[swapJournal]} ]] ||
    refuse "A release was cut off while it swapped the bot; end it with \`./delivery deploy\`, then try again."
}

release_swaps() {
  exec {swap_lock}>&-
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
