#!/usr/bin/env bash
# Gives the database's role the password in the container's secret file. The same password again changes nothing.
#
# usage: env CONTAINER=NAME ROLE=NAME DATABASE=NAME set-password.sh
set -euo pipefail
: "${CONTAINER:?}" "${ROLE:?}" "${DATABASE:?}"

# psql itself reads the file, inside the container: the password is in no argument and no log.
docker exec -i "$CONTAINER" psql -X -q -v ON_ERROR_STOP=1 -U "$ROLE" -d "$DATABASE" <<'SQL' >/dev/null || {
\set password `cat "$POSTGRES_PASSWORD_FILE"`
ALTER ROLE CURRENT_USER PASSWORD :'password';
SQL
  echo "The password of the role $ROLE could not be changed; see ./delivery logs --db" >&2
  exit 1
}
