# shellcheck shell=bash
# Who owns what in a cluster of PostgreSQL: the bot's role its database and all that is in it, the superuser the rest.
# Needs lib/postgres.sh.
# shellcheck disable=SC2154 # shared with the scripts and the other files here

# Whether the bot's role is the superuser, as the image makes it: role_is_superuser CONTAINER.
role_is_superuser() {
  know_superuser "$1"
  [[ ${superusers[$1]} == "${setting[user]}" ]]
}

# Runs files of SQL beside this one for the bot's role: all_or_nothing CONTAINER DATABASE SECONDS NAME... The text that
# psql gets ends the transaction, so that a part of it changes nothing. As a replica PostgreSQL runs no event triggers,
# which may come from a dump.
all_or_nothing() {
  local container=$1 database=$2 seconds=$3
  shift 3
  (cd "${BASH_SOURCE[0]%/*}" && echo 'BEGIN; SET LOCAL session_replication_role = replica;' && cat "${@/%/.sql}" && echo 'COMMIT;') |
    sql_in "$container" "$database" --set role="${setting[user]}" --set seconds="$seconds"
}

# Makes the bot's role an ordinary one that owns its database: demote CONTAINER. It keeps its password.
demote() {
  all_or_nothing "$1" "${setting[database]}" "${setting[demotionSeconds]}" demote inherit own || return 1
  unset "superusers[$1]"
  find_superuser "$1"
  # What has come in meanwhile is still a superuser.
  sql_in "$1" postgres >/dev/null \
    <<<"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = 10 AND pid <> pg_backend_pid();"
}

# Gives the bot's role all that is in a database, such as what was restored there: own CONTAINER DATABASE.
own() {
  role_is_superuser "$1" || all_or_nothing "$1" "$2" 0 own
}

# The same for every database of the role's: those that restores have replaced may be put back by hand.
own_databases() {
  local database
  while read -r database; do
    own "$1" "$database" </dev/null
  done < <(sql_in "$1" postgres --set role="${setting[user]}" \
    <<<"SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = :'role' AND datallowconn;")
}

# Ends the script where the image lacks an extension of the configuration: require_extensions CONTAINER.
require_extensions() {
  local lacking
  [[ -n ${setting[extensions]-} ]] || return 0
  lacking=$(
    sql_in "$1" postgres --set wanted="${setting[extensions]}" <<'SQL'
SELECT string_agg(name, ', ') FROM unnest(string_to_array(:'wanted', ' ')) name
WHERE name NOT IN (SELECT name FROM pg_available_extensions);
SQL
  )
  [[ -z $lacking ]] ||
    refuse "The database's image has no extension $lacking; correct \`database.extensions\`, or set \`database.image\` to an image that has it."
}

# Adds the extensions of the configuration to a database, and what they need: add_extensions CONTAINER DATABASE.
add_extensions() {
  [[ -n ${setting[extensions]-} ]] || return 0
  # The statements are made before the search path changes, by which a function of the bot's could be taken for PostgreSQL's.
  sql_in "$1" "$2" --set wanted="${setting[extensions]}" <<'SQL'
SET client_min_messages = warning;
SELECT 'SET search_path = public'
UNION ALL SELECT format('CREATE EXTENSION IF NOT EXISTS %I CASCADE', name) FROM unnest(string_to_array(:'wanted', ' ')) name
\gexec
SQL
}
