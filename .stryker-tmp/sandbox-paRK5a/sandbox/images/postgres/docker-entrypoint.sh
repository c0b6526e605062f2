#!/usr/bin/env bash
# Does what the official entrypoint does with POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB (each also as *_FILE),
# POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD and /docker-entrypoint-initdb.d/*.sql; nothing else of it.
set -euo pipefail

value_or_file() {
  local name=$1 default=${2:-} file="${1}_FILE"
  if [[ -n ${!name:-} && -n ${!file:-} ]]; then
    echo "error: both $name and $file are set (but are exclusive)" >&2
    exit 1
  elif [[ -n ${!file:-} ]]; then
    printf -v "$name" '%s' "$(<"${!file}")"
  else
    printf -v "$name" '%s' "${!name:-$default}"
  fi
  export "${name?}"
  unset "$file"
}

initialize() {
  local method=${POSTGRES_HOST_AUTH_METHOD:-}
  if [[ -z $POSTGRES_PASSWORD && $method != trust ]]; then
    echo "Error: Database is uninitialized and superuser password is not specified." >&2
    exit 1
  fi
  # shellcheck disable=SC2086 # several arguments in one variable, as in the official image
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") $POSTGRES_INITDB_ARGS
  [[ -n $method ]] || method=$(postgres -C password_encryption)
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"

  PGPASSWORD=$POSTGRES_PASSWORD pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start
  local psql=(psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER")
  if [[ $POSTGRES_DB != postgres ]]; then
    "${psql[@]}" --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
  fi
  local script
  for script in /docker-entrypoint-initdb.d/*.sql; do
    [[ -e $script ]] || continue
    "${psql[@]}" --dbname "$POSTGRES_DB" -f "$script"
  done
  pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGPASSWORD
  echo
  echo "PostgreSQL init process complete; ready for start up."
  echo
}

[[ ${1:-} != -* ]] || set -- postgres "$@"

# `postgres --version` and the like start no server, so they need no database either.
asks_only() {
  [[ " $* " =~ \ (--version|-V|--help|-\?)\  ]]
}

if [[ ${1:-} == postgres ]] && ! asks_only "$@"; then
  # As root first, like the official one: a file with a password may be unreadable for other users.
  value_or_file POSTGRES_PASSWORD
  value_or_file POSTGRES_USER postgres
  value_or_file POSTGRES_DB "$POSTGRES_USER"
  value_or_file POSTGRES_INITDB_ARGS
  if [[ $(id -u) == 0 ]]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    find "$PGDATA" ! -user postgres -exec chown postgres '{}' +
    find /var/run/postgresql ! -user postgres -exec chown postgres '{}' +
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi
  if [[ -s $PGDATA/PG_VERSION ]]; then
    echo
    echo "PostgreSQL Database directory appears to contain a database; Skipping initialization"
    echo
  else
    initialize
  fi
fi
exec "$@"
