#!/usr/bin/env bash
# Sees that the bot's role owns its database and everything in it, and is no more than that; adds the extensions of the
# configuration. PostgreSQL's image makes the role its superuser, and earlier versions have left it that: then an ordinary
# role takes its name and password, while the bot stands and the proxy holds the requests.
#
# usage: own-database.sh SETTINGS own
#        own-database.sh SETTINGS recover   has the bot run again where this script was killed
#   SETTINGS  the file that the stack writes (infra/model/server-settings.ts)
#
# The role is exchanged as a whole or not at all. Meanwhile DIRECTORY/.demotion says how far that is (lib/journal.sh).
# Exit status 75: a backup, restore or upgrade is running; 1 with one sentence on standard error: all else.
set -euo pipefail
# A failure inside $(…) ends the script as it would outside.
shopt -s inherit_errexit
umask 077
readonly HERE=${BASH_SOURCE[0]%/*}
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/settings.sh"
source "${BASH_SOURCE[0]%/*}/lib/words.sh"
source "${BASH_SOURCE[0]%/*}/lib/postgres.sh"
source "${BASH_SOURCE[0]%/*}/lib/owner.sh"
source "${BASH_SOURCE[0]%/*}/lib/bot.sh"
source "${BASH_SOURCE[0]%/*}/lib/journal.sh"

readonly USAGE="usage: own-database.sh SETTINGS own | recover"
# A backup of a small database ends meanwhile.
readonly LOCK_SECONDS=60

own_all() {
  # What an upgrade switches to is in order already, and the upgrade has the lock.
  if grep -qsx "stage=${setting[switchingStage]}" "${setting[upgradeJournal]}"; then return 0; fi
  take_lock "$LOCK_SECONDS"
  recover
  [[ ! -e ${setting[restoreJournal]} && ! -e ${setting[upgradeJournal]} ]] ||
    refuse "A restore or an upgrade of the database was cut off; undo it first, on the server: $HERE/restore-db.sh $settings_file recover"
  require_database
  require_extensions "${setting[container]}"
  if role_is_superuser "${setting[container]}"; then exchange_role; else own_databases "${setting[container]}"; fi
  add_extensions "${setting[container]}" "${setting[database]}"
}

exchange_role() {
  local began=$EPOCHREALTIME
  # To the end of this script, or of its watcher: swaps do not look at its journal.
  hold_swaps
  note_bot
  begin_change holding
  if [[ $bot == running ]]; then
    close_gate $((setting[holdSeconds] + setting[demotionSeconds]))
    enter stopping
    # Its sessions would stay those of a superuser.
    stop_bot
  fi
  enter demoting
  demote "${setting[container]}" ||
    refuse "The role ${setting[user]} is still PostgreSQL's superuser (the reason stands above); nothing was changed, so try again."
  own_databases "${setting[container]}"
  if [[ $bot == running ]]; then
    start_bot || refuse "The bot does not get healthy with an ordinary role; it may need what only a superuser may do."
  fi
  end_change
  say "the role ${setting[user]} is no superuser any more; that took $(seconds_since "$began") s"
}

# The exchange itself has happened or not. What is left is the bot, which must not come back into sessions of a superuser.
undo() {
  say "going on: the exchange of the database's role ended while ${was[stage]}"
  end_sessions || say "PostgreSQL does not answer"
  if [[ ${was[bot]} == running ]]; then
    # A stop that is still under way must not come after the start.
    stop_bot || true
    start_bot || say "The bot is not healthy; see \`docker logs ${setting[bot]}\`."
  fi
  say "the bot runs as before"
}

main() {
  set_exit_traps
  (($# == 2)) || refuse "$USAGE"
  read_settings "$1"
  patience=${setting[readySeconds]}
  use_journal demotion bot
  case $2 in
    own) own_all ;;
    *) undo_action "$2" ;;
  esac
}

main "$@"
