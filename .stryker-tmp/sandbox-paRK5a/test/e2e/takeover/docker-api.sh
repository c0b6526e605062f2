#!/usr/bin/env bash
# Asks the server's Docker Engine through its API, where the command line has no option for a setting.
#
# usage: env METHOD=POST API_PATH=/containers/create?name=x docker-api.sh, the request's JSON on standard input
# Prints the answer's body. Exit status 1 with the answer on standard error when the engine refuses.
set -euo pipefail
: "${METHOD:?}" "${API_PATH:?}"

body=$(cat)
length=$(printf %s "$body" | wc -c)
answer=$(printf '%s %s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
  "$METHOD" "$API_PATH" "$length" "$body" | docker system dial-stdio)
if [[ $answer != HTTP/1.?' 2'* ]]; then
  echo "Docker refuses $METHOD $API_PATH: $answer" >&2
  exit 1
fi
printf %s "${answer#*$'\r\n\r\n'}"
