# shellcheck shell=bash
# The backup before a release, for backup-db.sh: whether there is anything to lose, and how long the release waits. Needs
# lib/claim.sh; takes STACK and STACK_ID.
# shellcheck disable=SC2034,SC2154 # shared with the script

# How the answer begins that names a good backup; all others are reasons why there is none.
readonly VERIFIED='verified '

# Tells what has become of the backup; the one who waits for it may have gone.
answer_caller() {
  if [[ -n $caller ]]; then echo "$1" >&"$caller" || true; fi 2>/dev/null
}

# Whether a release of the commit puts data at risk: not the first one, nor one of the commit that runs. Ends the script
# where the release goes ahead without a backup all the same, as it may be what puts things right.
is_at_risk() {
  local name is_running revision database='' bot=''
  [[ -f $settings_file ]] || return 1
  (read_settings "$settings_file") 2>/dev/null || {
    say "the server has the settings of an earlier version, which this update replaces"
    exit "$BUSY"
  }
  read_settings "$settings_file"
  # What another stack has there is not this one's to back up; its update is refused.
  is_own "${setting[claim]}" || return 1
  while read -r name is_running revision; do
    if [[ $name == "${setting[container]}" ]]; then database=$is_running; else bot=$revision; fi
  done < <(docker container inspect --format "{{slice .Name 1}} {{.State.Running}} {{index .Config.Labels \"${setting[revisionLabel]}\"}}" \
    "${setting[container]}" "${setting[bot]}" 2>/dev/null)
  [[ -n $database && $bot != "$commit" ]] || return 1
  [[ $database == true ]] || {
    say "the database does not run"
    exit "$BUSY"
  }
}

# Waits for the backup as long as the release may wait. It is made by a process of its own, which goes on by itself.
before_release() {
  local waited made='' code=0
  is_at_risk || return 0
  exec {waited}< <(exec {caller}>&1 && run </dev/null >/dev/null 2>&1)
  # A second more: a wait for the lock then ends first, and says why.
  read -r -t "$((patience + 1))" made <&"$waited" || code=$?
  # So says read when the time is over.
  if ((code > 128)); then
    say "it takes longer than $patience seconds and goes on by itself; a migration that alters tables waits until they are dumped"
    exit "$BUSY"
  fi
  if [[ $made == "$VERIFIED"* ]]; then
    # What is left is to clean up, for which the release need not wait.
    echo "${made#"$VERIFIED"}"
    return 0
  fi
  wait "$!" || {
    code=$?
    say "$made"
    exit "$code"
  }
}
