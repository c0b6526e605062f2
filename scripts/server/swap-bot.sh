#!/usr/bin/env bash
# The swap of the bot's container for a new one, guarded by this server: whatever drives it may die at any moment.
#
# usage: env SETTINGS=FILE swap-bot.sh ACTION
#   begin       before the new container is made: the proxy holds requests, what is in flight finishes, the old container
#               stops and is kept under another name. Returns when the new one may be made; then it must come soon.
#   abandon     the new container could not be made: the old one runs again at once
#   verdict     waits for the end of the swap and says how long requests were held. Fails with the reason where the new
#               container, the one with the id CONTAINER_ID, was given up.
#   recover     ends a swap whose guard has died, after a boot for instance
#   remove      removes the bot's containers
#
# A process of its own, the guard (lib/guard.sh), does all this. It waits for the new container, lets the requests in with
# its first good answer and goes on watching for PROBATION_SECONDS. If the new one does not come, does not get well or does
# not stay so, the guard removes it and has the old one run again. Its journal names the old container, for `recover`.
set -euo pipefail
umask 077
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/arguments.sh"
source "${BASH_SOURCE[0]%/*}/lib/gate.sh"
source "${BASH_SOURCE[0]%/*}/lib/redact.sh"
source "${BASH_SOURCE[0]%/*}/lib/health.sh"
source "${BASH_SOURCE[0]%/*}/lib/standstill.sh"
source "${BASH_SOURCE[0]%/*}/lib/spare.sh"
source "${BASH_SOURCE[0]%/*}/lib/leftovers.sh"
source "${BASH_SOURCE[0]%/*}/lib/guard.sh"

begin() {
  local word
  if stands_still; then
    if grep -qsx "stage=$SWITCHING_STAGE" "$UPGRADE_JOURNAL"; then
      # The upgrade holds the requests, and has stopped the bot that it may have to put back.
      set_aside "$BOT"
      rm -f "$SWAP_VERDICT"
      return 0
    fi
    refuse_standstill
  fi
  # In a session of its own: neither a hang-up nor a kill of this script's reaches it.
  exec {answer}< <(exec setsid "$0" guard </dev/null 2>"$LOG")
  read -r -u "$answer" word || word="The swap has not begun; see $LOG on the server."
  [[ $word == ready ]] || refuse "$word"
}

verdict() {
  local word='' container='' detail='' log=''
  take_lock $((HOLD_SECONDS + PROBATION_SECONDS)) || refuse "The swap of $BOT does not come to its end on the server; see $LOG there."
  end_abandoned
  exec 9>&-
  if [[ -e $SWAP_VERDICT ]]; then
    { read -r word && read -r container && read -r detail && log=$(cat); } <"$SWAP_VERDICT"
  fi
  if [[ $word == failed && $container == "$CONTAINER_ID" ]]; then
    say "$log"
    if look_at "$BOT" && [[ $id != "$CONTAINER_ID" ]]; then say 'What ran before runs again.'; fi
    refuse "$BOT $detail."
  fi
  if ! look_at "$BOT" || [[ $id != "$CONTAINER_ID" ]]; then
    refuse "The container $BOT that the stack has made is not on the server any more; put it there with: ./delivery deploy"
  fi
  if [[ $word == good && $container == "$CONTAINER_ID" ]]; then
    say "requests were held for $((detail / 1000000)).$(printf %02d $((detail / 10000 % 100))) s"
  else
    await_bot
  fi
}

remove() {
  docker stop --time "$BOT_STOP_SECONDS" "$BOT" >/dev/null 2>&1 || true
  docker rm --force "$BOT" "$BEFORE" >/dev/null 2>&1 || true
  rm -rf "$SWAP_DIRECTORY"
}

main() {
  need BOT PROXY PAGE GATE HOLD_SECONDS DRAIN_SECONDS START_SECONDS MAKE_SECONDS PROBATION_SECONDS BOT_STOP_SECONDS \
    CONTAINER_PIDS SECRET_TEXTS HEALTHY_FINGERPRINTS DATABASE_CONTAINER ROLE PASSWORD_SOURCE SWAP_DIRECTORY SWAP_LOCK SWAP_JOURNAL SWAP_VERDICT \
    RESTORE_JOURNAL UPGRADE_JOURNAL STANDSTILL_STAGES SWITCHING_STAGE
  mkdir -p "$SWAP_DIRECTORY"
  readonly BEFORE=${BOT}_before LOG=$SWAP_DIRECTORY/log ABANDONED=$SWAP_DIRECTORY/abandoned PASSWORD_SET=$SWAP_DIRECTORY/password
  case ${1-} in
    begin) begin ;;
    guard) guard ;;
    abandon) if [[ -e $SWAP_JOURNAL ]]; then touch "$ABANDONED"; fi ;;
    verdict) verdict ;;
    recover)
      take_lock 0 || return 0
      end_abandoned
      ;;
    remove) remove ;;
    *) refuse "usage: swap-bot.sh begin|abandon|verdict|recover|remove" ;;
  esac
}

main "$@"
