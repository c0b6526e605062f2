# shellcheck shell=bash
# The bot stands still while its database is exchanged: one that came up would write to the database that is being left.
# Takes RESTORE_JOURNAL, UPGRADE_JOURNAL and STANDSTILL_STAGES. Needs lib/common.sh.

stands_still() {
  grep -qsxE "stage=($STANDSTILL_STAGES)" "$RESTORE_JOURNAL" "$UPGRADE_JOURNAL"
}

readonly STANDSTILL="The database is being restored or upgraded, and the bot stands still for it; wait until that has ended, or, if it was cut off, begin it again."

refuse_standstill() {
  refuse "$STANDSTILL"
}
