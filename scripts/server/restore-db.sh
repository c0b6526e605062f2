#!/usr/bin/env bash
# Puts a backup back. It is restored beside the live database and checked there; then the two swap names while the bot
# is stopped for a moment and the proxy holds the requests. If anything fails, what was there stays or comes back.
#
# usage: restore-db.sh SETTINGS list [--json]      the backups, newest first
#        BACKUP=NAME|latest restore-db.sh SETTINGS restore [--yes] [--no-safety-dump]
#        restore-db.sh SETTINGS list-old           the databases that restores have replaced
#        restore-db.sh SETTINGS drop-old [--yes]   removes them
#        restore-db.sh SETTINGS recover            undoes what was killed: a restore, an upgrade, an exchange of the role
#   SETTINGS  the file that the stack writes (infra/model/server-settings.ts)
#   latest    the newest verified backup
#
# A restore asks before it acts unless --yes. It keeps the replaced database as DATABASE_before_TIME.
# While it runs, DIRECTORY/.restore says how far it is (lib/journal.sh).
# Exit status 75: a backup, restore or upgrade is running; 1 with one sentence on standard error: all else.
set -euo pipefail
# A failure inside $(…) ends the script as it would outside.
shopt -s inherit_errexit
umask 077
readonly HERE=${BASH_SOURCE[0]%/*}
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/settings.sh"
source "${BASH_SOURCE[0]%/*}/lib/redact.sh"
source "${BASH_SOURCE[0]%/*}/lib/postgres.sh"
source "${BASH_SOURCE[0]%/*}/lib/owner.sh"
source "${BASH_SOURCE[0]%/*}/lib/databases.sh"
source "${BASH_SOURCE[0]%/*}/lib/contents.sh"
source "${BASH_SOURCE[0]%/*}/lib/words.sh"
source "${BASH_SOURCE[0]%/*}/lib/backups.sh"
source "${BASH_SOURCE[0]%/*}/lib/manifest.sh"
source "${BASH_SOURCE[0]%/*}/lib/candidate.sh"
source "${BASH_SOURCE[0]%/*}/lib/bot.sh"
source "${BASH_SOURCE[0]%/*}/lib/journal.sh"

readonly USAGE="usage: restore-db.sh SETTINGS list [--json] | restore [--yes] [--no-safety-dump] (with BACKUP=NAME|latest) | list-old | drop-old [--yes] | recover"
# A script that was told to end must not wait long for a database that may be going down with the whole machine: the
# watcher, or the next boot, finishes the work.
readonly LAST_SECONDS=10
# A name in PostgreSQL has 63 bytes; _before_YYYYMMDD_HHMMSS takes 23.
readonly LONGEST_PREFIX=40

# --- the way back

# Before the way back of this script itself.
on_failure() {
  patience=$LAST_SECONDS
}

# Goes back to what was there before, from any stage, as often as needed.
undo() {
  local reason
  say "going back: the restore ended while ${was[stage]}"
  { wait_ready "${setting[container]}" "$patience" && end_sessions; } ||
    refuse "The database's container ${setting[container]} does not answer, so the restore is not undone yet; start it, then run on the server: $(recover_command)"
  if had_reached stopping; then
    # A stop that is still under way must not come after the start.
    if [[ ${was[bot]} == running ]]; then stop_bot || true; fi
    # The names tell whether the swap has happened: it is one transaction. It is not final until the bot is healthy.
    if exists "${was[old]}"; then
      exchange "${was[old]}" "${setting[database]}" "${was[fresh]}" ||
        refuse "The replaced database could not get its name back; it is safe as ${was[old]}. Try again on the server with: $(recover_command)"
    fi
  fi
  drop "${was[fresh]}" || say "The database ${was[fresh]} is left over; the next restore removes it."
  if [[ ${was[bot]} == running ]]; then
    start_bot || say "The bot is not healthy on its old data either; see \`docker logs ${setting[bot]}\`."
  fi
  reason=$(cat "$scratch/reason" 2>/dev/null) || reason=''
  say "${reason:+$reason }What was there is back."
}

# --- a restore

confirm() {
  local reply
  [[ $yes != yes ]] || return 0
  say "$1"
  [[ -t 0 ]] || refuse "There is no terminal to ask on; pass --yes. Nothing was changed."
  read -r -p "Go on? [y/N] " reply
  [[ $reply == [yY]* ]] || refuse "Nothing was changed."
}

# Fills `name` and `file` with the backup to restore; refuses one that is damaged or belongs to something else.
choose() {
  name=$1
  [[ $name != latest ]] || name=$(latest_backup)
  file=${setting[directory]}/$name
  [[ $name =~ ^${setting[database]}$BACKUP_NAME && -f $file ]] ||
    refuse "There is no backup $name in ${setting[directory]}; \`./delivery backups\` lists what there is, and a file from elsewhere must be called ${setting[database]}_YYYY-MM-DD_HHMMSS.sql.gz."
  require_database
  recover
  check_archive "$name"
  check_disk "$file"
}

back_up_present() {
  if [[ $safety == yes ]] && has_tables; then
    "$HERE/backup-db.sh" "$settings_file" --safety >/dev/null ||
      refuse "The current database could not be backed up first (see above); fix that, or restore without this backup, on the server: BACKUP=$name $HERE/restore-db.sh $settings_file restore --no-safety-dump. Nothing was changed."
  fi
}

# Restores the backup beside the live database, and checks it there.
load_beside() {
  begin_change loading
  drop "$fresh"
  maintenance --set name="$fresh" --set role="${setting[user]}" <<<'CREATE DATABASE :"name" OWNER :"role" TEMPLATE template0;'
  add_extensions "${setting[container]}" "$fresh"
  load "$file" "${setting[container]}" "$fresh" || refuse "The backup $name cannot be restored ($load_fault)."
  own "${setting[container]}" "$fresh" ||
    refuse "What the backup $name holds could not be given to the role ${setting[user]} (the reason stands above)."
  enter checking
  check_fresh "$name"
  sql "$fresh" <<<'ANALYZE;'
}

# Has the two databases swap names while the bot stands.
put_in_place() {
  hold_swaps
  # The swap that has just ended may have begun before this restore.
  note_bot
  enter holding
  release_swaps
  if [[ $bot == running ]]; then
    close_gate "${setting[holdSeconds]}"
    enter stopping
    stop_bot
  fi
  enter swapping
  exchange "$fresh" "${setting[database]}" "$old" ||
    refuse "The databases could not swap names."
  # The image may have made this cluster anew. Settings of an earlier version know of no such exchange.
  if role_is_superuser "${setting[container]}" && [[ -v setting[demotionSeconds] ]]; then
    demote "${setting[container]}" || refuse "The role ${setting[user]} is still PostgreSQL's superuser (the reason stands above)."
  fi
  enter starting
  if [[ $bot == running ]]; then
    start_bot || refuse "The bot does not get healthy on the data of $name."
  fi
}

restore() {
  local name file age began=$SECONDS stopped
  choose "$1"
  age=$(age_of "$name")
  confirm "This replaces the database ${setting[database]} by $name ($(span_in_words "$age") old, verified: $(is_verified "$name" && echo yes || echo no))."
  back_up_present
  fresh=${prefix}_restore
  old=${prefix}_before_$(date -u +%Y%m%d_%H%M%S)
  note_bot
  load_beside
  stopped=$SECONDS
  put_in_place
  end_change
  say "restored $name in $((SECONDS - began)) s; the bot was stopped for $((SECONDS - stopped)) s"
  if exists "$old"; then say "the replaced database is kept as $old; remove it with: ./delivery restore --drop-old"; fi
}

# --- what restores have replaced

old_databases() {
  maintenance --set pattern="^${prefix}_before_[0-9]{8}_[0-9]{6}\$" \
    <<<"SELECT datname FROM pg_database WHERE datname ~ :'pattern' ORDER BY 1;"
}

drop_old() {
  local names name
  names=$(old_databases)
  [[ -n $names ]] || {
    say "There is no replaced database."
    return 0
  }
  confirm "This removes for good: $(tr '\n' ' ' <<<"$names")"
  while read -r name; do
    drop "$name" </dev/null
    say "dropped $name"
  done <<<"$names"
}

main() {
  local action option
  set_exit_traps
  (($# >= 2)) || refuse "$USAGE"
  action=$2
  yes=no safety=yes json=no
  for option in "${@:3}"; do
    case $action$option in
      list--json) json=yes ;;
      restore--yes | drop-old--yes) yes=yes ;;
      restore--no-safety-dump) safety=no ;;
      *) refuse "$USAGE" ;;
    esac
  done
  read_settings "$1"
  patience=${setting[readySeconds]}
  # PostgreSQL cuts names off, and a name that is cut off may be the live one.
  prefix=${setting[database]:0:LONGEST_PREFIX}
  use_journal restore fresh old bot
  case $action in
    list)
      if [[ $json == yes ]]; then backups_json; else list_backups; fi
      ;;
    restore)
      [[ -n ${BACKUP-} ]] || refuse "$USAGE"
      take_lock 0
      restore "$BACKUP"
      ;;
    list-old) old_databases ;;
    drop-old)
      take_lock 0
      drop_old
      ;;
    # Cron calls this after a boot: it undoes or ends what was cut off, an upgrade and a release too.
    recover)
      undo_action recover
      exec 9>&-
      env SETTINGS="$settings_file" "$HERE/swap-bot.sh" recover || true
      "$HERE/upgrade-db.sh" "$settings_file" recover
      "$HERE/own-database.sh" "$settings_file" recover
      ;;
    *) undo_action "$action" ;;
  esac
}

main "$@"
