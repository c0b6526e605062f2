#!/usr/bin/env bash
# Moves the database to a newer major version of PostgreSQL, into a volume of its own; the old volume is only read.
# operator/database/upgrade.ts runs this over SSH, and has Pulumi switch the containers once the data has been moved.
#
# usage: upgrade-db.sh SETTINGS report    prints MAJOR and VOLUME of what runs, once nothing is left to be undone
#        MAJOR=… IMAGE=… VOLUME=… upgrade-db.sh SETTINGS move
#        upgrade-db.sh SETTINGS recover   undoes an upgrade that was killed
#   SETTINGS  the file that the stack writes (infra/model/server-settings.ts)
#
# `move` talks with the operator's command, a word a line. It makes a verified backup and restores it into the new
# version for a trial, says "ready" and waits for "go"; then it holds the requests, stops the bot, moves the data, says
# "moved" and waits for "switched"; then it starts the bot on the new database and says "done". On a failure it says a
# sentence instead. On every failure, and when the operator's "alive" stops coming, it goes back, with spares of the
# containers (lib/spare.sh): it needs neither the operator nor Pulumi for that, whatever Pulumi has replaced.
# While it runs, DIRECTORY/.upgrade says how far it is (lib/journal.sh).
# Exit status 75: a backup, restore or upgrade is running; 1 with one sentence on standard error: all else.
set -euo pipefail
# A failure inside $(…) ends the script as it would outside.
shopt -s inherit_errexit
umask 077
readonly HERE=${BASH_SOURCE[0]%/*}
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/settings.sh"
source "${BASH_SOURCE[0]%/*}/lib/words.sh"
source "${BASH_SOURCE[0]%/*}/lib/redact.sh"
source "${BASH_SOURCE[0]%/*}/lib/postgres.sh"
source "${BASH_SOURCE[0]%/*}/lib/owner.sh"
source "${BASH_SOURCE[0]%/*}/lib/contents.sh"
source "${BASH_SOURCE[0]%/*}/lib/manifest.sh"
source "${BASH_SOURCE[0]%/*}/lib/bot.sh"
source "${BASH_SOURCE[0]%/*}/lib/successor.sh"
source "${BASH_SOURCE[0]%/*}/lib/spare.sh"
source "${BASH_SOURCE[0]%/*}/lib/journal.sh"
# A connection that has ended shows by its silence; the signal would end this script without a reason.
trap '' PIPE

readonly USAGE="usage: upgrade-db.sh SETTINGS report | move (with MAJOR, IMAGE and VOLUME) | recover"
# "alive" comes every second.
readonly SILENCE_SECONDS=30
# A new cluster and its write-ahead log, before there is any data.
readonly CLUSTER_MB=1024

report() {
  local version
  require_database
  version=$(sql postgres <<<"SHOW server_version_num;")
  echo "$((version / 10000)) $(volume_of "${setting[container]}")"
}

# --- the conversation: words come on file descriptor 8 and go to 7

tell() {
  echo "$1" >&7 || true
}

# Waits for a word. Silence, without even an "alive", ends the upgrade.
await() {
  local word
  while read -r -t "$SILENCE_SECONDS" -u 8 word; do
    if [[ $word == "$1" ]]; then return 0; fi
  done
  refuse "The operator's command does not answer any more, so the upgrade ends here."
}

# --- the way back

# Removes all that an upgrade makes for its own use.
tidy() {
  docker rm --force --volumes "$next" >/dev/null 2>&1 || true
  remove_spares
}

# Whether requests may have been served from a volume, so that the way back would lose what they wrote: is_served VOLUME
is_served() {
  [[ $(volume_of "${setting[container]}") == "$1" ]] && is_running "${setting[bot]}" || return 1
  if gate_is_open; then return 0; fi
  # Once the bot is stopped, nothing opens the gate for it any more.
  stop_bot 2>/dev/null || true
  gate_is_open || return 1
  docker start "${setting[bot]}" >/dev/null
}

await_docker() {
  local deadline=$((SECONDS + setting[readySeconds]))
  until docker version >/dev/null 2>&1; do
    ((SECONDS < deadline)) || refuse "Docker does not answer, so the upgrade is not undone yet; start it, then run on the server: $(recover_command)"
    sleep 1
  done
}

# The sentence goes to the operator before the way back begins, which takes a while.
on_failure() {
  if [[ -n $asked ]]; then tell "$(cat "$scratch/reason" 2>/dev/null || echo "it broke off on the server, see above")"; fi
}

# Goes back to what was there before, from any stage, as often as needed.
undo() {
  await_docker
  if had_reached switching && is_served "${was[volume]}"; then
    say "the new database has taken over and serves already, so it stays; finish with the same \`./delivery database upgrade\`"
    # From here on there is no way back: the journal goes before the spares.
    end_change
    tidy
    return 0
  fi
  say "going back: the upgrade ended while ${was[stage]}"
  if had_reached switching; then
    put_spare_back "${setting[container]}" "${setting[databaseStopSeconds]}"
    put_spare_back "${setting[bot]}" "${setting[botStopSeconds]}"
  fi
  tidy
  docker volume rm --force "${was[volume]}" >/dev/null || say "The volume ${was[volume]} is left over; remove it with: docker volume rm ${was[volume]}"
  if had_reached holding; then
    docker start "${setting[container]}" >/dev/null
    wait_ready "${setting[container]}" "${setting[readySeconds]}" ||
      refuse "The old database does not answer; see \`docker logs ${setting[container]}\`, then run on the server: $(recover_command)"
    # A stop that is still under way must not come after the start.
    stop_bot || true
    start_bot || say "The bot is not healthy on its old database either; see \`docker logs ${setting[bot]}\`."
  fi
  say "what was there is back"
}

# --- an upgrade

check() {
  local major=$1 image=$2 present reach need free
  present=$(report)
  present=${present% *}
  ((major > present)) ||
    refuse "The database is PostgreSQL $present already; only a newer major version can be upgraded to. Nothing was changed."
  docker image inspect "$image" >/dev/null 2>&1 || docker pull --quiet "$image" >/dev/null 2>"$scratch/pull" ||
    refuse "The image $image cannot be pulled on the server ($(tail -n 1 "$scratch/pull")); check that it exists and that the server reaches its registry. Nothing was changed."
  reach=$(image_major "$image")
  [[ $reach == "$major" ]] || refuse "The image $image is PostgreSQL ${reach:-of no known version}, not $major. Nothing was changed."
  # An update that was cut off may leave an empty volume.
  if docker volume inspect "$volume" >/dev/null 2>&1 &&
    [[ -n $(docker run --rm --network none --volume "$volume:/volume:ro" --entrypoint ls "$image" -A /volume 9>&-) ]]; then
    refuse "There is a volume $volume with data already, of an earlier upgrade; if you do not need that data, remove it on the server with: docker volume rm $volume. Nothing was changed."
  fi
  need=$((2 * $(sql "${setting[database]}" <<<"SELECT pg_database_size(current_database()) / 1048576;") + CLUSTER_MB + setting[backupFreeMb]))
  free=$(docker_free_mb)
  ((free >= need)) ||
    refuse "The disk of Docker's directory has $free MB left and the upgrade needs $need; make room there. Nothing was changed."
}

move() {
  local major=$1 image=$2 held
  recover
  tidy
  check "$major" "$image"
  begin_change trying
  start_next "$image"
  say "trying: a verified backup, restored into PostgreSQL $major"
  try_backup
  copy_container "${setting[container]}"
  tell ready
  await go

  hold_swaps
  held=$EPOCHREALTIME
  enter holding
  release_swaps
  say "moving: the proxy holds requests, and the bot is stopped"
  close_gate "${setting[upgradeHoldSeconds]}"
  enter stopping
  stop_bot
  enter moving
  move_data
  say "moved ${setting[database]} to PostgreSQL $major in the volume $volume and found the same in both"
  enter switching
  tell moved
  await switched

  # Pulumi has replaced the bot too, or has left it stopped.
  start_bot || refuse "The bot does not get healthy on PostgreSQL $major."
  say "requests were held for $(seconds_since "$held") s"
  end_change
  tidy
  tell "done"
}

main() {
  asked='' volume=''
  set_exit_traps
  (($# == 2)) || refuse "$USAGE"
  read_settings "$1"
  use_journal upgrade volume
  next=${setting[container]}_next
  case $2 in
    # Waits for a script that is still going back; undoes what no script undoes any more.
    report)
      take_lock "${setting[readySeconds]}"
      recover
      tidy
      report
      ;;
    move)
      # Words go to descriptor 7 and come from 8; all else is for people, and no command in between may take a word.
      exec 7>&1 1>&2 8<&0 </dev/null
      asked=yes
      take_lock 0
      volume=${VOLUME:?}
      move "${MAJOR:?}" "${IMAGE:?}"
      ;;
    recover)
      undo_action recover
      # One that was killed after its end may have left something over.
      tidy
      ;;
    *) undo_action "$2" ;;
  esac
}

main "$@"
