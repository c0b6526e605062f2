# shellcheck shell=bash
# Whether a backup may be put back: it is whole, of this database, and gives what was dumped. Needs lib/backups.sh,
# lib/manifest.sh, lib/contents.sh and lib/databases.sh.
# shellcheck disable=SC2154 # shared with the script and the other files here

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
  local name=$1 line difference
  line=$(manifest_line "$name")
  if [[ -n $line ]]; then
    difference=$(differences "${setting[container]}" "$fresh" "$(contents_in "$line")")
    [[ -z $difference ]] ||
      refuse "The backup $name, restored for a trial, differs from what was dumped ($difference); use another one."
  elif [[ -z ${found[database]-} ]] && has_tables; then
    [[ -n $(LC_ALL=C comm -12 <(table_names "$fresh") <(table_names "${setting[database]}")) ]] ||
      refuse "The backup $name has no table in common with ${setting[database]}, so it belongs to something else; use another one."
  fi
}
