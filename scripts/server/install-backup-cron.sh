#!/usr/bin/env bash
# Puts the schedule of a stack's backups into this user's crontab, as one marked block, or removes it. All other lines
# stay as they are; the same input twice changes nothing.
#
# usage: DEPLOY_PATH=… SCHEDULE=… install-backup-cron.sh install   SCHEDULE is five cron fields, e.g. "0 6 * * *"
#        DEPLOY_PATH=… install-backup-cron.sh remove
#
# Each deploy path has a block of its own: several bots may share the server and its user. The times are those of the
# server's time zone: Debian's cron knows no other. After a boot, cron undoes a restore or an upgrade that was cut off,
# and makes a backup that was missed.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib/common.sh"

# A machine that was off at the time of the daily backup is due for one.
readonly CATCH_UP_HOURS=25

# This user's crontab without the block; nothing where there is no crontab yet.
others() {
  { crontab -l 2>/dev/null || true; } | awk -v begin="$begin" -v end="$end" '
    $0 == begin { inside = 1 }
    !inside { print }
    $0 == end { inside = 0 }
    END { exit inside }' ||
    refuse "The crontab of $(id -un) has lost the line \"$end\"; put it back where the stack's block ends: crontab -e"
}

block() {
  local settings=$DEPLOY_PATH/backups/settings log=$DEPLOY_PATH/backup.log
  local backup="$DEPLOY_PATH/bin/backup-db.sh $settings --log $log"
  echo "$begin"
  # For the reader, and for those crons that can keep another zone than the server's.
  echo "CRON_TZ=$(time_zone)"
  echo "$SCHEDULE $backup"
  echo "@reboot umask 077; $DEPLOY_PATH/bin/restore-db.sh $settings recover >>$log 2>&1; $backup --if-older-than $CATCH_UP_HOURS"
  echo "$end"
}

main() {
  : "${DEPLOY_PATH:?}"
  local action=${1-} settings=$DEPLOY_PATH/backups/settings old new
  [[ $# == 1 && ($action == install || $action == remove) ]] ||
    refuse "usage: install-backup-cron.sh install | remove (with DEPLOY_PATH, and SCHEDULE to install)"
  command -v crontab >/dev/null || refuse "The server has no cron; install it there with: apt-get install cron"
  readonly begin="# BEGIN backups of $DEPLOY_PATH (written by the stack; changes are lost)" end="# END backups of $DEPLOY_PATH"
  # Two stacks that come up at the same time would each write back what they have read.
  exec 9<"$HOME"
  flock 9
  old=$(crontab -l 2>/dev/null) || old=''
  if [[ $action == install ]]; then
    : "${SCHEDULE:?}"
    [[ -f $settings ]] || refuse "There is no settings file $settings; run \`pulumi up\`, which writes it."
    new=$(others && block)
    echo "backups at $SCHEDULE, $(time_zone)"
  else
    new=$(others)
  fi
  if [[ $new == "$old" ]]; then return; fi
  if [[ -n $new ]]; then
    crontab - <<<"$new"
  else
    crontab -r
  fi
}

main "$@"
