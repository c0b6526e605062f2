# shellcheck shell=bash
# The judgement of the backups: see lib/judge.sh.
# shellcheck disable=SC2154 # shared with the script and the other files here

declare -A fact known

readonly HOUR=3600
# After the longest gap of the schedule a backup may take this long, then it is late, then missing: a daily one must never
# be older than 26 hours.
readonly LATE_SECONDS=$HOUR
readonly MISSING_SECONDS=$((2 * HOUR))
# A copy may take this long.
readonly COPY_SECONDS=$((2 * HOUR))
# How long a table that has lost most of its rows is told of.
readonly SHRUNK_SECONDS=$((48 * HOUR))

# A backup for a reader: describe_backup newest|verified.
describe_backup() {
  echo "${fact[$1.file]}, $(bytes_in_words "${fact[$1.bytes]}"), $(span_in_words $((now - ${fact[$1.time]}))) ago"
}

judge_backup() {
  local age made
  if [[ -z ${fact[verified.file]-} ]]; then
    made=$(seconds_of "${fact[$DATABASE_CONTAINER.created]-}")
    if [[ -n ${fact[newest.file]-} ]]; then
      verdict critical backup - "$(describe_backup newest), not verified, and none that is"
    elif ((made == 0 || now - made <= BACKUP_GAP_SECONDS + LATE_SECONDS)); then
      verdict ok backup - "none yet; the first one is not due"
    else
      verdict critical backup - "there is none; make one with: ./delivery backup"
    fi
    return 0
  fi
  age=$((now - ${fact[verified.time]}))
  if [[ ${fact[newest.verified]} != true ]]; then
    verdict critical backup - "$(describe_backup newest), not verified; the last verified one is $(describe_backup verified)"
  elif ((age > BACKUP_GAP_SECONDS + MISSING_SECONDS)); then
    verdict critical backup - "$(describe_backup verified): too old; make one with: ./delivery backup"
  elif ((age > BACKUP_GAP_SECONDS + LATE_SECONDS)); then
    verdict warning backup - "$(describe_backup verified): one is missing"
  else
    verdict ok backup - "$(describe_backup verified), verified"
  fi
}

# Copies elsewhere, of those backups that are to be copied.
judge_copies() {
  local since lost=$((2 * BACKUP_GAP_SECONDS + COPY_SECONDS))
  if [[ -z $REMOTE ]]; then
    verdict warning copies - "every backup is on the database's own disk; set backups.remote"
  elif [[ -z ${fact[due.file]-} ]]; then
    verdict ok copies - "there is nothing to copy yet"
  elif [[ -n ${fact[due.copied]-} ]]; then
    verdict ok copies - "the newest backup was copied $(span_in_words $((now - ${fact[due.copied]}))) ago"
  elif ((now - ${fact[due.time]} <= COPY_SECONDS)); then
    verdict ok copies - "the newest backup is still to be copied"
  else
    # Where none was ever copied, since that is known.
    read -r since _ <<<"${known[bad$'\t'copies]-$now}"
    since=${fact[copied.time]:-$since}
    if ((now - since > lost)); then
      verdict critical copies - "no backup was copied to backups.remote for $(span_in_words $((now - since))); see $BACKUP_LOG on the server"
    else
      verdict warning copies - "${fact[due.file]} was not copied to backups.remote; see $BACKUP_LOG on the server"
    fi
  fi
}

judge_tables() {
  if [[ -z ${fact[newest.file]-} ]]; then return 0; fi
  if [[ -n ${fact[shrunk.file]-} ]] && ((now - ${fact[shrunk.time]} <= SHRUNK_SECONDS)); then
    verdict warning tables - "rows were lost before ${fact[shrunk.file]}: ${fact[shrunk.text]}"
  else
    verdict ok tables - "none has lost most of its rows"
  fi
}
