# shellcheck shell=bash
# JSON of the backups: the manifest, which has a line for each backup, and what scripts print for other programs. All
# JSON is written and read here.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# A line of the manifest:
# manifest_entry NAME BYTES SHA256 SERVER_VERSION SECONDS VERIFIED CONTENTS, where VERIFIED is true or false.
manifest_entry() {
  printf '{"file":"%s","time":"%s","bytes":%d,"sha256":"%s","server":"%s","seconds":%d,"verified":%s,"contents":%s}' \
    "$1" "$(date -u +%FT%TZ)" "$2" "$3" "$4" "$5" "$6" "$7"
}

# Adds a line to the manifest and waits until it is on the disk.
record() {
  local manifest=${setting[backupManifest]}
  # A line that a crash cut off must not swallow this one.
  if [[ -s $manifest && -n $(tail -c 1 "$manifest") ]]; then echo >>"$manifest"; fi
  echo "$1" >>"$manifest"
  sync "$manifest"
}

# The newest line of a backup; nothing where there is none or it is damaged.
manifest_line() {
  local manifest=${setting[backupManifest]}
  [[ ! -f $manifest ]] || { grep -aE "^\{\"file\":\"${1//./\\.}\",.*\"contents\":\{.*\}\}$" "$manifest" || true; } | tail -n 1
}

# A line NAME true|false for each backup that has a line in the manifest; the last one counts.
verified_in_manifest() {
  local manifest=${setting[backupManifest]}
  [[ ! -f $manifest ]] || LC_ALL=C awk '
    /^[{]"file":"[^"]*",.*"contents":[{].*[}][}]$/ { split($0, part, "\""); print part[4], (/"verified":true,/ ? "true" : "false") }' "$manifest"
}

is_verified() {
  [[ $(manifest_line "$1") == *'"verified":true,'* ]]
}

# What a line says was dumped, as CONTENTS (lib/postgres.sh) gives it.
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
  { grep -oE '"[rp]" : [0-9]+' <<<"$1" || true; } | awk '{ sum += $3 } END { print sum + 0 }'
}

# A failure for another program: error_json SENTENCE.
error_json() {
  printf '{"error":"%s"}\n' "$(tr -d '\000-\037\\"' <<<"$1")"
}

# Every backup for another program, newest first.
backups_json() {
  local name age bytes verified separator=''
  printf '['
  while read -r name age bytes verified; do
    printf '%s{"file":"%s","ageSeconds":%d,"bytes":%d,"verified":%s}' "$separator" "$name" "$age" "$bytes" "$verified"
    separator=,
  done < <(describe_backups)
  echo ']'
}
