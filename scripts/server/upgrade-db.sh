#!/usr/bin/env bash
# Moves the database to a newer major version of PostgreSQL, into a volume of its own; the old volume is only read.
# scripts/lib/upgrade.ts runs this over SSH, and has Pulumi switch the containers when the data has been moved.
#
# usage: upgrade-db.sh SETTINGS report                    MAJOR and VOLUME of what runs, on standard output
#        upgrade-db.sh SETTINGS move MAJOR IMAGE VOLUME   the upgrade, as long as somebody answers
#        upgrade-db.sh SETTINGS recover                   goes back after an upgrade that was killed
#   SETTINGS  the file that the stack writes (infra/components/Backups.ts)
#
# `move` tells and is told, a word a line. It makes a verified backup and restores it into the new version for a trial,
# says "ready" and waits for "go"; then it holds the requests, stops the bot, moves the data, says "moved" and waits for
# "switched"; then it starts the bot on the new database and says "done". What fails it says in a sentence instead. At
# every failure, and when nobody says "alive" for a while, it goes back: with copies of the containers that it has made
# before, so that it needs nobody, and whatever Pulumi has replaced until then.
# While it runs, DIRECTORY/.upgrade says how far it is: a watcher that survives this script goes back when it is gone.
# Exit status 75: a backup, restore or upgrade is running; 1 with one sentence on standard error: all else.
set -euo pipefail
umask 077
readonly HERE=${BASH_SOURCE[0]%/*}
# shellcheck source=scripts/backup-lib.sh disable=SC1091
source "$HERE/backup-lib.sh"
# A session that is gone is noticed by its silence.
trap '' PIPE

readonly USAGE="usage: upgrade-db.sh SETTINGS report | move MAJOR IMAGE VOLUME | recover"
# Longer than any upgrade: only a lost one meets it, and the gate opens by itself.
readonly HOLD_SECONDS=900
# "alive" comes every second.
readonly SILENCE_SECONDS=30
# A new cluster and its write-ahead log, before there is any data.
readonly CLUSTER_MB=1024
# On the copies of containers and on their images.
readonly SPARE=delivery.spare

# --- what there is

report() {
  local version
  wait_ready "${setting[container]}" "$READY_SECONDS" ||
    refuse "The database's container ${setting[container]} does not answer; start it, see \`docker logs ${setting[container]}\`."
  version=$(sql postgres <<<"SHOW server_version_num;")
  echo "$((version / 10000)) $(volume_of "${setting[container]}")"
}

volume_of() {
  docker container inspect --format '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}' "$1" 2>/dev/null | head -n 1
}

has_container() {
  docker container inspect "$1" >/dev/null 2>&1
}

gate_is_open() {
  is_running "${setting[proxy]}" && ! docker exec "${setting[proxy]}" test -e /gate/closed
}

# --- the conversation: words come on file descriptor 8 and go to 7

tell() {
  echo "$1" >&7 || true
}

# Waits for a word. Whoever is gone, or does not even say "alive", ends the upgrade.
await() {
  local word
  while read -r -t "$SILENCE_SECONDS" -u 8 word; do
    if [[ $word == "$1" ]]; then return; fi
  done
  refuse "Whoever asked for the upgrade has given up or is gone; it goes no further."
}

# --- copies of the containers, for the way back

# A stopped copy of a container: its files, environment and health check by way of an image, its limits by name.
make_spare() {
  local name=$1 image flags
  image=$(docker commit --pause=false --change "LABEL $SPARE=yes" "$name")
  mapfile -t flags < <(docker container inspect --format \
    '{{range .HostConfig.CapAdd}}--cap-add={{println .}}{{end}}{{range .HostConfig.CapDrop}}--cap-drop={{println .}}{{end}}{{if eq (json .HostConfig.Init) "true"}}{{println "--init"}}{{end}}--network={{println .HostConfig.NetworkMode}}--memory={{println .HostConfig.Memory}}--memory-swap={{println .HostConfig.MemorySwap}}--stop-timeout={{.Config.StopTimeout}}' "$name")
  # The label by which a release knows what the stack has made (list-containers.sh); the bot's copy has the bot's.
  [[ $name == "${setting[bot]}" ]] || flags+=(--label "org.opencontainers.image.revision=copy")
  docker create --name "${name}_spare" --restart unless-stopped --security-opt no-new-privileges --log-driver local \
    --volumes-from "$name" "${flags[@]}" "$image" >/dev/null
}

# Puts a copy in its original's place. The name is the lock: whatever Pulumi may still be doing, there is one of each.
put_back() {
  local name=$1 tries
  for tries in {1..20}; do
    has_container "${name}_spare" || return 0
    docker stop --time "$2" "$name" >/dev/null 2>&1 || true
    docker rm --force "$name" >/dev/null 2>&1 || true
    docker rename "${name}_spare" "$name" 2>/dev/null || sleep 0.2
  done
  has_container "$name" || refuse "The copy of $name cannot take its place after $tries tries; see \`docker ps --all\`."
}

# All that an upgrade makes for its own use.
tidy() {
  docker rm --force --volumes "$next" "${setting[container]}_spare" "${setting[bot]}_spare" >/dev/null 2>&1 || true
  docker image prune --force --filter "label=$SPARE" >/dev/null
}

# --- the journal: what must be undone should this script die

journal() {
  printf '%s\n' "stage=$1" "volume=$volume" >"$journal.new"
  mv "$journal.new" "$journal"
  sync "$journal" "${setting[directory]}"
}

# Whether somebody may have been served from the new volume: then the way back would lose what they wrote.
is_served() {
  [[ $(volume_of "${setting[container]}") == "$1" ]] && is_running "${setting[bot]}" || return 1
  if gate_is_open; then return; fi
  # Once the bot is stopped, nothing can open the gate for it any more.
  docker stop --time "$BOT_STOP_SECONDS" "${setting[bot]}" >/dev/null 2>&1 || true
  gate_is_open || return 1
  docker start "${setting[bot]}" >/dev/null
}

# Goes back to what was there before, from any stage, as often as needed.
recover() {
  local key value deadline=$((SECONDS + READY_SECONDS))
  local -A was=()
  [[ -f $journal ]] || return 0
  while IFS='=' read -r key value; do was[$key]=$value; done <"$journal"
  until docker version >/dev/null 2>&1; do
    ((SECONDS < deadline)) || refuse "Docker does not answer, so the upgrade is not undone yet; start it, then: upgrade-db.sh SETTINGS recover"
    sleep 1
  done
  if [[ ${was[stage]} == switching ]] && is_served "${was[volume]}"; then
    say "the new database has taken over and serves already, so it stays; finish with the same \`./delivery database upgrade\`"
  else
    say "going back: the upgrade ended while ${was[stage]}"
    # A bot that stands still may have been taken away by somebody else's update.
    if [[ ${was[stage]} == switching ]]; then put_back "${setting[container]}" "$DATABASE_STOP_SECONDS"; fi
    if [[ ${was[stage]} == switching ]] || ! has_container "${setting[bot]}"; then put_back "${setting[bot]}" "$BOT_STOP_SECONDS"; fi
    tidy
    docker volume rm --force "${was[volume]}" >/dev/null || say "The volume ${was[volume]} is left over; remove it with: docker volume rm ${was[volume]}"
    if [[ ${was[stage]} != trying ]]; then
      docker start "${setting[container]}" >/dev/null
      wait_ready "${setting[container]}" "$READY_SECONDS" ||
        refuse "The old database does not answer; see \`docker logs ${setting[container]}\`, then: upgrade-db.sh SETTINGS recover"
      # A stop that was under way must not come after the start.
      docker stop --time "$BOT_STOP_SECONDS" "${setting[bot]}" >/dev/null || true
      start_bot || say "The bot is not healthy on its old database either; see \`docker logs ${setting[bot]}\`."
    fi
    say "what was there is back"
  fi
  rm -f "$journal"
  tidy
}

finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  if ((status != 0)) && [[ -n ${asked-} ]]; then
    tell "$(cat "$scratch/reason" 2>/dev/null || echo "it broke off on the server, see above")"
  fi
  if ((status != 0)) && [[ -n ${owner-} ]]; then recover || status=1; fi
  dismiss_watcher
  rm -rf "$scratch"
  exit "$status"
}

# --- an upgrade

check() {
  local major=$1 image=$2 present reach need free
  present=$(report)
  present=${present% *}
  ((major > present)) ||
    refuse "The database is PostgreSQL $present already; only a newer major version can be upgraded to. Nothing was changed."
  docker image inspect "$image" >/dev/null 2>&1 || docker pull --quiet "$image" >/dev/null 2>"$scratch/pull" ||
    refuse "The image $image cannot be had on the server ($(tail -n 1 "$scratch/pull")); see that it exists and that the server reaches its registry. Nothing was changed."
  reach=$(image_variable "$image" PG_MAJOR)
  [[ $reach == "$major" ]] || refuse "The image $image is PostgreSQL ${reach:-of no known version}, not $major. Nothing was changed."
  # An empty one is what an update that was cut off may leave.
  if docker volume inspect "$volume" >/dev/null 2>&1 &&
    [[ -n $(docker run --rm --network none --volume "$volume:/volume:ro" --entrypoint ls "$image" -A /volume 9>&-) ]]; then
    refuse "There is a volume $volume with data already, of an earlier upgrade; if nothing in it is wanted, remove it on the server with: docker volume rm $volume. Nothing was changed."
  fi
  need=$((2 * $(sql "${setting[database]}" <<<"SELECT pg_database_size(current_database()) / 1048576;") + CLUSTER_MB + LEAST_FREE_MB))
  free=$(docker_free_mb)
  ((free >= need)) ||
    refuse "The disk of Docker's directory has $free MB left and the upgrade needs $need; make room there. Nothing was changed."
}

# The new version on its volume, out of everybody's reach. It makes the role with its password, and the database.
start_next() {
  local image=$1 secrets
  secrets=$(docker container inspect --format '{{range .Mounts}}{{if eq .Destination "/run/secrets"}}{{.Source}}{{end}}{{end}}' "${setting[container]}")
  docker volume create "$volume" >/dev/null
  docker run --detach --name "$next" --network none --memory 512m --memory-swap 512m --log-driver local --cap-drop ALL \
    --cap-add CHOWN --cap-add DAC_READ_SEARCH --cap-add FOWNER --cap-add SETGID --cap-add SETUID \
    --security-opt no-new-privileges --env POSTGRES_USER="${setting[user]}" --env POSTGRES_DB="${setting[database]}" \
    --env POSTGRES_PASSWORD_FILE=/run/secrets/postgres_password --volume "$secrets:/run/secrets:ro" \
    --volume "$volume:$(data_directory "$image")" "$image" >/dev/null 9>&-
  wait_ready "$next" "$READY_SECONDS" || {
    docker logs --tail 5 "$next" >&2 || true
    refuse "The new PostgreSQL of $image does not start (its last words stand above)."
  }
}

try_backup() {
  local line file contents restored
  line=$("$HERE/backup-db.sh" "$settings_file" --safety --json) ||
    refuse "The upgrade begins with a verified backup, and that failed (see above). Nothing was changed."
  file=$(sed -E 's/^\{"file":"([^"]+)".*/\1/' <<<"$line")
  contents=${line#*\"contents\":}
  load "${setting[directory]}/$file" "$next" "${setting[database]}" ||
    refuse "The backup $file cannot be restored into the new PostgreSQL (see above); change what it does not understand in the database, then try again."
  restored=$(sql_in "$next" "${setting[database]}" <<<"$CONTENTS")
  [[ $restored == "${contents%\}}" ]] ||
    refuse "The backup $file, restored into the new PostgreSQL, differs: $(differences "${contents%\}}" "$restored")"
  sql_in "$next" postgres --set name="${setting[database]}" <<'SQL'
DROP DATABASE :"name";
CREATE DATABASE :"name" TEMPLATE template0;
SQL
}

# What both hold must be the same, and nobody writes meanwhile.
move_data() {
  local database=${setting[database]} statement old new
  docker exec "${setting[container]}" pg_dump --no-password --lock-wait-timeout=60s -U "${setting[user]}" -d "$database" 2>"$scratch/dump" |
    sql_in "$next" "$database" >/dev/null 2>"$scratch/load" ||
    refuse "The data could not be moved ($(cat "$scratch/dump" "$scratch/load" | tail -n 1))."
  for statement in "$CONTENTS" ${setting[query]:+"$(query_digest)"}; do
    old=$(sql "$database" <<<"$statement")
    new=$(sql_in "$next" "$database" <<<"$statement")
    [[ $old == "$new" ]] || refuse "What was moved differs from what was there: $(differences "$old" "$new")"
  done
  sql_in "$next" "$database" <<<'ANALYZE;'
  docker stop --time "$DATABASE_STOP_SECONDS" "$next" >/dev/null
  docker rm "$next" >/dev/null
}

move() {
  local major=$1 image=$2
  recover
  tidy
  check "$major" "$image"
  owner=yes
  watch "$HERE/upgrade-db.sh" upgrade.log
  journal trying
  start_next "$image"
  say "trying: a verified backup, restored into PostgreSQL $major"
  try_backup
  make_spare "${setting[container]}"
  make_spare "${setting[bot]}"
  tell ready
  await go

  local held=$EPOCHREALTIME
  journal holding
  say "moving: requests are held, and the bot stands still"
  close_gate "$HOLD_SECONDS"
  journal stopping
  docker stop --time "$BOT_STOP_SECONDS" "${setting[bot]}" >/dev/null
  journal moving
  move_data
  say "moved ${setting[database]} to PostgreSQL $major in the volume $volume and found the same in both"
  journal switching
  tell moved
  await switched

  # Pulumi has replaced the bot too, or has left it as it stood.
  start_bot || refuse "The bot does not get healthy on PostgreSQL $major."
  say "requests were held for $(awk -v from="$held" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }') s"
  rm -f "$journal"
  tidy
  tell "done"
}

main() {
  scratch=$(mktemp -d)
  trap finish EXIT
  trap 'exit 130' INT TERM HUP
  volume=''
  case "${2-} $#" in
    "move 5" | "report 2" | "recover 2" | "after 3") ;;
    *) refuse "$USAGE" ;;
  esac
  settings_file=$1
  read_settings "$settings_file"
  journal=${setting[directory]}/.upgrade
  next=${setting[container]}_next
  case $2 in
    # Started by watch, with its lock.
    after)
      tail --pid="$3" -f /dev/null
      recover
      ;;
    recover)
      take_lock
      recover
      ;;
    # Whoever is still going back is waited for; what nobody undoes any more is undone.
    report)
      exec 9>"${setting[directory]}/.lock"
      flock -w "$READY_SECONDS" 9 || exit 75
      recover
      report
      ;;
    move)
      # Words are words, and all else is for people; no command in between may take a word.
      exec 7>&1 1>&2 8<&0 </dev/null
      asked=yes
      take_lock
      volume=$5
      move "$3" "$4"
      ;;
  esac
}

main "$@"
