#!/usr/bin/env bash
# Checks whether a release could go ahead, and changes nothing: Docker answers, the directories can be written, the
# repository can be read and has the commit, PostgreSQL's image can read its data. Runs before every preview and update.
#
# Beside facts of the stack it takes STACK, its full name, COMMIT, and
#   KEY    the key with which this server reads the repository: `none` of the stack's, `published`, or `publishing`,
#          where the coming update makes it and has the repository accept it
#   MAJOR  PostgreSQL's version as it is configured; missing where the image's tag does not tell
# Prints what lib/inventory.sh lists, `claim=ID` where the stack has claimed its directory (lib/claim.sh), `manifest=DIGEST`
# of the file with the checksums of what the stack has put there, `drifted=TIME` where `./delivery drift` has found files
# that differ, which are put there anew after that, and `uncertified=TIME` where an update has found no certificate for the
# domain, which the next one looks for again.
# Exit status 1 with one sentence on standard error: the cause, the key to correct, what to do.
set -euo pipefail
: "${DEPLOY_PATH:?}" "${BACKUP_PATH:?}" "${SETTINGS_FILE:?}" "${MANIFEST:?}" "${DRIFTED:?}" "${UNCERTIFIED:?}" "${BIN:?}"
: "${BOT:?}" "${DATABASE_CONTAINER:?}" "${PROXY:?}" "${REVISION_LABEL:?}" "${SWAP_LOCK:?}" "${HOLD_SECONDS:?}"
: "${VOLUME:?}" "${MAJOR:=}" "${RESTORE_JOURNAL:?}" "${UPGRADE_JOURNAL:?}" "${SWITCHING_STAGE:?}"
: "${STACK:?}" "${CLAIM:?}" "${BACKUP_CLAIM:?}" "${NETWORK:?}" "${ROLE:?}" "${DATABASE:?}"
: "${DATABASE_IMAGE:?}" "${EXTENSIONS?}"
: "${REPOSITORY:?}" "${COMMIT:?}" "${KEY:?}" "${MIRROR:?}" "${GIT_SSH:?}" "${GIT_SECONDS:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/git.sh"
source "${BASH_SOURCE[0]%/*}/lib/cron.sh"
source "${BASH_SOURCE[0]%/*}/lib/inventory.sh"
source "${BASH_SOURCE[0]%/*}/lib/claim.sh"
source "${BASH_SOURCE[0]%/*}/lib/neighbours.sh"

# Docker's command line takes most of the time here, so it is asked for everything at once; `inventory` is what
# lib/inventory.sh lists.
check_docker() {
  command -v docker >/dev/null ||
    refuse "The server has no Docker Engine; install docker.io there, or correct \`server.host\` if it is the wrong server."
  local answer
  inventory=$(list_inventory)
  [[ -z $inventory ]] || return 0
  answer=$(docker version --format '{{.Server.Version}}' 2>&1) && return 0
  case $answer in
    *"permission denied"*)
      refuse "The user $(id -un) may not use Docker on the server; add it to the group docker, or correct \`server.user\`."
      ;;
    *) refuse "Docker does not answer on the server (${answer##*$'\n'}); start it there with: systemctl start docker" ;;
  esac
}

# A directory that is not there yet must be one that this user can make.
check_directory() {
  local key=$1 directory=$2 parent=$2
  while [[ ! -e $parent ]]; do parent=$(dirname "$parent"); done
  [[ -d $parent && -w $parent ]] ||
    refuse "The user $(id -un) cannot write to $directory on the server; make it writable, or correct \`$key\`."
}

# An extension that the image lacks is seen before anything changes, if the database runs on that image already.
check_extensions() {
  local image available lacking
  if [[ -z $EXTENSIONS ]] || ! grep -q "^container=$DATABASE_CONTAINER [^ ]* running " <<<"$inventory"; then return 0; fi
  image=$(docker image inspect --format '{{.Id}}' "$DATABASE_IMAGE" 2>/dev/null) || return 0
  [[ $(docker container inspect --format '{{.Image}}' "$DATABASE_CONTAINER") == "$image" ]] || return 0
  available=$(docker exec "$DATABASE_CONTAINER" psql -XqAt -U "$ROLE" -d postgres -c 'SELECT name FROM pg_available_extensions' 2>/dev/null) || return 0
  lacking=$(tr ' ' '\n' <<<"$EXTENSIONS" | { grep -vxF "$available" || true; } | xargs)
  [[ -z $lacking ]] ||
    refuse "The image $DATABASE_IMAGE has no extension $lacking; correct \`database.extensions\`, or set \`database.image\` to an image that has it."
}

check_commit() {
  local refs scratch
  # An image that was built is never built again, so its repository is not asked either.
  if grep -q '^image=' <<<"$inventory"; then return 0; fi
  command -v git >/dev/null || refuse "The server has no git; install it there with: apt-get install git"
  if ! refs=$(list_refs); then
    if [[ $KEY == publishing && $refs == *"Permission denied"* ]]; then return 0; fi
    refuse_unreadable "$(reason_of "$refs")"
  fi
  if grep -q "^$COMMIT" <<<"$refs"; then return 0; fi
  if git -C "$MIRROR" cat-file -e "$COMMIT^{commit}" 2>/dev/null; then return 0; fi
  scratch=$(mktemp -d)
  # shellcheck disable=SC2064 # the directory of now
  trap "rm -rf '$scratch'" EXIT
  git init --quiet --bare "$scratch"
  timeout "$GIT_SECONDS" git -C "$scratch" fetch --quiet --depth=1 --filter=tree:0 "$REPOSITORY" "$COMMIT" 2>/dev/null ||
    refuse "The commit $COMMIT is not in the repository $REPOSITORY; push it, or correct \`commit\`."
}

refuse_unreadable() {
  local reason=$1 remedy="correct \`app.repository\`, or give the server access to it"
  case $reason in
    "Host key verification failed"*)
      remedy="put the host's key into ~/.ssh/known_hosts of $(id -un) there, once you have compared it with what its owner publishes"
      ;;
    *"Permission denied"*)
      [[ $KEY == none ]] || remedy="have its key published again with: pulumi up --refresh, and an administrator's GITHUB_TOKEN"
      ;;
  esac
  refuse "The server cannot read the repository $REPOSITORY (${reason%.}); $remedy."
}

# A release would start the bot in the midst of a restore, and what that writes then is set aside with the old data.
check_restore() {
  if [[ -f $RESTORE_JOURNAL ]]; then
    refuse "The database is being restored on the server; wait until that has ended, or, if it was cut off, undo it there with: $BIN/restore-db.sh $DEPLOY_PATH/$SETTINGS_FILE recover"
  fi
}

# An image of another major version does not start on the data, and another volume is another database. During an
# upgrade the bot must not be started on the data that is being moved.
check_database() {
  local mounted directory major data
  grep -q "^container=$DATABASE_CONTAINER " <<<"$inventory" || return 0
  if [[ -f $UPGRADE_JOURNAL ]]; then
    if grep -qx "stage=$SWITCHING_STAGE" "$UPGRADE_JOURNAL" && grep -qx "volume=$VOLUME" "$UPGRADE_JOURNAL"; then return 0; fi
    refuse "The database is being upgraded on the server; wait until that has ended, or, if it was cut off, begin it again with: ./delivery database upgrade MAJOR"
  fi
  read -r mounted directory major < <(sed -n 's/^database=//p' <<<"$inventory")
  data=$major
  # From the data itself, which tells its version even while the container is stopped.
  if ! grep -q "^container=$DATABASE_CONTAINER [^ ]* running " <<<"$inventory" || [[ $major == - ]]; then
    data=$(docker cp "$DATABASE_CONTAINER:$directory/PG_VERSION" - 2>/dev/null | tar -xO 2>/dev/null) || return 0
  fi
  [[ $mounted == "$VOLUME" ]] ||
    refuse "The database on the server is PostgreSQL $data in the volume $mounted, and the configuration says $VOLUME; finish an upgrade that was cut off with \`./delivery database upgrade $data\`, else correct \`database.volume\`."
  [[ -z $MAJOR || $MAJOR == "$data" ]] ||
    refuse "The database on the server is PostgreSQL $data, whose data an image of $MAJOR cannot read; put \`database.image\` back, then move the data with: ./delivery database upgrade $MAJOR"
}

inventory=''
check_claims
check_restore
check_docker
check_directory server.deployPath "$DEPLOY_PATH"
check_directory server.backupPath "$BACKUP_PATH"
check_names
check_neighbours
check_database
check_extensions
check_commit
echo "$inventory"
if read_claim "$CLAIM"; then echo "claim=$owner_id"; fi
if [[ -f $MANIFEST ]]; then echo "manifest=$(sha256sum <"$MANIFEST" | cut -c 1-64)"; fi
if [[ -s $DRIFTED ]]; then echo "drifted=$(<"$DRIFTED")"; fi
if [[ -s $UNCERTIFIED ]]; then echo "uncertified=$(<"$UNCERTIFIED")"; fi
