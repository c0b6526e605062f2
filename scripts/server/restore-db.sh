#!/usr/bin/env bash
# Puts a backup back. It is restored beside the live database and checked there; then the two swap names while the bot
# is stopped for a moment and the proxy holds the requests. If anything fails, what was there stays or comes back.
#
# usage: restore-db.sh SETTINGS list [--json]      the backups, newest first
#        BACKUP=NAME|latest restore-db.sh SETTINGS restore [--yes] [--no-safety-dump]
#        restore-db.sh SETTINGS list-old           the databases that restores have replaced
#        restore-db.sh SETTINGS drop-old [--yes]   removes them
#        restore-db.sh SETTINGS recover            undoes a restore or an upgrade that was killed
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
source "${BASH_SOURCE[0]%/*}/lib/postgres.sh"
source "${BASH_SOURCE[0]%/*}/lib/backups.sh"
source "${BASH_SOURCE[0]%/*}/lib/manifest.sh"
source "${BASH_SOURCE[0]%/*}/lib/bot.sh"
source "${BASH_SOURCE[0]%/*}/lib/journal.sh"

readonly USAGE="usage: restore-db.sh SETTINGS list [--json] | restore [--yes] [--no-safety-dump] (with BACKUP=NAME|latest) | list-old | drop-old [--yes] | recover"
# A script that was told to end must not wait long for a database that may be going down with the whole machine: the
# watcher, or the next boot, finishes the work.
readonly LAST_SECONDS=10

list() {
  local name age bytes verified
  printf '%-44s %10s %14s  %s\n' BACKUP AGE BYTES VERIFIED
  while read -r name age bytes verified; do
    if [[ $verified == true ]]; then verified=yes; else verified=no; fi
    printf '%-44s %10s %14s  %s\n' "$name" "$(age_in_words "$age")" "$bytes" "$verified"
  done < <(describe_backups)
  echo "Kept for ${setting[retentionDays]} days, and the newest ${setting[keepAtLeast]} verified ones whatever their age."
}

# --- the database and its names

maintenance() {
  sql postgres "$@"
}

exists() {
  [[ $(maintenance --set name="$1" <<<"SELECT 1 FROM pg_database WHERE datname = :'name';") == 1 ]]
}

drop() {
  # An open session would prevent it.
  maintenance --set name="$1" <<'SQL'
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'name' \g /dev/null
SET client_min_messages = warning;
DROP DATABASE IF EXISTS :"name";
SQL
}

# Renames TO to ASIDE and FROM to TO, both or neither: exchange FROM TO ASIDE.
exchange() {
  maintenance --set from="$1" --set to="$2" --set aside="$3" <<'SQL'
BEGIN;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (:'from', :'to') \g /dev/null
SELECT format('ALTER DATABASE %I RENAME TO %I', datname, :'aside') FROM pg_database WHERE datname = :'to' \gexec
ALTER DATABASE :"from" RENAME TO :"to";
COMMIT;
SQL
}

has_tables() {
  exists "${setting[database]}" &&
    [[ $(sql "${setting[database]}" <<<"SELECT count(*) > 0 FROM pg_tables WHERE $OWN_TABLES;") == t ]]
}

table_names() {
  sql "$1" <<<"SELECT schemaname || '.' || tablename FROM pg_tables WHERE $OWN_TABLES ORDER BY 1 COLLATE \"C\";"
}

# --- the way back

# Before the way back of this script itself.
on_failure() {
  patience=$LAST_SECONDS
}

# Goes back to what was there before, from any stage, as often as needed.
undo() {
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
  say "what was there is back"
}

# Ends the sessions that a killed restore has left inside the database's container.
end_sessions() {
  local deadline=$((SECONDS + patience)) others
  while ((SECONDS < deadline)); do
    others=$(maintenance --set app="$APPLICATION" \
      <<<"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :'app' AND pid <> pg_backend_pid();") ||
      return 1
    [[ $others != 0 ]] || return 0
    sleep 0.2
  done
  return 1
}

# --- a restore

check_archive() {
  local name=$1 file=${setting[directory]}/$1 major
  if [[ -f $file.sha256 ]]; then
    (cd "${setting[directory]}" && sha256sum --quiet --strict -c "$name.sha256") >/dev/null 2>&1 ||
      refuse "The backup $name is not what was written (its checksum differs from $name.sha256); use another one. Nothing was changed."
  else
    say "$name has no checksum file beside it; only the archive itself is checked"
  fi
  examine "$file"
  [[ ${found[database]:-${setting[database]}} == "${setting[database]}" ]] ||
    refuse "The backup $name is of the database ${found[database]}, not of ${setting[database]}; use another one. Nothing was changed."
  major=$(($(maintenance <<<"SHOW server_version_num;") / 10000))
  [[ ${found[version]:-0} -le $major ]] ||
    refuse "The backup $name is from PostgreSQL ${found[version]} and the server runs $major; upgrade the server first with: ./delivery database upgrade ${found[version]}. Nothing was changed."
}

check_disk() {
  local file=$1 need free
  # As text an SQL dump is about as large as the tables; indexes come on top.
  need=$(($(gzip -dc "$file" | wc -c) * 2 / 1048576 + setting[backupFreeMb]))
  free=$(docker_free_mb)
  ((free >= need)) ||
    refuse "The disk of the database has $free MB left and a restore beside it needs $need; make room there. Nothing was changed."
}

# What was restored must be what the manifest says was dumped; a file without a manifest's line must at least share a
# table with the live database.
check_fresh() {
  local name=$1 line expected actual
  line=$(manifest_line "$name")
  if [[ -n $line ]]; then
    expected=$(contents_in "$line")
    actual=$(sql "$fresh" <<<"$CONTENTS")
    [[ $actual == "$expected" ]] ||
      refuse "The backup $name, restored for a trial, differs from what was dumped; use another one."
  elif [[ -z ${found[database]-} ]] && has_tables; then
    [[ -n $(comm -12 <(table_names "$fresh") <(table_names "${setting[database]}")) ]] ||
      refuse "The backup $name has no table in common with ${setting[database]}, so it belongs to something else; use another one."
  fi
}

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

restore() {
  local name file began=$SECONDS
  choose "$1"
  confirm "This replaces the database ${setting[database]} by $name ($(age_in_words "$(age_of "$name")") old, verified: $(is_verified "$name" && echo yes || echo no))."
  if [[ $safety == yes ]] && has_tables; then
    "$HERE/backup-db.sh" "$settings_file" --safety >/dev/null ||
      refuse "The current database could not be backed up first (see above); fix that, or restore without this backup, on the server: BACKUP=$name $HERE/restore-db.sh $settings_file restore --no-safety-dump. Nothing was changed."
  fi

  fresh=${setting[database]}_restore
  old=${setting[database]}_before_$(date -u +%Y%m%d_%H%M%S)
  bot=stopped
  if is_running "${setting[bot]}"; then bot=running; fi
  begin_change loading
  drop "$fresh"
  maintenance --set name="$fresh" <<<'CREATE DATABASE :"name" TEMPLATE template0;'
  load "$file" "${setting[container]}" "$fresh" || refuse "The backup $name cannot be restored (see above)."
  enter checking
  check_fresh "$name"
  sql "$fresh" <<<'ANALYZE;'

  local stopped=$SECONDS
  enter holding
  if [[ $bot == running ]]; then
    close_gate "${setting[holdSeconds]}"
    enter stopping
    stop_bot
  fi
  enter swapping
  exchange "$fresh" "${setting[database]}" "$old" ||
    refuse "The databases could not swap names."
  enter starting
  if [[ $bot == running ]]; then
    start_bot || refuse "The bot does not get healthy on the data of $name."
  fi
  end_change
  say "restored $name in $((SECONDS - began)) s; the bot was stopped for $((SECONDS - stopped)) s"
  if exists "$old"; then say "the replaced database is kept as $old; remove it with: ./delivery restore --drop-old"; fi
}

# --- what restores have replaced

old_databases() {
  maintenance --set prefix="${setting[database]}_before_" \
    <<<"SELECT datname FROM pg_database WHERE starts_with(datname, :'prefix') ORDER BY 1;"
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
  use_journal restore fresh old bot
  case $action in
    list)
      if [[ $json == yes ]]; then backups_json; else list; fi
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
      take_lock 0
      recover
      exec 9>&-
      env SETTINGS="$settings_file" "$HERE/swap-bot.sh" recover || true
      "$HERE/upgrade-db.sh" "$settings_file" recover
      ;;
    # lib/journal.sh starts this, with the lock.
    watch) watch ;;
    *) refuse "$USAGE" ;;
  esac
}

main "$@"
