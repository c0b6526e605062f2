#!/usr/bin/env bash
# Makes the key with which this server reads the bot's repository, or removes it.
#
# usage: make-repository-key.sh make FILE     prints the public half, and nothing else; a key that is there is kept
#        make-repository-key.sh remove FILE
# The private half never leaves the server.
set -euo pipefail
umask 077

make() {
  local file=$1
  if [[ ! -s $file ]]; then
    # An interrupted run may have left half a pair.
    rm -f "$file.new" "$file.new.pub"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$file.new"
    rm "$file.new.pub"
    mv "$file.new" "$file"
  fi
  chmod 0600 "$file"
  # Out of the private half: no second file can differ from it.
  ssh-keygen -y -f "$file" | cut -d ' ' -f 1,2
}

case "${1-} $#" in
  "make 2") make "$2" ;;
  "remove 2") rm -f "$2" ;;
  *)
    echo "usage: make-repository-key.sh make FILE | remove FILE" >&2
    exit 1
    ;;
esac
