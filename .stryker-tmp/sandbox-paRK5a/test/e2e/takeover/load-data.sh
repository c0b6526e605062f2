#!/usr/bin/env bash
# Loads a backup into an empty database, as soon as PostgreSQL accepts connections.
#
# usage: env CONTAINER=NAME BACKUP=PATH ROLE=NAME DATABASE=NAME SECONDS_TO_WAIT=60 load-data.sh
set -euo pipefail
: "${CONTAINER:?}" "${BACKUP:?}" "${ROLE:?}" "${DATABASE:?}" "${SECONDS_TO_WAIT:?}"

# Over TCP: while the image makes the database, PostgreSQL answers on its socket already.
until docker exec "$CONTAINER" pg_isready -q -h 127.0.0.1 -U "$ROLE" -d "$DATABASE"; do
  ((SECONDS < SECONDS_TO_WAIT)) || {
    echo "PostgreSQL in $CONTAINER accepts no connections after $SECONDS_TO_WAIT s" >&2
    exit 1
  }
  sleep 0.2
done
gzip -dc "$BACKUP" | docker exec -i "$CONTAINER" psql -Xq -v ON_ERROR_STOP=1 -U "$ROLE" -d "$DATABASE" >/dev/null
