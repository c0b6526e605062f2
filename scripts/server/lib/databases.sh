# shellcheck shell=bash
# The databases of the live container, by their names. Needs lib/postgres.sh.
# shellcheck disable=SC2154 # shared with the script and the other files here

maintenance() {
  sql postgres "$@"
}

exists() {
  [[ $(maintenance --set name="$1" <<<"SELECT 1 FROM pg_database WHERE datname = :'name';") == 1 ]]
}

drop() {
  [[ $1 != "${setting[database]}" ]] || refuse "The live database $1 is not removed."
  # An open session would prevent it.
  maintenance --set name="$1" <<'SQL'
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'name' \g /dev/null
SET client_min_messages = warning;
DROP DATABASE IF EXISTS :"name";
SQL
}

# Renames TO to ASIDE and FROM to TO, both or neither: exchange FROM TO ASIDE.
exchange() {
  maintenance --set from="$1" --set to="$2" --set aside="$3" <<'SQL'
BEGIN;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (:'from', :'to') \g /dev/null
SELECT format('ALTER DATABASE %I RENAME TO %I', datname, :'aside') FROM pg_database WHERE datname = :'to' \gexec
ALTER DATABASE :"from" RENAME TO :"to";
COMMIT;
SQL
}

has_tables() {
  exists "${setting[database]}" &&
    [[ $(sql "${setting[database]}" <<<"SELECT count(*) > 0 FROM pg_tables WHERE $OWN_TABLES;") == t ]]
}

table_names() {
  sql "$1" <<<"SELECT schemaname || '.' || tablename FROM pg_tables WHERE $OWN_TABLES ORDER BY 1;" | LC_ALL=C sort
}
