# shellcheck shell=bash
# How long backups are kept. Needs lib/backups.sh and lib/manifest.sh.
# shellcheck disable=SC2154 # shared with the scripts and the other files here

readonly HOUR=3600

# Whether a backup that counts is younger than the hours in `older`. One that was made before a release does not: it is
# neither copied elsewhere nor kept for long.
is_recent() {
  local name
  learn_manifest
  while read -r name; do
    if [[ ${known_verified[$name]-} == true && ${known_purpose[$name]} != release ]]; then
      (($(age_of "$name") < older * HOUR)) || return 1
      return 0
    fi
  done < <(backups)
  return 1
}

# Deletes backups that are older than the retention, except the newest `keepAtLeast` verified ones; nothing where there are
# fewer. Those that were made before releases have a rule of their own, since a day may have many: they do not count among
# the others, and are kept for some days, the newest few whatever their age.
retain() {
  local name kept=0 releases=0 deleted=0 age
  learn_manifest
  while read -r name; do
    age=$(age_of "$name")
    if [[ ${known_purpose[$name]-} == release ]]; then
      releases=$((releases + 1))
      ((releases > setting[releaseBackups] && age > setting[releaseBackupDays] * 24 * HOUR)) || continue
    elif ((kept < setting[keepAtLeast])); then
      if [[ ${known_verified[$name]-} == true ]]; then kept=$((kept + 1)); fi
      continue
    elif ((age <= setting[retentionDays] * 24 * HOUR)); then
      continue
    fi
    rm -f "${setting[directory]:?}/$name" "${setting[directory]}/$name.sha256"
    deleted=$((deleted + 1))
  done < <(backups)
  ((deleted == 0)) || say "deleted $deleted that were kept long enough"
}
