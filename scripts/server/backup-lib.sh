#!/usr/bin/env bash
# What backup-db.sh, restore-db.sh and upgrade-db.sh have in common; they source it, nobody runs it.
# shellcheck disable=SC2034 # what is set here is used there

# A failure inside $(…) ends the script as it would outside.
shopt -s inherit_errexit

# The names of finished backups, and of nothing else: what is unfinished is called .partial*.
readonly BACKUP_NAME='_[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{6}\.sql\.gz$'
# After a boot the Docker Engine and PostgreSQL need their time.
readonly READY_SECONDS=120
# Seconds that a stopping bot and PostgreSQL get, and a started bot until it is well; as in infra/components.
readonly BOT_STOP_SECONDS=30
readonly DATABASE_STOP_SECONDS=120
readonly HEALTHY_SECONDS=60
# Beside what they write something must be left.
readonly LEAST_FREE_MB=256
# How the sessions of these scripts are called in pg_stat_activity.
readonly APPLICATION=backup_and_restore

# Rows of every table and the number of objects of every kind (pg_class.relkind), as one line of JSON. What belongs
# to an extension is the extension's to restore.
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

# Set by whoever sources this: the file with the settings, and the one that says what must be undone.
settings_file='' journal=''
declare -A setting=()

say() {
  echo "$*" >&2
}

# Ends the script with one sentence; $scratch/reason keeps it for whoever reports it elsewhere.
refuse() {
  say "$*"
  if [[ -n ${scratch-} ]]; then echo "$*" >"$scratch/reason"; fi
  exit 1
}

# Lines KEY=VALUE as infra/components/Backups.ts writes them.
read_settings() {
  local key value
  [[ -f $1 ]] || refuse "There is no settings file $1; run \`pulumi up\`, which writes it."
  while IFS='=' read -r key value; do setting[$key]=$value; done <"$1"
  for key in directory container user database retentionDays keepAtLeast; do
    [[ -n ${setting[$key]-} ]] || refuse "The settings file $1 has no $key; run \`pulumi up\`, which writes it anew."
  done
  mkdir -p "${setting[directory]}"
  chmod 0700 "${setting[directory]}"
}

# One backup or restore at a time. File descriptor 9 carries the lock; children keep it until they have ended.
take_lock() {
  exec 9>"${setting[directory]}/.lock"
  flock -n 9 || {
    say "Another backup or restore is running; try again when it has ended."
    exit 75
  }
}

# Runs psql in a container: sql_in CONTAINER DATABASE [OPTION]... Over its socket the image asks no password.
sql_in() {
  local container=$1 database=$2
  shift 2
  docker exec -i --env PGAPPNAME="$APPLICATION" "$container" psql -XqAt -v ON_ERROR_STOP=1 -U "${setting[user]}" -d "$database" "$@"
}

# The same in the database's own container.
sql() {
  sql_in "${setting[container]}" "$@"
}

# The statement whose answer tells whether `backups.query` answers the same; psql quotes the query itself, as a value.
query_digest() {
  printf "\\set query '%s'\nSELECT md5(query_to_xml(:'query', true, true, '')::text);" \
    "$(sed "s/\\\\/&&/g; s/'/''/g" <<<"${setting[query]}")"
}

# What two answers to CONTENTS differ in, in a line.
differences() {
  diff <(tr ',' '\n' <<<"$1") <(tr ',' '\n' <<<"$2") | { grep '^[<>]' || true; } | head -n 4 | tr '\n' ' '
}

wait_ready() {
  local container=$1 deadline=$((SECONDS + $2))
  until docker exec "$container" pg_isready -q -h 127.0.0.1 -U "${setting[user]}" 2>/dev/null; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

image_variable() {
  docker image inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$1" | sed -n "s/^$2=//p"
}

# Where an image of PostgreSQL wants its volume: since 18 one directory up, the version's directory is below it.
data_directory() {
  local major
  major=$(image_variable "$1" PG_MAJOR)
  if ((${major:-0} >= 18)); then echo /var/lib/postgresql; else echo /var/lib/postgresql/data; fi
}

# Free MB of the file system that holds a directory, which this user may not be able to read.
free_mb() {
  local directory=$1 free
  while ! free=$(df --output=avail -m "$directory" 2>/dev/null); do directory=$(dirname "$directory"); done
  tail -n 1 <<<"$free" | tr -d ' '
}

docker_free_mb() {
  free_mb "$(docker info --format '{{.DockerRootDir}}')"
}

is_running() {
  [[ $(docker inspect --format '{{.State.Running}}' "$1" 2>/dev/null) == true ]]
}

# Has the proxy hold requests for at most SECONDS: close_gate SECONDS.
close_gate() {
  env PROXY="${setting[proxy]}" GATE="${setting[gate]}" DRAIN_SECONDS="${setting[drainSeconds]}" HOLD_SECONDS="$1" \
    "$HERE/hold-requests.sh" >/dev/null
}

# Starts the bot, waits until it is well and has the proxy let the requests through that it holds.
start_bot() {
  docker start "${setting[bot]}" >/dev/null
  env SETTINGS="$settings_file" "$HERE/await-healthy.sh" bot
}

# Has SCRIPT wait for the end of the running one, in a session of its own: a hang-up or a kill does not reach it. It
# holds the lock too, and goes back when a journal is left: watch SCRIPT LOG.
watch() {
  setsid "$1" "$settings_file" after "$$" </dev/null >>"${setting[directory]}/$2" 2>&1 7>&- 8<&- &
  watcher=$!
}

# Whoever has ended well needs no watcher; one that must go back may go on.
dismiss_watcher() {
  if [[ -n ${watcher-} && ! -e $journal ]]; then
    if kill -TERM -- "-$watcher" 2>/dev/null; then wait "$watcher" || true; fi
  fi
}

# Newest first: the time in a name is UTC and sorts by itself.
backups() {
  find "${setting[directory]}" -maxdepth 1 -type f -printf '%f\n' |
    { grep -E "^${setting[database]}$BACKUP_NAME" || true; } | sort -r
}

# The manifest's line of a backup; a damaged line is none.
manifest_line() {
  local manifest=${setting[directory]}/manifest.jsonl
  [[ ! -f $manifest ]] || { grep -aE "^\{\"file\":\"${1//./\\.}\",.*\"contents\":\{.*\}\}$" "$manifest" || true; } | tail -n 1
}

is_verified() {
  [[ $(manifest_line "$1") == *'"verified":true,'* ]]
}

# Seconds since the time in a backup's name.
age_of() {
  local stamp=${1%.sql.gz}
  stamp=${stamp: -17}
  echo $(($(date +%s) - $(date -u -d "${stamp:0:10} ${stamp:11:2}:${stamp:13:2}:${stamp:15:2}" +%s)))
}

# Reads an archive through and fills `found` with what it says of itself: begun, complete, database, version (major),
# tables. gzip checks its own end and checksum, but a pg_dump that died leaves a perfect archive of half a dump: only
# the dump's own last words tell. Since 13.22 a line \unrestrict follows them.
declare -A found=()
examine() {
  local file=$1 report key value
  found=()
  report=$(gzip -dc "$file" 2>/dev/null | LC_ALL=C awk '
    NR <= 20 && /^-- Backup of the database / { print "database", $6 }
    NR <= 20 && /^-- PostgreSQL database dump$/ { print "begun yes" }
    NR <= 20 && /^-- Dumped from database version / { split($6, part, "."); print "version", part[1] }
    /^COPY .* FROM stdin;$/ { copying = 1; next }
    copying { if ($0 == "\\.") copying = 0; next }
    /^CREATE (UNLOGGED )?TABLE / { tables++ }
    /^-- PostgreSQL database dump complete$/ { complete = NR }
    END { print "tables", tables + 0; if (complete && NR - complete < 20) print "complete yes" }') ||
    refuse "The backup ${file##*/} is damaged: gzip cannot read it to its end; use another one."
  while read -r key value; do found[$key]=$value; done <<<"$report"
  [[ -n ${found[begun]-} ]] || refuse "The file ${file##*/} is no dump by pg_dump; use another one."
  [[ -n ${found[complete]-} ]] || refuse "The backup ${file##*/} is not complete: pg_dump did not reach its end; use another one."
  [[ ${found[tables]} -gt 0 ]] || refuse "The backup ${file##*/} is empty: it holds no table; use another one."
}

# Loads an archive into a database: load FILE CONTAINER DATABASE.
load() {
  local status errors=$scratch/load
  gzip -dc "$1" | docker exec -i --env PGAPPNAME="$APPLICATION" "$2" psql -Xq -v ON_ERROR_STOP=1 -U "${setting[user]}" -d "$3" >/dev/null 2>"$errors" ||
    status=$?
  [[ -z ${status-} ]] || {
    say "$(tail -n 3 "$errors")"
    return 1
  }
}
