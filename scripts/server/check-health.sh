#!/usr/bin/env bash
# Looks at everything of the stack on the server and at the server itself, judges it, and tells what is news. This is the
# only judge: cron calls it, and so do `./delivery health` and `status`, with a copy of their own version.
#
# usage: check-health.sh look   only shows the verdicts
#        check-health.sh tell   sends alerts, too, and remembers what was told
#        check-health.sh cron   the same; what is not well goes to a log, and the ping URL is called
# Prints a line for each check: LEVEL CHECK CONTAINER TEXT, with tabs between and - for no container; then a line
# `unsent CHANNEL` for each channel that could not be told; and with REPORT=yes the facts as one JSON object.
#
# On standard input the caller adds verdicts, as such lines, of what is seen only from outside; and lines
# `setting KEY VALUE` of what the settings file may lack. CALLER_TIME is the caller's time in seconds since 1970.
set -euo pipefail
umask 077
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/arguments.sh"

need BOT DATABASE_CONTAINER PROXY GATE CERTIFICATES REVISION_LABEL PORT HEALTH_PATH PUBLIC_PORT ROLE DATABASE \
  DATABASE_PORT BACKUP_MANIFEST BACKUP_LOG BACKUP_GAP_SECONDS BUILD_FREE_MB HOLD_SECONDS UPGRADE_HOLD_SECONDS RESTORE_JOURNAL \
  UPGRADE_JOURNAL SWAP_LOCK DRIFT IMAGE_UPDATES HEALTH HEALTH_DIRECTORY HEALTH_MINUTES WARNING_HOURS HOST \
  DEPLOY_PATH SETTINGS_FILE BOT_API_URL SECRET_TEXTS CERTIFICATE_DAYS
take DOMAIN REMOTE

source "${BASH_SOURCE[0]%/*}/lib/log.sh"
source "${BASH_SOURCE[0]%/*}/lib/redact.sh"
source "${BASH_SOURCE[0]%/*}/lib/cron.sh"
source "${BASH_SOURCE[0]%/*}/lib/words.sh"
source "${BASH_SOURCE[0]%/*}/lib/memory.sh"
source "${BASH_SOURCE[0]%/*}/lib/side-by-side.sh"
source "${BASH_SOURCE[0]%/*}/lib/backup-facts.sh"
source "${BASH_SOURCE[0]%/*}/lib/system-facts.sh"
source "${BASH_SOURCE[0]%/*}/lib/facts.sh"
source "${BASH_SOURCE[0]%/*}/lib/judge-backups.sh"
source "${BASH_SOURCE[0]%/*}/lib/judge-server.sh"
source "${BASH_SOURCE[0]%/*}/lib/judge.sh"
source "${BASH_SOURCE[0]%/*}/lib/known.sh"
source "${BASH_SOURCE[0]%/*}/lib/news.sh"
source "${BASH_SOURCE[0]%/*}/lib/alerts.sh"
source "${BASH_SOURCE[0]%/*}/lib/report.sh"

# Seconds to wait for another look that tells.
readonly LOCK_SECONDS=90

# The channels, as the last update has left them on the server.
load_channels() {
  if [[ -f $DEPLOY_PATH/$SETTINGS_FILE ]]; then load_settings "$DEPLOY_PATH/$SETTINGS_FILE"; fi
}

# What the caller adds. A terminal has nothing.
read_caller() {
  local line word rest
  if [[ -t 0 ]]; then return 0; fi
  while IFS= read -r line; do
    word=${line%%$'\t'*} rest=${line#*$'\t'}
    case $word in
      ok | warning | critical) verdicts+=("$line") ;;
      setting) if [[ ! -v setting[${rest%%$'\t'*}] ]]; then setting[${rest%%$'\t'*}]=${rest#*$'\t'}; fi ;;
    esac
  done
}

# Decides what is news, tells it and remembers it, one look at a time. A look that began before another one that has told
# since knows less than that.
tell() {
  local seen=$1
  if [[ ! -d $DEPLOY_PATH ]] || ! mkdir -p "$HEALTH_DIRECTORY" 2>/dev/null; then
    say "Nothing can be remembered in $HEALTH_DIRECTORY on the server, so no alert was sent; run \`pulumi up\`."
    return 0
  fi
  exec 9>"$HEALTH_DIRECTORY/lock"
  flock -w "$LOCK_SECONDS" 9 || {
    say "Another check does not come to its end on the server, so no alert was sent."
    return 0
  }
  load_known
  if ((${known[seen]-0} > seen && ${known[seen]-0} <= ${EPOCHREALTIME/[.,]/})); then return 0; fi
  known[seen]=$seen
  remember_facts
  remember_verdicts
  tell_channels
  save_known || say "What was told could not be remembered in $HEALTH_DIRECTORY on the server; make room on its disk."
}

begin_cron() {
  mkdir -p "$HEALTH_DIRECTORY"
  open_log "$HEALTH_DIRECTORY/log"
  mark_cron "$HEALTH_DIRECTORY"
}

main() {
  local mode=${1-} seen=${EPOCHREALTIME/[.,]/} line channel
  [[ $mode == look || $mode == tell || $mode == cron ]] || refuse "usage: check-health.sh look|tell|cron"
  readonly now=$EPOCHSECONDS containers=("$BOT" "$DATABASE_CONTAINER" "$PROXY")
  if [[ $mode == cron ]]; then begin_cron; fi
  load_channels
  load_known
  gather
  judge
  read_caller
  for line in "${verdicts[@]}"; do
    if [[ $mode != cron || $line != ok* ]]; then echo "$line"; fi
  done
  if [[ $mode != look ]]; then tell "$seen"; fi
  if [[ $mode == cron ]]; then ping_alive; fi
  for channel in "${unsent[@]}"; do printf 'unsent\t%s\n' "$channel"; done
  if [[ -n ${REPORT-} ]]; then report; fi
}

# The script may come through standard input, and the caller's lines follow this block. Bash reads the whole block, `exit`
# included, before it runs any of it, and so never takes those for commands.
{
  main "$@"
  exit
}
