# shellcheck shell=bash
# The journal of a change that must be undone when its script fails or dies: a restore, an upgrade, an exchange of the role.
#
# The journal says how far the change is; its stages, in their order, are in the settings. A failing script undoes its
# own work as it ends. A killed one cannot, so a watcher in a session of its own waits for its end and does the same;
# after a boot, cron's `recover` does.
#
# The script calls set_exit_traps and use_journal, then begin_change, enter at each later stage, and end_change; what it is
# not called for itself is an undo_action. It defines `undo`, which goes back from the stage in `was`, as often as it is
# called; and it may define `on_failure`, which runs first when the script fails.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

change='' journal='' journal_fields=() watcher='' must_undo=''
# What the journal of the change to undo says: the stage and the fields.
declare -A was=()

# Cleans up and undoes the change however the script ends. `scratch` is a directory for the script's own files.
set_exit_traps() {
  scratch=$(mktemp -d)
  trap 'finish $?' EXIT
  trap 'exit 130' INT TERM HUP
}

# Names the change and the variables that its journal keeps beside the stage: use_journal CHANGE VARIABLE...
use_journal() {
  change=$1 journal=${setting["$1Journal"]} journal_fields=("${@:2}")
}

# From here on the script, or else its watcher, undoes the change unless it gets to end_change: begin_change STAGE.
begin_change() {
  must_undo=yes
  start_watcher
  enter "$1"
}

# Notes that a stage begins: the journal is replaced in one step, and is on the disk when this returns.
enter() {
  local field
  {
    echo "stage=$1"
    for field in "${journal_fields[@]}"; do echo "$field=${!field}"; done
  } >"$journal.new"
  sync "$journal.new"
  mv "$journal.new" "$journal"
  sync "${setting[directory]}"
}

# The change holds: nothing undoes it any more.
end_change() {
  rm -f "$journal"
}

# Undoes a change that has not ended; without a journal there is nothing to do.
recover() {
  local key value
  [[ -f $journal ]] || return 0
  was=()
  while IFS='=' read -r key value; do was[$key]=$value; done <"$journal"
  undo
  end_change
}

# The actions that a script has for this: `recover`, which cron calls after a boot, and `watch`, which begin_change starts
# with the lock. Refuses any other one with USAGE: undo_action ACTION.
undo_action() {
  case $1 in
    recover)
      take_lock 0
      recover
      ;;
    watch) watch ;;
    *) refuse "$USAGE" ;;
  esac
}

# Whether the change to undo had come to a stage, or further: had_reached STAGE.
had_reached() {
  local stages=" ${setting["${change}Stages"]} "
  [[ " $1 ${stages#* "$1" }" == *" ${was[stage]} "* ]]
}

# What a person types on the server to undo a change, once the cause that prevented it is gone.
recover_command() {
  echo "$HERE/restore-db.sh $settings_file recover"
}

# A hang-up or a kill of this script does not reach the watcher, so nothing is changed before the watcher says that it
# watches. It inherits the lock, and its copies of the descriptors on which upgrade-db.sh talks would keep the connection
# open.
start_watcher() {
  local log=${setting[directory]}/$change.log watches
  exec {watches}< <(exec env WATCHED="$$" setsid "$0" "$settings_file" watch </dev/null 2>>"$log" 7>&- 8<&-)
  watcher=$!
  read -r -u "$watches" || refuse "The $change has not begun, because its watcher did not start; see $log on the server."
  exec {watches}<&-
}

# The watcher: undoes the change of the script with the process id WATCHED, should it end without doing so.
watch() {
  echo watching
  exec >&2
  tail --pid="${WATCHED:?}" -f /dev/null 9>&-
  recover
}

# Stops the watcher, unless the change is still to be undone.
dismiss_watcher() {
  if [[ -n $watcher && ! -e $journal ]]; then
    if kill -TERM -- "-$watcher" 2>/dev/null; then wait "$watcher" || true; fi
  fi
}

finish() {
  local status=$1
  trap - EXIT
  trap '' INT TERM HUP
  if ((status != 0)); then
    if declare -F on_failure >/dev/null; then on_failure; fi
    if [[ -n $must_undo ]]; then
      # In a process of its own, which ends at the first failure: behind `||` or `if` bash would go on. The watcher tries again.
      recover &
      wait "$!" || status=1
    fi
  fi
  dismiss_watcher
  rm -rf "$scratch"
  exit "$status"
}
