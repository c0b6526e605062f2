# shellcheck shell=bash
# The trial restore of a backup, in a PostgreSQL of the live one's image that has no network and is thrown away. Needs
# lib/postgres.sh, lib/contents.sh and lib/redact.sh; `starting` is the script's.
# shellcheck disable=SC2034,SC2154 # shared with the script and the other files here

# A trial restore up to this size happens in memory, if the server has twice that to spare; else on disk.
readonly MOST_MEMORY_MB=1024
# In the container. On disk it belongs to the container itself, which needs no volume then.
readonly TRIAL_DIRECTORY=/tmp/trial
# In the image with the fresh cluster.
readonly FRESH_DIRECTORY=/tmp/fresh

throwaway() {
  echo "${setting[container]}_verify"
}

remove_throwaway() {
  docker rm --force --volumes "$(throwaway)" >/dev/null 2>&1 || true
  starting=''
}

# Makes a PostgreSQL of the same image as the live one, for one trial restore. The image's own start would run the image's
# scripts, whose work is in the dump.
make_throwaway() {
  # shellcheck disable=SC2016 # for the shell in the container
  local start='mkdir -p "$0" && cp -a "$1" "$0/data" && shift && exec postgres -D "$0/data" "$@"'
  local image free need=$((2 * database_mb + setting[backupFreeMb])) memory=${setting[databaseMemory]} place=()
  remove_throwaway
  make_fresh_image
  if ((need <= MOST_MEMORY_MB && 2 * need <= $(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo))); then
    place=(--tmpfs "$TRIAL_DIRECTORY:size=${need}m,mode=1777")
    memory=$((memory + need))
  else
    free=$(docker_free_mb)
    ((free >= need)) ||
      refuse "the disk of Docker's directory has $free MB left and a restore needs $need; make room there."
  fi
  run_isolated "$(throwaway)" "$memory" --rm "${place[@]}" --user postgres --entrypoint sh "$image" \
    -c "$start" "$TRIAL_DIRECTORY" "$FRESH_DIRECTORY" -c fsync=off -c full_page_writes=off -c autovacuum=off -c max_wal_size=64MB \
    -c wal_level=minimal -c max_wal_senders=0 -c max_parallel_maintenance_workers=0
}

# Fills `image` with one that holds a fresh cluster, which takes longer to make than a small dump to restore. It is made
# once for each image of the live one, and never holds anything of a dump.
make_fresh_image() {
  # shellcheck disable=SC2016 # for the shell in the container
  local base name make='initdb --no-sync --auth=trust --username="$POSTGRES_USER" --pgdata="$0"'
  base=$(docker inspect --format '{{.Image}}' "${setting[container]}")
  name=$(throwaway)
  image=$name:${setting[user]}-${base:7:12}
  if docker image inspect "$image" >/dev/null 2>&1; then return 0; fi
  run_isolated "$name" "${setting[databaseMemory]}" --user postgres --entrypoint sh "$base" -c "$make" "$FRESH_DIRECTORY"
  [[ $(docker wait "$name") == 0 ]] || refuse "$(docker logs --tail 1 "$name" 2>&1 | redact)."
  docker commit "$name" "$image" >/dev/null
  remove_throwaway
  # Those for earlier images.
  docker image ls --format '{{.Repository}}:{{.Tag}}' "$name" | sed "\\,^$image\$,d" | xargs --no-run-if-empty docker image rm >/dev/null || true
}

# Makes its database as soon as it answers. It is asked from inside: each start of docker's command would take as long as
# PostgreSQL itself.
make_trial_database() {
  # shellcheck disable=SC2016 # for the shell in the container
  local make='until pg_isready -q --username="$POSTGRES_USER" --dbname=postgres; do sleep 0.05; done; exec createdb --username="$POSTGRES_USER" "$POSTGRES_DB"'
  timeout "${setting[readySeconds]}" docker exec "$(throwaway)" sh -c "$make" || refuse "the throwaway PostgreSQL did not start."
}

# Begins all that beside the dump, which takes as long.
begin_throwaway() {
  {
    make_throwaway
    make_trial_database
  } 2>"$scratch/throwaway" &
  starting=$!
}

await_throwaway() {
  wait "$starting" ||
    refuse "The backup could not be verified: $(tail -n 1 "$scratch/throwaway") The backup was kept."
  superusers[$(throwaway)]=${setting[user]}
}

# Restores the archive into the throwaway: verify FILE CONTENTS DIGEST. Prints what differs, and nothing on success.
verify() {
  local file=$1 contents=$2 digest=$3 difference
  difference=$(load "$file" "$(throwaway)" "${setting[database]}" "$(compare_contents "$contents")") || {
    echo "it cannot be restored"
    return 0
  }
  if [[ -n $difference ]]; then
    echo "restored, it differs: $difference"
  elif [[ -n $digest && $(sql_as_role "$(throwaway)" "${setting[database]}" <<<"$(query_digest)") != "$digest" ]]; then
    echo "restored, it answers \`backups.query\` differently"
  fi
}
