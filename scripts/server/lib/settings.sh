# shellcheck shell=bash
# The settings file, which the stack writes for its installed scripts (infra/model/server-settings.ts), and the lock that
# backups, restores and upgrades take in turn.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# Exit status of a script that finds the lock taken.
readonly BUSY=75

settings_file=''

# Fills `setting` from lines KEY=VALUE and makes the backups' directory, closed to others: read_settings FILE.
read_settings() {
  local key
  settings_file=$1
  load_settings "$settings_file"
  # All other keys may be empty: query, remote, recipient and pingUrl are optional.
  for key in directory container user database retentionDays keepAtLeast bot proxy gate holdSeconds upgradeHoldSeconds \
    drainSeconds botStopSeconds databaseStopSeconds readySeconds backupFreeMb databaseMemory containerPids revisionLabel \
    swapDirectory swapLock swapJournal probationSeconds backupLock backupManifest restoreJournal upgradeJournal restoreStages upgradeStages secretsDirectory secretsMount \
    passwordFile dataDirectory versionedDataDirectory firstVersionedPostgres; do
    [[ -n ${setting[$key]-} ]] || refuse "The settings file $settings_file has no $key; run \`pulumi up\`, which writes it anew."
  done
  # For lib/redact.sh.
  SECRET_TEXTS=${setting[secretTexts]-} BOT=${setting[bot]}
  mkdir -p "${setting[directory]}"
  chmod 0700 "${setting[directory]}"
}

# One backup, restore or upgrade at a time: take_lock SECONDS_TO_WAIT. File descriptor 9 carries the lock; children that
# inherit it hold the lock until they end.
take_lock() {
  exec 9>"${setting[backupLock]}"
  flock -w "$1" 9 || (refuse "Another backup, restore or upgrade is running; try again when it has ended.") || exit "$BUSY"
}
