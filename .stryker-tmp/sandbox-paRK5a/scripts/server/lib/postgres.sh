# shellcheck shell=bash
# PostgreSQL in a container: statements, archives, images, and throwaway servers to try things in.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# The name of these scripts' sessions in pg_stat_activity.
readonly APPLICATION=backup_and_restore

# Rows of every table and the number of objects of every kind (pg_class.relkind), as one line of JSON. Objects of an
# extension do not count: the extension makes them.
read -r -d '' CONTENTS <<'SQL' || true
WITH object AS (
  SELECT n.nspname, c.relname, c.relkind
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), rows AS (
  SELECT format('%s.%s', nspname, relname) AS name,
    (xpath('//n/text()', query_to_xml(format('SELECT count(*) AS n FROM ONLY %I.%I', nspname, relname), false, true, '')))[1]::text::bigint AS n
  FROM object WHERE relkind = 'r'
), kinds AS (
  SELECT relkind::text AS kind, count(*) AS n FROM object GROUP BY 1
)
SELECT json_build_object(
  'rows', (SELECT coalesce(json_object_agg(name, n ORDER BY name COLLATE "C"), '{}') FROM rows),
  'objects', (SELECT coalesce(json_object_agg(kind, n ORDER BY kind COLLATE "C"), '{}') FROM kinds));
SQL
readonly CONTENTS

# A condition on pg_tables: tables that are not PostgreSQL's own.
readonly OWN_TABLES="schemaname !~ '^pg_' AND schemaname <> 'information_schema'"

# Runs psql in a container: sql_in CONTAINER DATABASE [OPTION]... The image asks for no password on its socket.
sql_in() {
  local container=$1 database=$2
  shift 2
  docker exec -i --env PGAPPNAME="$APPLICATION" "$container" psql -XqAt -v ON_ERROR_STOP=1 -U "${setting[user]}" -d "$database" "$@"
}

# The same in the live container.
sql() {
  sql_in "${setting[container]}" "$@"
}

# The statement that gives a digest of the answer to `backups.query`; psql quotes the query itself, as a value.
query_digest() {
  printf "\\set query '%s'\nSELECT md5(query_to_xml(:'query', true, true, '')::text);" \
    "$(sed "s/\\\\/&&/g; s/'/''/g" <<<"${setting[query]}")"
}

# Where two answers to CONTENTS differ, in one line.
differences() {
  { diff <(tr ',' '\n' <<<"$1") <(tr ',' '\n' <<<"$2") || true; } | { grep '^[<>]' || true; } | head -n 4 | tr '\n' ' '
}

# Waits until PostgreSQL answers: wait_ready CONTAINER SECONDS. It asks over TCP: while the image makes the database,
# PostgreSQL answers on its socket already.
wait_ready() {
  local container=$1 deadline=$((SECONDS + $2))
  until docker exec "$container" pg_isready -q -h 127.0.0.1 -U "${setting[user]}" 2>/dev/null; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

# The same for the live container, or the script ends.
require_database() {
  wait_ready "${setting[container]}" "${setting[readySeconds]}" ||
    refuse "The database's container ${setting[container]} does not answer; start it, see \`docker logs ${setting[container]}\`."
}

# Loads an archive into a database: load FILE CONTAINER DATABASE.
load() {
  local errors=$scratch/load
  gzip -dc "$1" | docker exec -i --env PGAPPNAME="$APPLICATION" "$2" psql -Xq -v ON_ERROR_STOP=1 -U "${setting[user]}" -d "$3" >/dev/null 2>"$errors" || {
    say "$(tail -n 3 "$errors")"
    return 1
  }
}

# The major version of an image of PostgreSQL; nothing for another image.
image_major() {
  docker image inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$1" | sed -n 's/^PG_MAJOR=//p'
}

# Where an image of PostgreSQL wants its volume. Newer ones want it one directory up, and make a directory for each
# version below it.
data_directory() {
  local major versioned=${setting[firstVersionedPostgres]}
  major=$(image_major "$1")
  if ((${major:-0} >= versioned)); then echo "${setting[versionedDataDirectory]}"; else echo "${setting[dataDirectory]}"; fi
}

# Starts a PostgreSQL with no network and bounded memory:
# run_isolated NAME MEMORY_MB [DOCKER_OPTION]... IMAGE [POSTGRES_OPTION]...
run_isolated() {
  local name=$1 memory=$2
  shift 2
  # Descriptor 9 would keep the lock for as long as the container runs.
  docker run --detach --name "$name" --network none --memory "${memory}m" --memory-swap "${memory}m" --pids-limit "${setting[containerPids]}" \
    --cap-drop ALL --cap-add CHOWN --cap-add DAC_READ_SEARCH --cap-add FOWNER --cap-add SETGID --cap-add SETUID \
    --security-opt no-new-privileges --log-driver local --env POSTGRES_USER="${setting[user]}" \
    --env POSTGRES_DB="${setting[database]}" "$@" >/dev/null 9>&-
}
