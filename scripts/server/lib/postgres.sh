# shellcheck shell=bash
# PostgreSQL in a container: statements, archives, images, and throwaway servers to try things in. Needs
# lib/redact.sh: what it quotes of PostgreSQL's messages may go anywhere.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# The name of these scripts' sessions in pg_stat_activity.
readonly APPLICATION=backup_and_restore

# The bot's role may make functions and set a search path for its database, by which the superuser would run them.
readonly SAFELY="-c search_path=pg_catalog"

# A condition on pg_tables: tables that are not PostgreSQL's own.
readonly OWN_TABLES="schemaname !~ '^pg_' AND schemaname <> 'information_schema'"

# The names of the superusers, by container.
declare -A superusers=()

# The role with this number. Until own-database.sh has been there, that is the bot's.
readonly SUPERUSER="(SELECT rolname FROM pg_roles WHERE oid = 10)"

# Fills in the superuser's name: find_superuser CONTAINER.
find_superuser() {
  superusers[$1]=$(docker exec --env PGOPTIONS="$SAFELY" "$1" psql -XqAt -U "${setting[user]}" -d postgres -c "SELECT $SUPERUSER") ||
    refuse "PostgreSQL in $1 does not let the role ${setting[user]} in (the reason stands above); see \`docker logs $1\`."
}

# The same where that is not known yet. A subshell would forget it: what needs the name calls this first.
know_superuser() {
  [[ -v superusers[$1] ]] || find_superuser "$1"
}

# Runs psql in a container, as the superuser: sql_in CONTAINER DATABASE [OPTION]... The image asks for no password on its
# socket.
sql_in() {
  local container=$1 database=$2
  shift 2
  know_superuser "$container"
  docker exec -i --env PGAPPNAME="$APPLICATION" --env PGOPTIONS="$SAFELY" "$container" \
    psql -XqAt -v ON_ERROR_STOP=1 -U "${superusers[$container]}" -d "$database" "$@"
}

# The same as the bot's role, for what is not these scripts' own: a query may lead to functions of the bot's.
sql_as_role() {
  local container=$1 database=$2
  shift 2
  docker exec -i --env PGAPPNAME="$APPLICATION" "$container" psql -XqAt -v ON_ERROR_STOP=1 -U "${setting[user]}" -d "$database" "$@"
}

# The same in the live container.
sql() {
  sql_in "${setting[container]}" "$@"
}

# A value for psql, which then quotes it itself: psql_variable NAME VALUE.
psql_variable() {
  printf "\\set %s '%s'\n" "$1" "$(sed "s/\\\\/&&/g; s/'/''/g" <<<"$2")"
}

# Waits until PostgreSQL answers, and finds its superuser and the size of the database in `database_mb`: wait_ready
# CONTAINER SECONDS. It asks over TCP: while the image makes the database, PostgreSQL answers on its socket already. Without
# a database that is there, PostgreSQL would log each question as a fault. All in one go, as to begin it takes longer than
# the answers.
# shellcheck disable=SC2016 # for the shell in the container
readonly READY='pg_isready -q -h 127.0.0.1 -U "$0" -d postgres' ASK='exec psql -XqAt -U "$0" -d postgres -c "$1"'
wait_ready() {
  local container=$1 deadline=$((SECONDS + $2)) facts
  local mb="(SELECT pg_database_size(oid) / 1048576 + 1 FROM pg_database WHERE datname = '${setting[database]}')"
  until facts=$(docker exec --env PGOPTIONS="$SAFELY" "$container" sh -c "$READY && $ASK" "${setting[user]}" "SELECT $mb, $SUPERUSER" 2>/dev/null); do
    if docker exec "$container" sh -c "$READY" "${setting[user]}" 2>/dev/null; then find_superuser "$container"; fi
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
  database_mb=${facts%%|*} superusers[$container]=${facts#*|}
}

# The same for the live container, or the script ends.
require_database() {
  wait_ready "${setting[container]}" "${setting[readySeconds]}" ||
    refuse "The database's container ${setting[container]} does not answer; start it, see \`docker logs ${setting[container]}\`."
}

DUMP_PROGRAM=$(<"${BASH_SOURCE[0]%/*}/dump.awk")
readonly DUMP_PROGRAM

# The names of the live cluster's roles, with tabs between.
readonly ROLES="SELECT string_agg(rolname, E'\\t') FROM pg_roles"
roles=''
know_roles() {
  [[ -n $roles ]] || roles=$(sql postgres <<<"$ROLES;")
}

# Makes those of them that are missing, which policies and rights may name; they cannot log in.
make_roles() {
  psql_variable roles "$roles"
  cat <<'SQL'
SELECT format('CREATE ROLE %I', name) FROM unnest(string_to_array(:'roles', E'\t')) AS name
WHERE name !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
SQL
}

# Fits a dump to these roles, which the cluster in a container has, too, and to its superuser: fit_dump CONTAINER.
fit_dump() {
  awk -v role="${setting[user]}" -v superuser="${superusers[$1]}" -v known="$roles" "$DUMP_PROGRAM"
}

# Loads an archive into a database, and asks there then: load FILE CONTAINER DATABASE [SQL]. All in one run of psql, since
# the start of each takes longer than its work. Where that fails, the reason is in `load_fault`.
load_fault=''
load() {
  local errors=$scratch/load
  know_superuser "$2"
  know_roles
  {
    # A dump that a person has written by hand may leave the schema out; the database is new, and has no functions yet.
    echo '\o /dev/null'
    make_roles
    echo 'SET search_path = public;'
    gzip -dc "$1" | fit_dump "$2"
    printf '\\connect\n\\o\n%s\n' "${4-}"
  } | sql_in "$2" "$3" 2>"$errors" || {
    load_fault=$(sed -n 's/^.*ERROR:  *//p' "$errors" | head -n 1 | redact)
    if [[ $load_fault == role\ *"does not exist" ]]; then
      load_fault+="; make the dump without roles that are not here: pg_dump --no-owner --no-privileges"
    fi
    say "$(tail -n 3 "$errors" | redact)"
    return 1
  }
}

# Ends the sessions that a killed script has left inside the live container, within `patience` seconds.
end_sessions() {
  local deadline=$((SECONDS + patience)) others
  while ((SECONDS < deadline)); do
    others=$(sql postgres --set app="$APPLICATION" \
      <<<"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :'app' AND pid <> pg_backend_pid();") ||
      return 1
    [[ $others != 0 ]] || return 0
    sleep 0.2
  done
  return 1
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
