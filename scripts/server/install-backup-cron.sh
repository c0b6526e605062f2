#!/usr/bin/env bash
# Puts the backup's schedule and the checks of health and images into this user's crontab, as one marked block, or removes
# the block. All other lines stay as they are; the same input twice changes nothing.
#
# usage: env SETTINGS=FILE SCHEDULE=FIELDS HEALTH_MINUTES=N install-backup-cron.sh install DEPLOY_PATH
#        install-backup-cron.sh remove DEPLOY_PATH
# SCHEDULE has five cron fields: "0 6 * * *"; health is checked every HEALTH_MINUTES, and once a day whether images have
# updates.
#
# The times are in the server's time zone: Debian's cron knows no other. After a boot the block undoes a restore that
# was cut off and catches up on a missed backup.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/arguments.sh"
source "${BASH_SOURCE[0]%/*}/lib/cron.sh"

# A machine that was off at the time of the daily backup is due for one.
readonly CATCH_UP_HOURS=25
# Once a day, at a minute that no full hour shares with other cron jobs of the world.
readonly IMAGES_AT="23 4 * * *"

# This user's crontab without the block; nothing without a crontab.
others() {
  { crontab -l 2>/dev/null || true; } | awk -v begin="$begin" -v end="$end" '
    $0 == begin { inside = 1 }
    !inside { print }
    $0 == end { inside = 0 }
    END { exit inside }' ||
    refuse "The crontab of $(id -un) has lost the line \"$end\"; put it back where the stack's block ends: crontab -e"
}

block() {
  local backup="$BIN/backup-db.sh $SETTINGS --log $BACKUP_LOG"
  local health="env SETTINGS=$SETTINGS $BIN/check-health.sh cron"
  echo "$begin"
  # For the reader, and for crons that can keep another time zone than the server's.
  echo "CRON_TZ=$(time_zone)"
  echo "$SCHEDULE $backup"
  # What the first prints before it has its log, and the second where there is nothing to copy, is for no mail.
  echo "*/$HEALTH_MINUTES * * * * { $health; $backup --copy; } >/dev/null 2>&1"
  echo "$IMAGES_AT env SETTINGS=$SETTINGS $BIN/check-images.sh >/dev/null 2>&1"
  echo "@reboot umask 077; $BIN/restore-db.sh $SETTINGS recover >>$BACKUP_LOG 2>&1; $backup --if-older-than $CATCH_UP_HOURS"
  echo "$end"
}

main() {
  local usage="usage: install-backup-cron.sh install|remove DEPLOY_PATH" old new
  (($# == 2)) || refuse "$usage"
  command -v crontab >/dev/null || refuse "The server has no cron; install it there with: apt-get install cron"
  begin=$(cron_begin "$2") end=$(cron_end "$2")
  readonly begin end
  # Two stacks that come up at a time would each write back what it has read.
  exec 9<"$HOME"
  flock 9
  old=$(crontab -l 2>/dev/null) || old=''
  case $1 in
    install)
      need SETTINGS SCHEDULE HEALTH_MINUTES HEALTH_DIRECTORY BIN BACKUP_LOG
      new=$(others && block)
      # From now on cron must be seen to run.
      mkdir -p "$HEALTH_DIRECTORY"
      chmod 0700 "$HEALTH_DIRECTORY"
      if [[ $new != "$old" ]]; then mark_cron "$HEALTH_DIRECTORY"; fi
      echo "backups at $SCHEDULE, $(time_zone)"
      ;;
    remove) new=$(others) ;;
    *) refuse "$usage" ;;
  esac
  if [[ $new == "$old" ]]; then return 0; fi
  if [[ -n $new ]]; then
    crontab - <<<"$new"
  else
    crontab -r
  fi
}

main "$@"
