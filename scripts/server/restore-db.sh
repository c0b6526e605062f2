#!/usr/bin/env bash
# Puts a backup back. It is restored beside the live database and checked there; then the two swap names while the
# bot stands still for a moment and the proxy holds the requests. Whatever fails, what was there stays or comes back.
#
# usage: restore-db.sh SETTINGS list [--json]                  what there is, newest first
#        restore-db.sh SETTINGS restore NAME|latest [--yes] [--no-safety-dump]
#        restore-db.sh SETTINGS drop-old [--yes]               removes the databases that restores have replaced
#        restore-db.sh SETTINGS recover                        goes back after a restore or an upgrade that was killed
#   SETTINGS  the file that the stack writes (infra/components/Backups.ts)
#   latest    the newest verified backup
#
# A restore asks before it acts unless --yes. It keeps the replaced database as DATABASE_before_TIME.
# While it runs, DIRECTORY/.restore says how far it is: a watcher that survives this script goes back when it is gone.
# Exit status 75: another backup or restore is running; 1 with one sentence on standard error: all else.
set -euo pipefail
umask 077
readonly HERE=${BASH_SOURCE[0]%/*}
# shellcheck source=scripts/backup-lib.sh disable=SC1091
source "$HERE/backup-lib.sh"

readonly USAGE="usage: restore-db.sh SETTINGS list [--json] | restore NAME|latest [--yes] [--no-safety-dump] | drop-old [--yes] | recover"
# Longer than any swap: only a lost one meets it, and the gate opens by itself.
readonly HOLD_SECONDS=120
# Whoever is told to end must not wait long for a database that may be going down with the whole machine: the watcher,
# or the next boot, finishes the work.
readonly LAST_SECONDS=10

patience=$READY_SECONDS

# --- what there is

age_in_words() {
  local seconds=$1
  if ((seconds < 7200)); then
    echo "$((seconds / 60)) min"
  elif ((seconds < 172800)); then
    echo "$((seconds / 3600)) h"
  else
    echo "$((seconds / 86400)) days"
  fi
}

list() {
  local name age bytes verified separator=''
  if [[ ${1-} == --json ]]; then
    printf '['
    while read -r name; do
      verified=$(is_verified "$name" && echo true || echo false)
      printf '%s{"file":"%s","ageSeconds":%d,"bytes":%d,"verified":%s}' "$separator" "$name" "$(age_of "$name")" \
        "$(stat -c %s "${setting[directory]}/$name")" "$verified"
      separator=,
    done < <(backups)
    echo ']'
    return
  fi
  printf '%-44s %10s %14s  %s\n' BACKUP AGE BYTES VERIFIED
  while read -r name; do
    age=$(age_in_words "$(age_of "$name")")
    bytes=$(stat -c %s "${setting[directory]}/$name")
    verified=$(is_verified "$name" && echo yes || echo no)
    printf '%-44s %10s %14s  %s\n' "$name" "$age" "$bytes" "$verified"
  done < <(backups)
  echo "Kept for ${setting[retentionDays]} days, and the newest ${setting[keepAtLeast]} verified ones whatever their age."
}

latest() {
  local name
  while read -r name; do
    if is_verified "$name"; then
      echo "$name"
      return
    fi
  done < <(backups)
  refuse "There is no verified backup in ${setting[directory]}; name one of \`list\`, or copy one there first."
}

# --- the database and its names

maintenance() {
  sql postgres "$@"
}

exists() {
  [[ $(maintenance --set name="$1" <<<"SELECT 1 FROM pg_database WHERE datname = :'name';") == 1 ]]
}

drop() {
  # A session that still reads it would keep it.
  maintenance --set name="$1" <<'SQL'
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'name' \g /dev/null
SET client_min_messages = warning;
DROP DATABASE IF EXISTS :"name";
SQL
}

# Renames TO out of the way and FROM to TO, both or neither: exchange FROM TO ASIDE.
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
    [[ $(sql "${setting[database]}" <<<"SELECT count(*) > 0 FROM pg_tables WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema';") == t ]]
}

table_names() {
  sql "$1" <<<"SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema' ORDER BY 1 COLLATE \"C\";"
}

# --- the journal: what must be undone should this script die

journal() {
  printf '%s\n' "stage=$1" "fresh=$fresh" "old=$old" "bot=$bot" >"$journal.new"
  mv "$journal.new" "$journal"
  sync "$journal" "${setting[directory]}"
}

# Goes back to what was there before, from any stage, as often as needed.
recover() {
  local key value
  local -A was=()
  [[ -f $journal ]] || return 0
  while IFS='=' read -r key value; do was[$key]=$value; done <"$journal"
  say "going back: the restore ended while ${was[stage]}"
  { wait_ready "${setting[container]}" "$patience" && end_sessions; } ||
    refuse "The database's container ${setting[container]} does not answer, so the restore is not undone yet; start it, then: restore-db.sh SETTINGS recover"
  if [[ ${was[stage]} == stopping || ${was[stage]} == swapping || ${was[stage]} == starting ]]; then
    # A stop that was under way must not come after the start.
    if [[ ${was[bot]} == running ]]; then docker stop --time "$BOT_STOP_SECONDS" "${setting[bot]}" >/dev/null || true; fi
    # The names tell whether the swap has happened: it is one transaction. Until the bot is well it is not final.
    if exists "${was[old]}"; then
      exchange "${was[old]}" "${setting[database]}" "${was[fresh]}" ||
        refuse "The replaced database could not get its name back; it is safe as ${was[old]}. Try again with: restore-db.sh SETTINGS recover"
    fi
  fi
  drop "${was[fresh]}" || say "The database ${was[fresh]} is left over; the next restore removes it."
  if [[ ${was[bot]} == running ]]; then
    start_bot || say "The bot is not healthy on its old data either; see \`docker logs ${setting[bot]}\`."
  fi
  rm -f "$journal"
  say "what was there is back"
}

# What a killed restore has left running inside the database's container must not go on beside its undoing.
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

finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  patience=$LAST_SECONDS
  if ((status != 0)) && [[ -n ${owner-} ]]; then recover || status=1; fi
  dismiss_watcher
  rm -rf "$scratch"
  exit "$status"
}

# --- a restore

check_archive() {
  local name=$1 file=${setting[directory]}/$1 major
  if [[ -f $file.sha256 ]]; then
    (cd "${setting[directory]}" && sha256sum --quiet --strict -c "$name.sha256") >/dev/null 2>&1 ||
      refuse "The backup $name is not what was written (its checksum differs from $name.sha256); use another one. Nothing was changed."
  else
    say "$name has no checksum beside it; only its own marks are checked"
  fi
  examine "$file"
  [[ ${found[database]:-${setting[database]}} == "${setting[database]}" ]] ||
    refuse "The backup $name is of the database ${found[database]}, not of ${setting[database]}; use another one. Nothing was changed."
  major=$(($(maintenance <<<"SHOW server_version_num;") / 10000))
  [[ ${found[version]:-0} -le $major ]] ||
    refuse "The backup $name is from PostgreSQL ${found[version]} and the server runs $major; upgrade that first with: ./delivery database upgrade ${found[version]}. Nothing was changed."
}

check_disk() {
  local file=$1 need free
  # As text an SQL dump is about as large as the tables; indexes come on top.
  need=$(($(gzip -dc "$file" | wc -c) * 2 / 1048576 + LEAST_FREE_MB))
  free=$(docker_free_mb)
  ((free >= need)) ||
    refuse "The disk of the database has $free MB left and a restore beside it needs $need; make room there. Nothing was changed."
}

# What was restored must be what the manifest says was dumped; a file from elsewhere must at least fit.
check_fresh() {
  local name=$1 line expected actual
  line=$(manifest_line "$name")
  if [[ -n $line ]]; then
    expected=${line#*\"contents\":}
    actual=$(sql "$fresh" <<<"$CONTENTS")
    [[ $actual == "${expected%\}}" ]] ||
      refuse "The backup $name, restored for a trial, differs from what was dumped; use another one."
  elif [[ -z ${found[database]-} ]] && has_tables; then
    [[ -n $(comm -12 <(table_names "$fresh") <(table_names "${setting[database]}")) ]] ||
      refuse "The backup $name has no table in common with ${setting[database]}: it is of something else; use another one."
  fi
}

confirm() {
  local reply
  [[ $yes != yes ]] || return 0
  say "$1"
  [[ -t 0 ]] || refuse "Nobody is there to be asked; say --yes. Nothing was changed."
  read -r -p "Go on? [y/N] " reply
  [[ $reply == [yY]* ]] || refuse "Nothing was changed."
}

restore() {
  local name=$1 file began=$SECONDS
  [[ $name != latest ]] || name=$(latest)
  file=${setting[directory]}/$name
  [[ $name =~ ^${setting[database]}$BACKUP_NAME && -f $file ]] ||
    refuse "There is no backup $name in ${setting[directory]}; \`list\` shows what there is, and a file from elsewhere must be called ${setting[database]}_YYYY-MM-DD_HHMMSS.sql.gz."
  wait_ready "${setting[container]}" "$READY_SECONDS" ||
    refuse "The database's container ${setting[container]} does not answer; start it, see \`docker logs ${setting[container]}\`."
  recover
  check_archive "$name"
  check_disk "$file"
  confirm "This replaces the database ${setting[database]} by $name ($(age_in_words "$(age_of "$name")") old, verified: $(is_verified "$name" && echo yes || echo no))."
  if [[ $safety == yes ]] && has_tables; then
    "$HERE/backup-db.sh" "$settings_file" --safety >/dev/null ||
      refuse "What is there could not be backed up first; mend that, or say --no-safety-dump: the old database is kept beside the new one. Nothing was changed."
  fi

  fresh=${setting[database]}_restore
  old=${setting[database]}_before_$(date -u +%Y%m%d_%H%M%S)
  bot=stopped
  if is_running "${setting[bot]}"; then bot=running; fi
  owner=yes
  watch "$HERE/restore-db.sh" restore.log
  journal loading
  drop "$fresh"
  maintenance --set name="$fresh" <<<'CREATE DATABASE :"name" TEMPLATE template0;'
  load "$file" "${setting[container]}" "$fresh" || refuse "The backup $name cannot be restored (see above)."
  journal checking
  check_fresh "$name"
  sql "$fresh" <<<'ANALYZE;'

  local stood=$SECONDS
  journal holding
  if [[ $bot == running ]]; then
    close_gate "$HOLD_SECONDS"
    journal stopping
    docker stop --time "$BOT_STOP_SECONDS" "${setting[bot]}" >/dev/null
  fi
  journal swapping
  exchange "$fresh" "${setting[database]}" "$old" ||
    refuse "The databases could not swap names."
  journal starting
  if [[ $bot == running ]]; then
    start_bot || refuse "The bot does not get healthy on the data of $name."
  fi
  rm -f "$journal"
  say "restored $name in $((SECONDS - began)) s; the bot stood still for $((SECONDS - stood)) s"
  if exists "$old"; then say "the replaced database is kept as $old; remove it with: restore-db.sh SETTINGS drop-old"; fi
}

drop_old() {
  local names name
  names=$(maintenance --set prefix="${setting[database]}_before_" \
    <<<"SELECT datname FROM pg_database WHERE starts_with(datname, :'prefix') ORDER BY 1;")
  [[ -n $names ]] || {
    say "There is no replaced database."
    return
  }
  confirm "This removes for good: $(tr '\n' ' ' <<<"$names")"
  while read -r name; do
    drop "$name" </dev/null
    say "dropped $name"
  done <<<"$names"
}

main() {
  scratch=$(mktemp -d)
  trap finish EXIT
  trap 'exit 130' INT TERM HUP
  (($# >= 2)) || refuse "$USAGE"
  settings_file=$1
  local action=$2 subject=''
  shift 2
  yes=no safety=yes
  if [[ $action == restore || $action == after ]]; then
    subject=${1:?$USAGE}
    shift
  fi
  read_settings "$settings_file"
  journal=${setting[directory]}/.restore
  if [[ $action == list ]]; then
    list "$@"
    return
  fi
  local option
  for option in "$@"; do
    case $option in
      --yes) yes=yes ;;
      --no-safety-dump) safety=no ;;
      *) refuse "$USAGE" ;;
    esac
  done
  case $action in
    # Started by watch, with its lock.
    after)
      tail --pid="$subject" -f /dev/null
      recover
      ;;
    restore)
      take_lock
      restore "$subject"
      ;;
    drop-old)
      take_lock
      drop_old
      ;;
    # After a boot, from cron: what was cut off is undone, an upgrade too.
    recover)
      take_lock
      recover
      exec 9>&-
      "$HERE/upgrade-db.sh" "$settings_file" recover
      ;;
    *) refuse "$USAGE" ;;
  esac
}

main "$@"
