#!/usr/bin/env bash
# Compares every file that the stack put on the server with its checksum in the manifest that came with it.
#
# usage: check-files.sh DEPLOY_PATH
# Prints a line for each that differs: `changed NAME` or `missing NAME`.
set -euo pipefail

(($# == 1)) || {
  echo "usage: check-files.sh DEPLOY_PATH" >&2
  exit 1
}
cd "$1"
if [[ ! -f manifest.sha256 ]]; then
  echo "missing manifest.sha256"
  exit
fi
while read -r sum name; do
  if [[ ! -f $name ]]; then
    echo "missing $name"
  elif [[ $(sha256sum <"$name") != "$sum  -" ]]; then
    echo "changed $name"
  fi
done <manifest.sha256
