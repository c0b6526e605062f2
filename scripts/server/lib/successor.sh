# shellcheck shell=bash
# The PostgreSQL of the new version, which an upgrade starts beside the live one under the name in `next`, with its data in
# the volume in `volume`. Needs lib/postgres.sh, lib/owner.sh, lib/contents.sh, lib/manifest.sh and lib/redact.sh.
# shellcheck disable=SC2154 # shared with the script and the other files here

# Starts the new version on its volume. The image makes the role with its password, and the database; the role becomes an
# ordinary one.
start_next() {
  local image=$1
  docker volume create "$volume" >/dev/null
  run_isolated "$next" "${setting[databaseMemory]}" --env POSTGRES_PASSWORD_FILE="${setting[passwordFile]}" \
    --volume "${setting[secretsDirectory]}:${setting[secretsMount]}:ro" --volume "$volume:$(data_directory "$image")" "$image"
  wait_ready "$next" "${setting[readySeconds]}" || {
    docker logs --tail 5 "$next" 2>&1 | redact >&2 || true
    refuse "The new PostgreSQL of $image does not start (its last log lines are above)."
  }
  demote "$next" || refuse "The role ${setting[user]} could not be made an ordinary one in the new PostgreSQL (the reason stands above)."
  add_extensions "$next" "${setting[database]}"
}

try_backup() {
  local line file difference
  line=$("$HERE/backup-db.sh" "$settings_file" --safety --json) ||
    refuse "The upgrade begins with a verified backup, and that failed (see above). Nothing was changed."
  file=$(file_in "$line")
  load "${setting[directory]}/$file" "$next" "${setting[database]}" ||
    refuse "The backup $file cannot be restored into the new PostgreSQL (see above); change in the database what the new version does not understand, then try again."
  own "$next" "${setting[database]}"
  difference=$(differences "$next" "${setting[database]}" "$(contents_in "$line")")
  [[ -z $difference ]] || refuse "The backup $file, restored into the new PostgreSQL, differs: $difference"
  sql_in "$next" postgres --set name="${setting[database]}" --set role="${setting[user]}" <<'SQL'
DROP DATABASE :"name";
CREATE DATABASE :"name" OWNER :"role" TEMPLATE template0;
SQL
  add_extensions "$next" "${setting[database]}"
}

# Moves the data and compares both sides; nothing writes meanwhile, because the bot is stopped.
move_data() {
  local database=${setting[database]} difference old new
  know_superuser "${setting[container]}"
  know_superuser "$next"
  know_roles
  docker exec "${setting[container]}" pg_dump --no-password --lock-wait-timeout=60s -U "${superusers[${setting[container]}]}" -d "$database" 2>"$scratch/dump" |
    fit_dump "$next" | sql_in "$next" "$database" >/dev/null 2>"$scratch/load" ||
    refuse "The data could not be moved ($(cat "$scratch/dump" "$scratch/load" | tail -n 1 | redact))."
  own "$next" "$database"
  difference=$(differences "$next" "$database" "$(sql "$database" <<<"$CONTENTS")")
  [[ -z $difference ]] || refuse "What was moved differs from what was there: $difference"
  if [[ -n ${setting[query]} ]]; then
    old=$(query_digest | sql_as_role "${setting[container]}" "$database")
    new=$(query_digest | sql_as_role "$next" "$database")
    [[ $old == "$new" ]] || refuse "What was moved differs from what was there: it answers \`backups.query\` differently."
  fi
  sql_in "$next" "$database" <<<'ANALYZE;'
  docker stop --time "${setting[databaseStopSeconds]}" "$next" >/dev/null
  docker rm "$next" >/dev/null
}
