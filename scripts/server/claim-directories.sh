#!/usr/bin/env bash
# Claims the stack's directories on the server, before anything else is put there, or gives them free.
#
# usage: claim-directories.sh claim | release
# STACK is the stack's full name, and STACK_ID the id that its state knows. A claim of another state is refused, whatever
# its stack's name; backups belong to every state of their stack. The same claim twice changes nothing.
set -euo pipefail
umask 077
: "${DEPLOY_PATH:?}" "${BACKUP_PATH:?}" "${CLAIM:?}" "${BACKUP_CLAIM:?}" "${STACK:?}" "${STACK_ID:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/claim.sh"

# A claim is there as a whole or not at all.
write_claim() {
  echo "$STACK $STACK_ID" >"$1.new"
  mv -f "$1.new" "$1"
}

claim() {
  mkdir -p "$DEPLOY_PATH" "$BACKUP_PATH"
  # One stack at a time.
  exec 8<"$DEPLOY_PATH" 9<"$BACKUP_PATH"
  flock 8
  flock 9
  if read_claim "$CLAIM" && [[ $owner_id != "$STACK_ID" ]]; then
    refuse "The directory $DEPLOY_PATH on the server has just been claimed by the stack $owner of another state; nothing was changed."
  fi
  if read_claim "$BACKUP_CLAIM" && [[ $owner != "$STACK" && $owner_id != "$STACK_ID" ]]; then
    refuse "The directory $BACKUP_PATH on the server has just been claimed by the stack $owner; nothing was changed."
  fi
  write_claim "$CLAIM"
  write_claim "$BACKUP_CLAIM"
}

release() {
  if read_claim "$CLAIM" && [[ $owner_id == "$STACK_ID" ]]; then rm -f "$CLAIM"; fi
  # Backups stay, and no other stack's retention may delete them.
  if read_claim "$BACKUP_CLAIM" && [[ $owner_id == "$STACK_ID" ]] && ! compgen -G "$BACKUP_PATH/*.sql.gz" >/dev/null; then
    rm -f "$BACKUP_CLAIM"
  fi
}

case ${1-} in
  claim) claim ;;
  release) release ;;
  *) refuse "usage: claim-directories.sh claim|release" ;;
esac
