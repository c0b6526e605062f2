# shellcheck shell=bash
# The backups in the directory: their names, their age, and whether an archive is whole.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# How the name of a finished backup ends; an unfinished one is called .partial*.
readonly BACKUP_NAME='_[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{6}\.sql\.gz$'

# Names, newest first: the time in a name is UTC and sorts by itself.
backups() {
  find "${setting[directory]}" -maxdepth 1 -type f -printf '%f\n' |
    { grep -E "^${setting[database]}$BACKUP_NAME" || true; } | sort -r
}

# The time in a backup's name, for date.
time_in() {
  local stamp=${1%.sql.gz}
  stamp=${stamp: -17}
  echo "${stamp:0:10} ${stamp:11:2}:${stamp:13:2}:${stamp:15:2}"
}

# Seconds since the time in a backup's name.
age_of() {
  echo $((EPOCHSECONDS - $(date -u -d "$(time_in "$1")" +%s)))
}

# Everything of every backup, newest first: lines NAME SECONDS BYTES VERIFIED with its age, and true or false. All of it
# takes a few processes: some for each of many backups would take seconds.
describe_backups() {
  local name size verified index names times
  local -A bytes=() is_verified=()
  while read -r name size; do bytes[$name]=$size; done < <(find "${setting[directory]}" -maxdepth 1 -type f -printf '%f %s\n')
  while read -r name verified; do is_verified[$name]=$verified; done < <(verified_in_manifest)
  mapfile -t names < <(backups)
  mapfile -t times < <(for name in "${names[@]}"; do time_in "$name"; done | date -u -f - +%s)
  ((${#times[@]} == ${#names[@]})) ||
    refuse "A backup in ${setting[directory]} has a time in its name that there is not (see above); rename or remove it."
  for index in "${!names[@]}"; do
    name=${names[index]}
    # One that is removed meanwhile has no size.
    if [[ -v bytes[$name] ]]; then
      echo "$name $((EPOCHSECONDS - times[index])) ${bytes[$name]} ${is_verified[$name]-false}"
    fi
  done
}

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

# Reads an archive through and fills `found` with what it says about itself: begun, complete, database, version (major),
# tables. gzip checks its own end and checksum, but a pg_dump that died leaves a perfect archive of half a dump: only
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
    /^-- PostgreSQL database dump complete$/ { complete = NR }
    END { print "tables", tables + 0; if (complete && NR - complete < 20) print "complete yes" }') ||
    refuse "The backup ${file##*/} is damaged: gzip cannot read it to its end; use another one."
  while read -r key value; do found[$key]=$value; done <<<"$report"
  [[ -n ${found[begun]-} ]] || refuse "The file ${file##*/} is not a dump by pg_dump; use another one."
  [[ -n ${found[complete]-} ]] || refuse "The backup ${file##*/} is not complete: pg_dump did not reach its end; use another one."
  [[ ${found[tables]} -gt 0 ]] || refuse "The backup ${file##*/} is empty: it has no tables; use another one."
}
