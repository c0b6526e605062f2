#!/usr/bin/env bash
# Compares every file that the stack put on the server with its checksum in the manifest that came with it.
#
# usage: check-files.sh DEPLOY_PATH [FILE...]
#   FILE   one that the stack had made on the server, and that must be there
# Prints a line for each that differs: `changed NAME` or `missing NAME`.
set -euo pipefail

(($# >= 1)) || {
  echo "usage: check-files.sh DEPLOY_PATH [FILE...]" >&2
  exit 1
}
cd "$1"
for made in "${@:2}"; do
  [[ -f $made ]] || echo "missing ${made##*/}"
done
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
