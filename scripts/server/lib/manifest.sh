# shellcheck shell=bash
# JSON of the backups: the manifest, which has a line for each backup, and what scripts print for other programs. All
# JSON is written and read here.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# A line of the manifest, of which a backup may have several; the newest counts:
# manifest_entry NAME BYTES SHA256 SERVER_VERSION SECONDS VERIFIED CONTENTS [FIELDS], where VERIFIED is true or false and
# FIELDS some of
#   "for":"release",   made before a release (lib/retention.sh)
#   "copy":"wanted",   to be copied elsewhere
#   "copied":"TIME",   when it was
#   "shrunk":"TEXT",   tables that have lost more than half of their rows since the backup before (lib/contents.sh)
manifest_entry() {
  printf '{"file":"%s","time":"%s","bytes":%d,"sha256":"%s","server":"%s","seconds":%d,"verified":%s,%s"contents":%s}' \
    "$1" "$(date -u +%FT%TZ)" "$2" "$3" "$4" "$5" "$6" "${8-}" "$7"
}

# Adds a line to the manifest and waits until it is on the disk. Its lock keeps a backup's and a copy's line apart.
record() {
  local manifest=${setting[backupManifest]} to
  exec {to}>>"$manifest"
  flock "$to"
  # A line that a crash cut off must not swallow this one.
  if [[ -s $manifest && -n $(tail -c 1 "$manifest") ]]; then echo >&"$to"; fi
  echo "$1" >&"$to"
  sync "$manifest"
  exec {to}>&-
}

# The newest line of a backup; nothing where there is none or it is damaged.
manifest_line() {
  local manifest=${setting[backupManifest]}
  [[ ! -f $manifest ]] || { grep -aE "^\{\"file\":\"${1//./\\.}\",.*\"contents\":\{.*\}\}$" "$manifest" || true; } | tail -n 1
}

# Fills what the manifest knows of each backup, by its name: whether it is verified (true or false), when it was copied
# elsewhere (TIME, wanted or -), and whether it was made for a release (release or -).
declare -A known_verified=() known_copied=() known_purpose=()
learn_manifest() {
  local name is_good copied purpose manifest=${setting[backupManifest]}
  known_verified=() known_copied=() known_purpose=()
  [[ -f $manifest ]] || return 0
  while read -r name is_good copied purpose; do
    known_verified[$name]=$is_good known_copied[$name]=$copied known_purpose[$name]=$purpose
  done < <(LC_ALL=C awk '
    /^[{]"file":"[^"]*",.*"contents":[{].*[}][}]$/ {
      split($0, part, "\"")
      copied = /"copy":"wanted",/ ? "wanted" : "-"
      if (match($0, /"copied":"[^"]*"/)) copied = substr($0, RSTART + 10, RLENGTH - 11)
      print part[4], (/"verified":true,/ ? "true" : "false"), copied, (/"for":"release",/ ? "release" : "-")
    }' "$manifest")
}

# The line of the newest verified backup; nothing where there is none.
newest_verified_line() {
  local manifest=${setting[backupManifest]}
  [[ ! -f $manifest ]] || LC_ALL=C awk '
    /^[{]"file":"[^"]*",.*"verified":true,.*"contents":[{].*[}][}]$/ {
      split($0, part, "\"")
      if (part[4] >= newest) { newest = part[4]; line = $0 }
    }
    END { if (newest != "") print line }' "$manifest"
}

# Notes that a backup has been copied elsewhere.
record_copy() {
  local wanted='"copy":"wanted",' line
  line=$(manifest_line "$1")
  record "${line/$wanted/$wanted\"copied\":\"$(date -u +%FT%TZ)\",}"
}

is_verified() {
  [[ $(manifest_line "$1") == *'"verified":true,'* ]]
}

# What a line says was dumped, as CONTENTS (lib/contents.sh) gives it.
contents_in() {
  local contents=${1#*\"contents\":}
  echo "${contents%\}}"
}

# The name of the backup that a line describes.
file_in() {
  local file=${1#\{\"file\":\"}
  echo "${file%%\"*}"
}

# The number of tables, partitioned ones too, in an answer to CONTENTS.
count_tables() {
  { grep -oE '"objects" : \{[^}]*\}' <<<"$1" | grep -oE '"[rp]" : [0-9]+' || true; } | awk '{ sum += $3 } END { print sum + 0 }'
}

# A failure for another program: error_json SENTENCE.
error_json() {
  printf '{"error":"%s"}\n' "$(tr -d '\000-\037\\"' <<<"$1")"
}

# Every backup for another program, newest first; `copied` only where copies are wanted.
backups_json() {
  local name age bytes is_good copied separator='' field
  printf '['
  while read -r name age bytes is_good copied; do
    case ${setting[remote]:+$copied} in
      '') field='' ;;
      *-*T*) field=",\"copied\":\"$copied\"" ;;
      *) field=',"copied":null' ;;
    esac
    printf '%s{"file":"%s","ageSeconds":%d,"bytes":%d%s,"verified":%s}' "$separator" "$name" "$age" "$bytes" "$field" "$is_good"
    separator=,
  done < <(describe_backups)
  echo ']'
}
