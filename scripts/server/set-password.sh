#!/usr/bin/env bash
# Gives the database's role the password in the container's secret file. The same password again changes nothing.
#
# usage: set-password.sh CONTAINER ROLE DATABASE
set -euo pipefail

(($# == 3)) || {
  echo "usage: set-password.sh CONTAINER ROLE DATABASE" >&2
  exit 1
}
# psql itself reads the file, inside the container: the password is in no argument and no log.
docker exec -i "$1" psql -X -q -v ON_ERROR_STOP=1 -U "$2" -d "$3" <<'SQL' >/dev/null || {
\set password `cat /run/secrets/postgres_password`
ALTER ROLE CURRENT_USER PASSWORD :'password';
SQL
  echo "The password of the role $2 could not be changed; see ./delivery logs --db" >&2
  exit 1
}
