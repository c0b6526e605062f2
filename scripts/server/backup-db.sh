#!/usr/bin/env bash
# Backs up the database and proves the backup: dumps it, restores the dump into a throwaway PostgreSQL and compares
# tables and rows with what was dumped. Only then is the backup "verified", and only then are old ones deleted.
#
# usage: backup-db.sh SETTINGS [--json] [--log FILE] [--if-older-than HOURS] [--wait SECONDS]
#        backup-db.sh SETTINGS --copy
#        backup-db.sh SETTINGS --before-release COMMIT --wait SECONDS --log FILE
#   SETTINGS         the file that the stack writes (infra/model/server-settings.ts)
#   --json           prints the manifest's line, or {"error": …}
#   --log FILE       all output goes there; beyond a megabyte the file becomes FILE.1
#   --if-older-than  makes none if the newest verified one is younger; those made before releases do not count
#   --wait           waits so long while another backup, restore or upgrade runs
#   --copy           makes no backup, and copies elsewhere what could not be copied before
#   --before-release prints the name of the backup, or nothing where a release of that commit puts no data at risk. After
#                    SECONDS it returns; the backup then goes on by itself. No retention, no copy elsewhere, no ping
#   --safety         for restore-db.sh and upgrade-db.sh, which hold the lock: no retention, no copy elsewhere, no ping
# Exit status 0: verified; 75: a backup, restore or upgrade is running; 1 with one sentence on standard error: all else.
#
# In the directory, all closed to others: DATABASE_YYYY-MM-DD_HHMMSS.sql.gz (UTC), its .sha256, manifest.jsonl.
set -euo pipefail
# A failure inside $(…) ends the script as it would outside.
shopt -s inherit_errexit
umask 077
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/settings.sh"
source "${BASH_SOURCE[0]%/*}/lib/redact.sh"
source "${BASH_SOURCE[0]%/*}/lib/postgres.sh"
source "${BASH_SOURCE[0]%/*}/lib/contents.sh"
source "${BASH_SOURCE[0]%/*}/lib/snapshot.sh"
source "${BASH_SOURCE[0]%/*}/lib/trial.sh"
source "${BASH_SOURCE[0]%/*}/lib/words.sh"
source "${BASH_SOURCE[0]%/*}/lib/backups.sh"
source "${BASH_SOURCE[0]%/*}/lib/manifest.sh"
source "${BASH_SOURCE[0]%/*}/lib/retention.sh"
source "${BASH_SOURCE[0]%/*}/lib/copies.sh"
source "${BASH_SOURCE[0]%/*}/lib/claim.sh"
source "${BASH_SOURCE[0]%/*}/lib/before-release.sh"
source "${BASH_SOURCE[0]%/*}/lib/log.sh"
# A session that has ended shows by its missing answer; the signal would end this script without a reason.
trap '' PIPE

json='' log='' older='' safety='' patience=0 copy='' commit='' outcome='' locked='' starting='' copying='' copied='' caller=''

parse() {
  [[ $# -ge 1 && $1 != --* ]] || refuse "usage: backup-db.sh SETTINGS [--json] [--log FILE] [--if-older-than HOURS] [--wait SECONDS] | --copy"
  settings_file=$1
  shift
  while (($# > 0)); do
    case "$1" in
      --json) json=yes ;;
      --safety) safety=yes ;;
      --copy) copy=yes ;;
      --log) log=${2:?} && shift ;;
      --if-older-than) older=${2:?} && shift ;;
      --wait) patience=${2:?} && shift ;;
      --before-release) commit=${2:?} && shift ;;
      *) refuse "The backup-db.sh on the server has no option $1; \`pulumi up\` puts the newest one there." ;;
    esac
    shift
  done
}

# Cleans up however the script ends, and reports the outcome.
finish() {
  local status=$?
  trap - EXIT
  if [[ -n $starting ]]; then
    # One that is being made could not be removed yet.
    wait "$starting" || true
    remove_throwaway
  fi
  if [[ -n $locked ]]; then rm -f "${setting[directory]}"/.partial*; fi
  if [[ -n $copying ]]; then rm -f "${setting[directory]}/.copy.age"; fi
  if ((status != 0)); then
    local reason
    reason=$(cat "$scratch/reason" 2>/dev/null) || reason="The backup broke off (exit status $status); the lines above say why."
    [[ -f $scratch/reason ]] || say "$reason"
    [[ -z $json ]] || error_json "$reason"
    answer_caller "$reason"
    ((status == BUSY)) || ping_url /fail "$reason"
  elif [[ -n $outcome ]]; then
    ping_url "" "$outcome"
  fi
  rm -rf "$scratch"
  exit "$status"
}

# The address may be a secret, so it goes to curl on standard input.
ping_url() {
  local url=${setting[pingUrl]-}
  if [[ -z $url || -n $safety$commit ]]; then return 0; fi
  printf 'url = "%s%s"\n' "$url" "$1" |
    curl -fsS -m 10 --retry 3 -o /dev/null --data-raw "$2" --config - 9>&- ||
    say "The ping URL did not answer; see \`backups.pingUrl\`."
}

check_disk() {
  local free need=$((database_mb + setting[backupFreeMb]))
  free=$(free_mb "${setting[directory]}")
  ((free >= need)) ||
    refuse "The disk of ${setting[directory]} has $free MB left and a backup needs $need; make room there. No backup was begun."
}

dump() {
  local partial=$1 status errors=$scratch/dump
  {
    echo "-- Backup of the database ${setting[database]}"
    timeout "$DUMP_SECONDS" docker exec "${setting[container]}" pg_dump --no-password --lock-wait-timeout=60s \
      --snapshot="$snapshot" -U "${superusers[${setting[container]}]}" -d "${setting[database]}" 2>"$errors"
  } | gzip -6 >"$partial" 2>"$scratch/gzip" || {
    status=("${PIPESTATUS[@]}")
    refuse "The dump broke off (pg_dump ${status[0]}, gzip ${status[1]}: $(cat "$errors" "$scratch/gzip" 2>/dev/null | tail -n 1 | redact)); it was not kept."
  }
}

# Dumps the database to FILE.partial and fills `contents` and `digest`, which the trial restore must give again, and `less`.
take_dump() {
  local partial=$1 tables before began=$SECONDS
  check_disk
  begin_throwaway
  open_snapshot
  name=${setting[database]}_$(date -u +%F_%H%M%S).sql.gz
  ask "$PINNED $SEQUENCES; RESET ALL;"
  before=$answer
  dump "$partial"
  ask "$(psql_variable before "$before")"$'\n'"$CONTENTS"
  contents=$answer
  ask "$ROLES;"
  roles=$answer
  digest=''
  if [[ -n ${setting[query]-} ]]; then
    digest=$(printf "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '%s';\n%s" "$snapshot" "$(query_digest)" |
      sql_as_role "${setting[container]}" "${setting[database]}")
  fi
  find_shrunk
  exec {to_session}>&-
  examine "$partial"
  tables=$(count_tables "$contents")
  [[ ${found[tables]} -ge $tables ]] ||
    refuse "The dump has ${found[tables]} of $tables tables; it was not kept."
  bytes=$(stat -c %s "$partial")
  say "dumped ${setting[database]}: $bytes bytes, $tables tables in $((SECONDS - began)) s"
}

back_up() {
  local began=$SECONDS dumped contents digest less sum file partial=${setting[directory]}/.partial more='' difference verified=true
  require_database
  take_dump "$partial"
  dumped=$SECONDS
  file=${setting[directory]}/$name
  sum=$(sha256sum <"$partial" | cut -d ' ' -f 1)
  echo "$sum  $name" >"$partial.sha256"
  publish "$partial.sha256" "$file.sha256"
  publish "$partial" "$file"

  await_throwaway
  difference=$(verify "$file" "$contents" "$digest")
  if [[ -n $commit ]]; then
    more='"for":"release",'
  elif [[ -n ${setting[remote]-} && -z $safety ]]; then
    more='"copy":"wanted",'
  fi
  if [[ -n $difference ]]; then
    verified=false
  elif [[ -n $less ]]; then
    say "warning: tables with less than half of the rows of the last backup: $less"
    more+="\"shrunk\":\"$less\","
  fi
  record "$(manifest_entry "$name" "$bytes" "$sum" "$version" "$((SECONDS - began))" "$verified" "$contents" "$more")"
  [[ -z $difference ]] || refuse "The backup $name is not good: $difference. It was kept, nothing older was deleted; see \`docker logs ${setting[container]}\`."
  answer_caller "$VERIFIED$name"
  remove_throwaway
  say "restored it for a trial and found the same in $((SECONDS - dumped)) s"
}

show_result() {
  if [[ -n $json ]]; then manifest_line "$name"; else echo "${setting[directory]}/$name"; fi
}

# Everything on this machine is done before the copies, which may take long or fail; another backup need not wait for them.
back_up_and_copy() {
  take_lock "$patience"
  locked=yes
  if [[ -n $older ]] && is_recent; then
    say "The newest verified backup is younger than $older hours; there is no need for another."
  else
    rm -f "${setting[directory]}"/.partial*
    back_up
    retain
  fi
  exec 9>&-
  locked=''
  copy_missing
  if [[ -n $name ]]; then
    outcome="$name: $bytes bytes, verified"
    show_result
  fi
}

run() {
  scratch=$(mktemp -d)
  trap finish EXIT
  trap 'exit 130' INT TERM HUP
  [[ -z $log ]] || open_log "$log"
  read_settings "$settings_file"
  name='' bytes=''
  if [[ -n $copy ]]; then
    copy_missing
    [[ -z $copied ]] || outcome="$copied: copied"
  elif [[ -n $safety$commit ]]; then
    [[ -n $safety ]] || take_lock "$patience"
    locked=yes
    rm -f "${setting[directory]}"/.partial*
    back_up
    show_result
  else
    back_up_and_copy
  fi
}

main() {
  parse "$@"
  if [[ -n $commit ]]; then before_release; else run; fi
}

main "$@"
