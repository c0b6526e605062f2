#!/usr/bin/env bash
# Puts the backup's schedule into this user's crontab, as one marked block, or takes it out again. All other lines
# stay as they are; the same input twice changes nothing.
#
# usage: install-backup-cron.sh install SCHEDULE DEPLOY_PATH   five cron fields in one word, e.g. "0 6 * * *"
#        install-backup-cron.sh remove DEPLOY_PATH
#
# Each deploy path has a block of its own: several bots may share the server and its user.
# The times are those of the server's time zone: Debian's cron knows no other. After a boot it undoes a restore that was cut off and
# catches up on a backup that was missed.
set -euo pipefail

# A machine that was off at the time of the daily backup is due for one.
readonly CATCH_UP_HOURS=25

refuse() {
  echo "$*" >&2
  exit 1
}

# This user's crontab without the block; nothing where there is no crontab yet.
others() {
  { crontab -l 2>/dev/null || true; } | awk -v begin="$begin" -v end="$end" '
    $0 == begin { inside = 1 }
    !inside { print }
    $0 == end { inside = 0 }
    END { exit inside }' ||
    refuse "The crontab of $(id -un) has lost the line \"$end\"; put it back where the stack's block ends: crontab -e"
}

time_zone() {
  local zone
  zone=$(readlink -f /etc/localtime 2>/dev/null) || zone=''
  if [[ $zone == */zoneinfo/* ]]; then echo "${zone#*/zoneinfo/}"; else echo UTC; fi
}

block() {
  local schedule=$1 deploy=$2
  local settings=$deploy/backups/settings log=$deploy/backup.log
  local backup="$deploy/bin/backup-db.sh $settings --log $log"
  echo "$begin"
  # Said for the reader and for those crons that can keep another zone than the server's.
  echo "CRON_TZ=$(time_zone)"
  echo "$schedule $backup"
  echo "@reboot umask 077; $deploy/bin/restore-db.sh $settings recover >>$log 2>&1; $backup --if-older-than $CATCH_UP_HOURS"
  echo "$end"
}

main() {
  command -v crontab >/dev/null || refuse "The server has no cron; install it there with: apt-get install cron"
  local deploy old new
  case "${1-} $#" in
    "install 3") deploy=$3 ;;
    "remove 2") deploy=$2 ;;
    *) refuse "usage: install-backup-cron.sh install SCHEDULE DEPLOY_PATH | remove DEPLOY_PATH" ;;
  esac
  readonly begin="# BEGIN backups of $deploy (written by the stack; changes are lost)" end="# END backups of $deploy"
  # Two stacks that come up at a time would each write back what it has read.
  exec 9<"$HOME"
  flock 9
  old=$(crontab -l 2>/dev/null) || old=''
  if [[ $1 == install ]]; then
    [[ -f $deploy/backups/settings ]] || refuse "The server has no $deploy/backups/settings; run \`pulumi up\`, which writes it."
    new=$(others && block "$2" "$deploy")
    echo "backups at $2, $(time_zone)"
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
