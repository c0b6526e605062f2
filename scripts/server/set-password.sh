#!/usr/bin/env bash
# Gives the database's role the password in the container's secret file, or the one on standard input. The same password
# again changes nothing.
#
# usage: env DATABASE_CONTAINER=NAME ROLE=NAME set-password.sh [-]
set -euo pipefail
: "${DATABASE_CONTAINER:?}" "${ROLE:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/postgres.sh"

# psql itself reads the file, inside the container: the password is in no argument and no log.
statements() {
  # PostgreSQL logs a statement that fails, and others where it is told to.
  echo "SET log_min_error_statement = panic;"
  echo "SET log_statement = none;"
  echo "SET log_min_duration_statement = -1;"
  echo "SET log_min_duration_sample = -1;"
  echo "SET log_transaction_sample_rate = 0;"
  if [[ ${1-} == - ]]; then
    # Between quotes, psql reads a backslash as an escape.
    printf "\\\\set password '%s'\n" "$(sed "s/[\\\\']/\\\\&/g")"
  else
    # shellcheck disable=SC2016 # psql's own
    echo '\set password `cat "$POSTGRES_PASSWORD_FILE"`'
  fi
  echo "ALTER ROLE :\"role\" PASSWORD :'password';"
}

setting[user]=$ROLE
statements "$@" | sql_in "$DATABASE_CONTAINER" postgres --set role="$ROLE" >/dev/null ||
  refuse "The password of the role $ROLE could not be changed; see ./delivery logs --db"
