#!/bin/sh
# Docker's health check, run inside the bot's container with what its image has: curl, wget or Python.
#
# usage: health-check.sh URL
set -eu

if command -v curl >/dev/null; then
  exec curl -fsS -m 4 -o /dev/null "$1"
elif command -v wget >/dev/null; then
  exec wget -q -O /dev/null "$1"
fi
exec python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=4)' "$1"
