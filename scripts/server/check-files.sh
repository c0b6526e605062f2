#!/usr/bin/env bash
# Compares every file that the stack put on the server with its checksum in MANIFEST, which came with it; REPOSITORY_KEY,
# where it is not empty, was made on the server and must be there. Prints a line for each file that differs:
# `changed NAME` or `missing NAME`.
# The stack's claim must be there, too, where the version that has put the files there makes one.
set -euo pipefail
: "${DEPLOY_PATH:?}" "${MANIFEST:?}" "${REPOSITORY_KEY?}" "${SETTINGS_FILE:?}" "${CLAIM:?}"

cd "$DEPLOY_PATH"
if [[ -n $REPOSITORY_KEY && ! -f $REPOSITORY_KEY ]]; then echo "missing ${REPOSITORY_KEY##*/}"; fi
if [[ ! -f $CLAIM ]] && grep -qs '^claim=' "$SETTINGS_FILE"; then echo "missing ${CLAIM##*/}"; fi
if [[ ! -f $MANIFEST ]]; then
  echo "missing ${MANIFEST##*/}"
  exit
fi
while read -r sum name; do
  if [[ ! -f $name ]]; then
    echo "missing $name"
  elif [[ $(sha256sum <"$name") != "$sum  -" ]]; then
    echo "changed $name"
  fi
done <"$MANIFEST"
