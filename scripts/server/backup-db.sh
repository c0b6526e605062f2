#!/usr/bin/env bash
# Backs up the database and proves the backup: dumps it, restores the dump into a throwaway PostgreSQL and compares
# tables and rows with what was dumped. Only then is the backup "verified", and only then are old ones deleted.
#
# usage: backup-db.sh SETTINGS [--json] [--log FILE] [--if-older-than HOURS]
#   SETTINGS         the file that the stack writes (infra/model/server-settings.ts)
#   --json           prints the manifest's line, or {"error": …}
#   --log FILE       all output goes there; beyond a megabyte the file becomes FILE.1
#   --if-older-than  does nothing if the newest verified backup is younger
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
source "${BASH_SOURCE[0]%/*}/lib/postgres.sh"
source "${BASH_SOURCE[0]%/*}/lib/backups.sh"
source "${BASH_SOURCE[0]%/*}/lib/manifest.sh"
# A session that has ended shows by its missing answer; the signal would end this script without a reason.
trap '' PIPE

readonly DUMP_SECONDS=3600
# A trial restore up to this size happens in memory, if the server has twice that to spare; else on disk.
readonly MOST_MEMORY_MB=1024
readonly LOG_BYTES=1048576
readonly HOUR=3600

json='' log='' older='' safety='' outcome='' locked=''

parse() {
  [[ $# -ge 1 && $1 != --* ]] || refuse "usage: backup-db.sh SETTINGS [--json] [--log FILE] [--if-older-than HOURS]"
  settings_file=$1
  shift
  while (($# > 0)); do
    case "$1" in
      --json) json=yes ;;
      --safety) safety=yes ;;
      --log) log=${2:?} && shift ;;
      --if-older-than) older=${2:?} && shift ;;
      *) refuse "backup-db.sh has no option $1; it has --json, --log and --if-older-than." ;;
    esac
    shift
  done
}

open_log() {
  if [[ -f $log ]] && (($(stat -c %s "$log") > LOG_BYTES)); then mv -f "$log" "$log.1"; fi
  exec >>"$log" 2>&1
  echo "== $(date -u +%FT%TZ)"
}

# Cleans up however the script ends, and reports the outcome.
finish() {
  local status=$?
  trap - EXIT
  if [[ -n $locked ]]; then
    remove_throwaway
    rm -f "${setting[directory]}"/.partial*
  fi
  if ((status != 0)); then
    local reason
    reason=$(cat "$scratch/reason" 2>/dev/null) || reason="The backup broke off (exit status $status); the lines above say why."
    [[ -f $scratch/reason ]] || say "$reason"
    [[ -z $json ]] || error_json "$reason"
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
  if [[ -z $url || -n $safety ]]; then return 0; fi
  printf 'url = "%s%s"\n' "$url" "$1" |
    curl -fsS -m 10 --retry 3 -o /dev/null --data-raw "$2" --config - 9>&- ||
    say "The ping URL did not answer; see \`backups.pingUrl\`."
}

is_recent() {
  local newest
  while read -r newest; do
    if is_verified "$newest"; then
      (($(age_of "$newest") < older * HOUR)) || return 1
      return 0
    fi
  done < <(backups)
  return 1
}

# Asks the session that holds the snapshot; the answer, one line, is in `answer`.
ask() {
  answer=''
  { printf '%s\n' "$1" >&"$to_session"; } 2>/dev/null || true
  read -r -t "$DUMP_SECONDS" answer <&"$from_session" ||
    refuse "The database ended the connection ($(tail -n 1 "$scratch/session" 2>/dev/null)); see \`docker logs ${setting[container]}\`."
}

# Everything that is compared later is read in the same snapshot that is dumped, so a busy database raises no alarm.
open_snapshot() {
  coproc SESSION { sql "${setting[database]}" 2>"$scratch/session"; }
  # shellcheck disable=SC2153 # coproc sets it; it would vanish with the session
  from_session=${SESSION[0]} to_session=${SESSION[1]}
  ask "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();"
  snapshot=$answer
  ask "SELECT pg_database_size(current_database()) / 1048576 + 1;"
  database_mb=$answer
  ask "SHOW server_version;"
  version=${answer%% *}
  ask "SELECT count(*) FROM pg_tables WHERE $OWN_TABLES;"
  ((answer > 0)) || refuse "The database ${setting[database]} has no tables, so there is nothing to back up; check that the bot has made them."
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
      --snapshot="$snapshot" -U "${setting[user]}" -d "${setting[database]}" 2>"$errors"
  } | gzip -6 >"$partial" 2>"$scratch/gzip" || {
    status=("${PIPESTATUS[@]}")
    refuse "The dump broke off (pg_dump ${status[0]}, gzip ${status[1]}: $(cat "$errors" "$scratch/gzip" 2>/dev/null | tail -n 1)); it was not kept."
  }
}

throwaway() {
  echo "${setting[container]}_verify"
}

remove_throwaway() {
  docker rm --force --volumes "$(throwaway)" >/dev/null 2>&1 || true
}

# A PostgreSQL of the same image as the live one, for one trial restore.
start_throwaway() {
  local image directory mode=0700 free need=$((2 * database_mb + setting[backupFreeMb])) memory=${setting[databaseMemory]} data=()
  image=$(docker inspect --format '{{.Image}}' "${setting[container]}")
  directory=$(data_directory "$image")
  # If the data is further down, its owner must be able to pass through this directory.
  [[ $directory == */data ]] || mode=1777
  if ((need <= MOST_MEMORY_MB && 2 * need <= $(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo))); then
    data=(--tmpfs "$directory:size=${need}m,mode=$mode")
    memory=$((memory + need))
  else
    free=$(docker_free_mb)
    ((free >= need)) ||
      refuse "The backup could not be verified: the disk of Docker's directory has $free MB left and a restore needs $need; make room there. The backup was kept."
    data=(--volume "$directory")
  fi
  remove_throwaway
  # After an upgrade that went back, the live image is a copy of the container's with its environment: a password file
  # that is not here would end the throwaway.
  run_isolated "$(throwaway)" "$memory" --rm "${data[@]}" --env POSTGRES_HOST_AUTH_METHOD=trust \
    --env POSTGRES_PASSWORD_FILE= "$image" -c fsync=off -c full_page_writes=off -c autovacuum=off \
    -c max_wal_size=64MB -c wal_level=minimal -c max_wal_senders=0 -c max_parallel_maintenance_workers=0
  wait_ready "$(throwaway)" "${setting[readySeconds]}" ||
    refuse "The backup could not be verified: the throwaway PostgreSQL did not start. The backup was kept."
}

in_throwaway() {
  sql_in "$(throwaway)" "${setting[database]}" <<<"$1"
}

# Restores the archive into the throwaway: verify FILE CONTENTS DIGEST. Prints what differs, and nothing on success.
verify() {
  local file=$1 contents=$2 digest=$3 restored
  load "$file" "$(throwaway)" "${setting[database]}" || {
    echo "it cannot be restored"
    return 0
  }
  restored=$(in_throwaway "$CONTENTS")
  if [[ $restored != "$contents" ]]; then
    echo "restored, it differs: $(differences "$contents" "$restored")"
  elif [[ -n $digest && $(in_throwaway "$(query_digest)") != "$digest" ]]; then
    echo "restored, it answers \`backups.query\` differently"
  fi
}

# Gives a file its final name once it is complete and on the disk.
publish() {
  sync "$1"
  mv "$1" "$2"
  sync "$(dirname "$2")"
}

copy_elsewhere() {
  local file=$1 copy=$1 name=${1##*/}
  if [[ -z ${setting[remote]-} || -n $safety ]]; then return 0; fi
  command -v rclone >/dev/null || refuse "The backup is verified, but rclone is missing on the server for \`backups.remote\`; install it there with: apt-get install rclone"
  if [[ -n ${setting[recipient]-} ]]; then
    command -v age >/dev/null || refuse "The backup is verified, but age is missing on the server for \`backups.recipient\`; install it there with: apt-get install age"
    copy=${setting[directory]}/.partial.age name=$name.age
    age --encrypt --recipient "${setting[recipient]}" --output "$copy" "$file" ||
      refuse "The backup is verified, but age could not encrypt it; see \`backups.recipient\`."
  fi
  rclone copyto --retries 3 "$copy" "${setting[remote]%/}/$name" 2>"$scratch/rclone" ||
    refuse "The backup is verified, but could not be copied to ${setting[remote]} ($(tail -n 1 "$scratch/rclone")); see \`backups.remote\`."
  rm -f "${setting[directory]}/.partial.age"
}

# Deletes backups that are older than the retention, except the newest `keepAtLeast` verified ones; nothing where there
# are fewer.
retain() {
  local name kept=0 deleted=0 least=${setting[keepAtLeast]} days=${setting[retentionDays]}
  while read -r name; do
    if ((kept < least)); then
      if is_verified "$name"; then kept=$((kept + 1)); fi
    elif (($(age_of "$name") > days * 24 * HOUR)); then
      rm -f "${setting[directory]:?}/$name" "${setting[directory]}/$name.sha256"
      deleted=$((deleted + 1))
    fi
  done < <(backups)
  ((deleted == 0)) || say "deleted $deleted older than $days days"
}

# Dumps the database to FILE.partial and fills `contents` and `digest`, which the trial restore must give again.
take_dump() {
  local partial=$1 tables began=$SECONDS
  open_snapshot
  check_disk
  name=${setting[database]}_$(date -u +%F_%H%M%S).sql.gz
  dump "$partial"
  ask "$CONTENTS"
  contents=$answer
  digest=''
  if [[ -n ${setting[query]-} ]]; then
    ask "$(query_digest)"
    digest=$answer
  fi
  exec {to_session}>&-
  examine "$partial"
  tables=$(count_tables "$contents")
  [[ ${found[tables]} -ge $tables ]] ||
    refuse "The dump has ${found[tables]} of $tables tables; it was not kept."
  bytes=$(stat -c %s "$partial")
  say "dumped ${setting[database]}: $bytes bytes, $tables tables in $((SECONDS - began)) s"
}

back_up() {
  local began=$SECONDS dumped name contents digest bytes sum file partial=${setting[directory]}/.partial line difference verified=true
  require_database
  take_dump "$partial"
  dumped=$SECONDS
  file=${setting[directory]}/$name
  sum=$(sha256sum <"$partial" | cut -d ' ' -f 1)
  echo "$sum  $name" >"$partial.sha256"
  publish "$partial.sha256" "$file.sha256"
  publish "$partial" "$file"

  start_throwaway
  difference=$(verify "$file" "$contents" "$digest")
  remove_throwaway
  [[ -z $difference ]] || verified=false
  line=$(manifest_entry "$name" "$bytes" "$sum" "$version" "$((SECONDS - began))" "$verified" "$contents")
  record "$line"
  [[ -z $difference ]] || refuse "The backup $name is not good: $difference. It was kept, nothing older was deleted; see \`docker logs ${setting[container]}\`."
  say "restored it for a trial and found the same in $((SECONDS - dumped)) s"
  copy_elsewhere "$file"
  [[ -n $safety ]] || retain
  outcome="$name: $bytes bytes, verified"
  if [[ -n $json ]]; then echo "$line"; else echo "$file"; fi
}

main() {
  scratch=$(mktemp -d)
  trap finish EXIT
  trap 'exit 130' INT TERM HUP
  parse "$@"
  [[ -z $log ]] || open_log
  read_settings "$settings_file"
  [[ -n $safety ]] || take_lock 0
  locked=yes
  if [[ -n $older ]] && is_recent; then
    say "The newest verified backup is younger than $older hours; nothing to do."
    exit 0
  fi
  rm -f "${setting[directory]}"/.partial*
  back_up
}

main "$@"
