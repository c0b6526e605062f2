# shellcheck shell=bash
# The backups in the directory: their names, their age, and whether an archive is whole. Needs lib/words.sh.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# How the name of a finished backup ends; an unfinished one is called .partial*.
readonly BACKUP_NAME='_[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{6}\.sql\.gz$'

# Names, newest first: the time in a name is UTC and sorts by itself.
backups() {
  find "${setting[directory]}" -maxdepth 1 -type f -printf '%f\n' |
    { grep -E "^${setting[database]}$BACKUP_NAME" || true; } | sort -r
}

# The time in a backup's name, in UTC as `date` reads it.
time_in() {
  local stamp=${1%.sql.gz}
  stamp=${stamp: -17}
  echo "${stamp:0:10} ${stamp:11:2}:${stamp:13:2}:${stamp:15:2}"
}

# Seconds since the time in a backup's name.
age_of() {
  local seconds
  seconds=$(seconds_of "$(time_in "$1")")
  ((seconds > 0)) || refuse "The backup $1 has a time in its name that there is not; rename or remove it."
  echo $((EPOCHSECONDS - seconds))
}

# Everything of every backup, newest first: lines NAME SECONDS BYTES VERIFIED COPIED with its age, and the rest as
# lib/manifest.sh knows it. All of it takes a few processes: some for each of many backups would take seconds.
describe_backups() {
  local name size index names times
  local -A bytes=()
  while read -r name size; do bytes[$name]=$size; done < <(find "${setting[directory]}" -maxdepth 1 -type f -printf '%f %s\n')
  learn_manifest
  mapfile -t names < <(backups)
  mapfile -t times < <(for name in "${names[@]}"; do time_in "$name"; done | date -u -f - +%s)
  ((${#times[@]} == ${#names[@]})) ||
    refuse "A backup in ${setting[directory]} has a time in its name that there is not (see above); rename or remove it."
  for index in "${!names[@]}"; do
    name=${names[index]}
    # One that is removed meanwhile has no size.
    if [[ -v bytes[$name] ]]; then
      echo "$name $((EPOCHSECONDS - times[index])) ${bytes[$name]} ${known_verified[$name]-false} ${known_copied[$name]--}"
    fi
  done
}

# Every backup for a reader, newest first. The last column says whether it is verified, which an earlier version's workflow
# looks for.
list_backups() {
  local name age bytes is_good copied format='%-44s %10s %14s%s  %s\n'
  # shellcheck disable=SC2059 # it has several lines
  printf "$format" BACKUP AGE BYTES "${setting[remote]:+  COPIED              }" VERIFIED
  while read -r name age bytes is_good copied; do
    if [[ $is_good == true ]]; then is_good=yes; else is_good=no; fi
    if [[ $copied != *-*T* ]]; then copied=no; fi
    # shellcheck disable=SC2059 # as above
    printf "$format" "$name" "$(span_in_words "$age")" "$bytes" "${setting[remote]:+$(printf '  %-20s' "$copied")}" "$is_good"
  done < <(describe_backups)
  echo "Kept for ${setting[retentionDays]} days, and the newest ${setting[keepAtLeast]} verified ones whatever their age."
}

# Gives a file its final name once it is complete and on the disk.
publish() {
  sync "$1"
  mv "$1" "$2"
  sync "$(dirname "$2")"
}

# The newest verified backup, or the script ends.
latest_backup() {
  local name
  while read -r name; do
    if is_verified "$name"; then
      echo "$name"
      return 0
    fi
  done < <(backups)
  refuse "There is no verified backup in ${setting[directory]}; name one that \`./delivery backups\` lists, or copy one there first."
}

# Reads an archive through and fills `found` with what it says about itself: begun, complete, connects, database, version
# (major), tables. gzip checks its own end and checksum, but a pg_dump that died leaves a perfect archive of half a dump: only
# the dump's own last line tells. Since 13.22 a line \unrestrict follows it.
declare -A found=()
examine() {
  local file=$1 report key value
  found=()
  report=$(gzip -dc "$file" 2>/dev/null | LC_ALL=C awk '
    NR <= 20 && /^-- Backup of the database / { print "database", $6 }
    NR <= 20 && /^-- PostgreSQL database dump$/ { print "begun yes" }
    NR <= 20 && /^-- Dumped from database version / { split($6, part, "."); print "version", part[1] }
    /^COPY .* FROM stdin;$/ { copying = 1; next }
    copying { if ($0 == "\\.") copying = 0; next }
    /^CREATE (UNLOGGED )?TABLE / { tables++ }
    /^\\connect / { print "connects yes" }
    /^-- PostgreSQL database dump complete$/ { complete = NR }
    END { print "tables", tables + 0; if (complete && NR - complete < 20) print "complete yes" }') ||
    refuse "The backup ${file##*/} is damaged: gzip cannot read it to its end; use another one."
  while read -r key value; do found[$key]=$value; done <<<"$report"
  [[ -n ${found[begun]-} ]] || refuse "The file ${file##*/} is not a dump by pg_dump; use another one."
  [[ -z ${found[connects]-} ]] || refuse "The file ${file##*/} goes to a database of its own choice; make the dump without --create."
  [[ -n ${found[complete]-} ]] || refuse "The backup ${file##*/} is not complete: pg_dump did not reach its end; use another one."
  [[ ${found[tables]} -gt 0 ]] || refuse "The backup ${file##*/} is empty: it has no tables; use another one."
}
