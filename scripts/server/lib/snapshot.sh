# shellcheck shell=bash
# The session that holds the snapshot which backup-db.sh dumps. Needs lib/postgres.sh,
# lib/contents.sh and lib/manifest.sh.
# shellcheck disable=SC2034,SC2154 # shared with the script

readonly DUMP_SECONDS=3600

# Asks the session that holds the snapshot; the answer, one line, is in `answer`.
ask() {
  answer=''
  { printf '%s\n' "$1" >&"$to_session"; } 2>/dev/null || true
  read -r -t "$DUMP_SECONDS" answer <&"$from_session" ||
    refuse "The database ended the connection ($(tail -n 1 "$scratch/session" 2>/dev/null | redact)); see \`docker logs ${setting[container]}\`."
}

# Everything that is compared later is read in the same snapshot that is dumped, so a busy database raises no alarm.
open_snapshot() {
  coproc SESSION { sql "${setting[database]}" 2>"$scratch/session"; }
  # shellcheck disable=SC2153 # coproc sets it; it would vanish with the session
  from_session=${SESSION[0]} to_session=${SESSION[1]}
  ask "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();"
  snapshot=$answer
  ask "SHOW server_version;"
  version=${answer%% *}
  ask "SELECT count(*) FROM pg_tables WHERE $OWN_TABLES;"
  # A release has nothing to lose there.
  ((answer > 0)) || [[ -z $commit ]] || exit 0
  ((answer > 0)) || refuse "The database ${setting[database]} has no tables, so there is nothing to back up; check that the bot has made them."
}

# Fills `less` with the tables that have lost more than half of their rows since the last verified backup, in one line. The
# settings of an earlier version do not say which are too small to count.
find_shrunk() {
  local earlier
  less=''
  earlier=$(newest_verified_line)
  [[ -n $earlier && -n ${setting[leastRows]-} ]] || return 0
  ask "$(compare_rows "$(contents_in "$earlier")" "$contents")"
  less=$answer
}
