# shellcheck shell=bash
# The guard of a swap: a process that stops the bot, follows its new container, and has the old one run again where that
# does not get well. Needs lib/common.sh, lib/gate.sh, lib/health.sh, lib/leftovers.sh, lib/redact.sh and
# lib/standstill.sh; takes what swap-bot.sh needs, the name BEFORE, and the files LOG, ABANDONED and PASSWORD_SET.
# shellcheck disable=SC2154 # shared with swap-bot.sh and the other files here

# Seconds in which a bot that is given up may still end by itself.
readonly LAST_SECONDS=2
# Seconds between two looks for the new container: each costs as much of Docker's time, which makes it meanwhile.
readonly LOOK_PAUSE=0.05
# Lines of the log of a bot that was given up.
readonly VERDICT_LINES=20
# As many are read for them, since Docker counts those that come too late, too.
readonly READ_LINES=1000

# --- the journal: the id of the old container, where there is one

# On the disk when this returns.
begin_journal() {
  echo "$old" >"$SWAP_JOURNAL.new"
  sync "$SWAP_JOURNAL.new"
  mv "$SWAP_JOURNAL.new" "$SWAP_JOURNAL"
}

# One guard at a time: take_lock SECONDS_TO_WAIT. File descriptor 9 carries the lock. To wait for the end of a swap is to
# wait for the lock.
take_lock() {
  exec 9>"$SWAP_LOCK"
  flock -w "$1" 9
}

# Ends the swap of a guard that has died: the new container may still prove itself.
end_abandoned() {
  [[ -e $SWAP_JOURNAL ]] || return 0
  read -r old <"$SWAP_JOURNAL" || old=''
  say "an earlier swap has lost its guard"
  # What it has done is not known.
  clock
  opened=$now renewed=yes
  rm -f "$ABANDONED"
  await_docker
  has_container "$old" || old=''
  if look_at "$BOT" && [[ $id != "$old" ]]; then
    docker start "$id" >/dev/null
    follow
  else
    put_back 'was never made'
  fi
}

# --- the guard

# When this swap has let requests in, and whether it has changed the password of the database's role.
opened='' renewed=''

# Says a word, or why there is no swap, to `begin`, which then ends.
tell() {
  echo "$1"
  exec >&2
}

guard() {
  local leftover
  take_lock "$HOLD_SECONDS" || {
    tell "Another swap of $BOT does not come to its end on the server; see $LOG there."
    exit 1
  }
  # A restore or an upgrade has come to that while this one waited for the lock.
  if stands_still; then
    tell "$STANDSTILL"
    exit 1
  fi
  end_abandoned
  rm -f "$SWAP_VERDICT" "$ABANDONED"
  old='' told=''
  docker rm --force "$BEFORE" >/dev/null 2>&1 &
  leftover=$!
  if look_at "$BOT"; then old=$id; fi
  trap 'finish $?' EXIT
  trap 'exit 130' INT TERM HUP
  begin_journal
  hold_requests
  if [[ -n $old ]]; then
    docker stop --time "$BOT_STOP_SECONDS" "$old" >/dev/null
    wait "$leftover" || true
    docker rename "$old" "$BEFORE"
  fi
  renew_password
  told=yes
  tell ready
  follow
}

# What tells one image with an environment from another.
fingerprint_of() {
  docker container inspect --format '{{.Image}} {{json .Config.Env}} {{json .Config.Cmd}}' "$1" | sha256sum | cut -c 1-64
}

# Follows the new container from its making to the end of its probation.
follow() {
  local mark
  await_container || return 0
  if ! await_good "$BOT" "$START_SECONDS" new; then
    put_back "$fault"
    return 0
  fi
  open_gate || say "the proxy does not answer"
  clock
  opened=$now
  held=$((now - ${closed_at:-$now}))
  # From here on the bot serves: nothing but the bot itself is a reason to give it up.
  limit_processes "$BOT" || say "Docker is away"
  mark=$(fingerprint_of "$BOT") || mark=''
  if ! grep -qsxF "$mark" "$HEALTHY_FINGERPRINTS"; then
    if ! stays_good "$BOT" "$PROBATION_SECONDS"; then
      clock
      put_back "$fault, $(((now - opened) / 1000000)) s after its first good answer"
      return 0
    fi
    echo "$mark" >>"$HEALTHY_FINGERPRINTS"
  fi
  write_verdict good "$held"
  end
}

# Waits until the new container runs, or puts the old one back.
await_container() {
  local deadline=$((SECONDS + MAKE_SECONDS))
  until look_at "$BOT" && [[ $id != "$old" && $status != created ]]; do
    if [[ -e $ABANDONED ]]; then
      put_back 'could not be made'
      return 1
    fi
    if ((SECONDS >= deadline)); then
      put_back "was not made within $MAKE_SECONDS s"
      return 1
    fi
    sleep "$LOOK_PAUSE"
  done
}

set_password() {
  env DATABASE_CONTAINER="$DATABASE_CONTAINER" ROLE="$ROLE" "${0%/*}/set-password.sh" "$@"
}

# The role of the database gets a new password only while the bot stands: the old one knows the old password.
renew_password() {
  local wanted
  wanted=$(sha256sum "$PASSWORD_SOURCE" | cut -c 1-64)
  if [[ -e $PASSWORD_SET && $(<"$PASSWORD_SET") == "$wanted" ]]; then return 0; fi
  renewed=yes
  set_password
  echo "$wanted" >"$PASSWORD_SET"
}

# --- the way back

# Has the old container run again: put_back REASON. Where there is none, the new one stays as it is, to be looked at.
# Requests wait meanwhile, so Docker is called no more often than needed. What Docker refuses is tried again: it may still
# be making a container for a caller that is gone, which has the bot's name long before it shows.
put_back() {
  local deadline=$((SECONDS + HOLD_SECONDS))
  if [[ -z $old ]]; then
    find_bot
    write_verdict failed "$1"
  else
    hold_again
    until start_old "$1"; do
      await_docker
      has_container "$old" || break
      ((SECONDS < deadline)) || leave_to_others
      end_leftovers "$old"
      sleep "$LOOK_PAUSE"
    done
    await_good "$BOT" "$START_SECONDS" || say "the old container $fault either"
  fi
  open_gate || say "the proxy does not answer"
  end
}

# Fills `id` with that of the container with the bot's name; empty where none has it.
find_bot() {
  if ! look_at "$BOT"; then
    await_docker
    look_at "$BOT" || id=''
  fi
}

# Starts the old container under its name, in the place of a new one: start_old REASON. Fails where Docker refuses any of it.
start_old() {
  find_bot
  if [[ $id != "$old" ]]; then
    if [[ -n $id ]]; then
      write_verdict failed "$1"
      # One that is alive may finish what it does, if it has ever answered. One that has ended is begun anew by Docker
      # again and again.
      if [[ -z $ended && -n $answered ]]; then docker stop --time "$LAST_SECONDS" "$id" >/dev/null 2>&1 || true; fi
      docker rm --force "$id" >/dev/null || return 1
      end_leftovers "$id"
    fi
    docker rename "$old" "$BOT" || return 1
    if [[ -n $renewed ]]; then restore_password; fi
  fi
  docker start "$old" >/dev/null
}

# The journal stays, for the next one who has the lock.
leave_to_others() {
  trap - EXIT
  say "the old container cannot be started"
  exit 1
}

# Closes the gate that was opened for a bot that failed then. With one that is dead, nothing is in flight.
hold_again() {
  if [[ -z $opened ]]; then return 0; fi
  if [[ -n $gate_token && -n $ended ]]; then
    close_again || true
  else
    # With a proxy that takes no commands the old one runs again all the same.
    (hold_requests) || true
  fi
}

# The password that the old container knows, from its own environment; it travels on standard input.
restore_password() {
  rm -f "$PASSWORD_SET"
  docker container inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$old" | sed -n 's/^POSTGRES_PASSWORD=//p' |
    set_password - || true
}

await_docker() {
  until docker version >/dev/null 2>&1; do sleep 1; done
}

# --- the end

# The verdict, a line each: the word, the container's id, how long requests were held or the reason, which ends with the
# last line of the log, then the log's last lines.
write_verdict() {
  local log='' reason=$2
  if [[ $1 == failed && -n $id ]]; then
    log=$(last_lines || true)
    # A bot that has ended says why at its end.
    if [[ -n $log && -n $ended ]]; then reason+=": ${log##*$'\n'}"; fi
  fi
  printf '%s\n' "$1" "$id" "$reason" "$log" >"$SWAP_VERDICT.new"
  mv "$SWAP_VERDICT.new" "$SWAP_VERDICT"
}

# The last lines of the log of the bot that is given up. Docker soon starts one that has ended anew, a tenth of a second later
# at the earliest, and notes the time when the process runs already: what that prints says nothing of the end.
last_lines() {
  local again nanoseconds until=${EPOCHREALTIME/,/.}
  again=$(docker container inspect --format '{{if eq .State.Status "running"}}{{.State.StartedAt}}{{end}}' "$id")
  if [[ -n $ended && -n $again ]]; then
    nanoseconds=$(($(date --date "$again" +%s%N) - 100000000))
    until=${nanoseconds:0:-9}.${nanoseconds: -9}
  fi
  docker logs --tail "$READ_LINES" --until "$until" "$id" 2>&1 | redact | tail -n "$VERDICT_LINES"
}

end() {
  rm -f "$SWAP_JOURNAL" "$ABANDONED"
  docker rm --force "$BEFORE" >/dev/null 2>&1 || true
}

# However the guard ends, the swap has an end.
finish() {
  trap - EXIT
  trap '' INT TERM HUP
  # While the server goes down nothing can be started; the next boot ends the swap.
  if [[ ! -e $SWAP_JOURNAL || $(systemctl is-system-running 2>/dev/null) == stopping ]]; then exit "$1"; fi
  put_back "was given up: the swap broke off (see $LOG on the server)"
  [[ -n $told ]] || tell "The bot could not be stopped for the swap; see $LOG on the server. What ran before runs."
  exit 1
}
