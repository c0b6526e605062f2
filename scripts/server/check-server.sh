#!/usr/bin/env bash
# Checks whether a release could go ahead, and changes nothing: Docker answers, the directories can be written, the
# repository can be read and has the commit, PostgreSQL's image can read its data. Runs before every preview and update.
#
# Beside facts of the stack it takes COMMIT, and
#   KEY    the key with which this server reads the repository: `none` of the stack's, `published`, or `publishing`,
#          where the coming update makes it and has the repository accept it
#   MAJOR  PostgreSQL's version as it is configured; missing where the image's tag does not tell
# Prints what lib/inventory.sh lists, `manifest=DIGEST` of the file with the checksums of what the stack has put there, and
# `drifted=TIME` where `./delivery drift` has found files that differ, which are put there anew after that.
# Exit status 1 with one sentence on standard error: the cause, the key to correct, what to do.
set -euo pipefail
: "${DEPLOY_PATH:?}" "${BACKUP_PATH:?}" "${SETTINGS_FILE:?}" "${MANIFEST:?}" "${DRIFTED:?}" "${UPGRADE_JOURNAL:?}"
: "${BOT:?}" "${DATABASE_CONTAINER:?}" "${PROXY:?}" "${REVISION_LABEL:?}" "${SWAP_DIRECTORY:?}" "${HOLD_SECONDS:?}" "${VOLUME:?}" "${MAJOR:=}" "${SWITCHING_STAGE:?}"
: "${REPOSITORY:?}" "${COMMIT:?}" "${KEY:?}" "${MIRROR:?}" "${GIT_SSH:?}" "${GIT_SECONDS:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/git.sh"
source "${BASH_SOURCE[0]%/*}/lib/cron.sh"
source "${BASH_SOURCE[0]%/*}/lib/inventory.sh"

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

# Several bots may share the server and its user, but no directory: one would overwrite the other's files, restore its
# backups and delete them. A stack whose bot was renamed still has the volume of the old name.
check_neighbours() {
  local remedy="give this one another with: pulumi config set --path"
  if is_foreign "$DEPLOY_PATH/$SETTINGS_FILE"; then
    refuse "The directory $DEPLOY_PATH on the server is that of the bot $other; $remedy server.deployPath $DEPLOY_PATH-$BOT"
  fi
  local settings
  # One look at all of them: there may be many.
  while read -r settings; do
    if [[ $settings != "$DEPLOY_PATH/$SETTINGS_FILE" ]] && is_foreign "$settings"; then
      refuse "The directory $BACKUP_PATH on the server has the backups of the bot $other; $remedy server.backupPath $BACKUP_PATH-$BOT"
    fi
  done < <(cron_deploy_paths | sed "s|\$|/$SETTINGS_FILE|" | xargs -r grep -lxsF "directory=$BACKUP_PATH")
}

# Whether a settings file is that of another stack's bot, whose name then is in `other`.
is_foreign() {
  local container
  other=$(sed -n 's/^bot=//p' "$1" 2>/dev/null) || return 1
  [[ -n $other && $other != "$BOT" ]] || return 1
  container=$(sed -n 's/^container=//p' "$1")
  [[ $(volume_of "$container") != "$VOLUME" ]]
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
check_docker
check_directory server.deployPath "$DEPLOY_PATH"
check_directory server.backupPath "$BACKUP_PATH"
check_neighbours
check_database
check_commit
echo "$inventory"
if [[ -f $MANIFEST ]]; then echo "manifest=$(sha256sum <"$MANIFEST" | cut -c 1-64)"; fi
if [[ -s $DRIFTED ]]; then echo "drifted=$(<"$DRIFTED")"; fi
