#!/usr/bin/env bash
# Gives the database's role the password in the container's secret file, or the one on standard input. The same password
# again changes nothing.
#
# usage: env DATABASE_CONTAINER=NAME ROLE=NAME DATABASE=NAME set-password.sh [-]
set -euo pipefail
: "${DATABASE_CONTAINER:?}" "${ROLE:?}" "${DATABASE:?}"

# psql itself reads the file, inside the container: the password is in no argument and no log.
statements() {
  if [[ ${1-} == - ]]; then
    # Between quotes, psql reads a backslash as an escape.
    printf "\\\\set password '%s'\n" "$(sed "s/[\\\\']/\\\\&/g")"
  else
    # shellcheck disable=SC2016 # psql's own
    echo '\set password `cat "$POSTGRES_PASSWORD_FILE"`'
  fi
  echo "ALTER ROLE CURRENT_USER PASSWORD :'password';"
}

statements "$@" | docker exec -i "$DATABASE_CONTAINER" psql -X -q -v ON_ERROR_STOP=1 -U "$ROLE" -d "$DATABASE" >/dev/null || {
  echo "The password of the role $ROLE could not be changed; see ./delivery logs --db" >&2
  exit 1
}
