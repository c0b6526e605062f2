#!/usr/bin/env bash
# Writes a file on the server; makes its directory where there is none.
#
# usage: env FILE=PATH MODE=600 put-file.sh, the content in base64 on standard input
set -euo pipefail
umask 077
: "${FILE:?}" "${MODE:?}"

base64 -d | install -D -m "$MODE" /dev/stdin "$FILE"
