#!/usr/bin/env bash
# Looks whether a release could go ahead, and changes nothing: Docker answers, the directories can be
# written, the repository can be read and has the commit, the image of PostgreSQL can read its data. Runs before every
# preview and update.
#
# usage: check-server.sh DEPLOY_PATH BACKUP_PATH NAME REPOSITORY COMMIT SSH KEY MAJOR VOLUME
#   NAME           of the bot's container and image; its database is NAME_db
#   SSH            the ssh that git is to use, with its options
#   KEY            the key with which this server reads the repository: `none` of the stack's, `published`, or
#                  `publishing`, where the update that follows makes it and has the repository let it in
#   MAJOR, VOLUME  PostgreSQL's version and the volume with the data as they are configured; no MAJOR where nobody knows
# Prints when `./delivery drift` has last found files that differ, if ever: they are put there anew after that.
# Exit status 1 with one sentence on standard error: the cause, the key to correct, what to do.
set -euo pipefail

readonly GIT_SECONDS=20

refuse() {
  echo "$*" >&2
  exit 1
}

check_docker() {
  command -v docker >/dev/null ||
    refuse "The server has no Docker Engine; install docker.io there, or correct \`server.host\` if it is the wrong server."
  local answer
  answer=$(docker version --format '{{.Server.Version}}' 2>&1) && return
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
  local deploy=$1 backups=$2 name=$3 volume=$4 path settings other remedy
  for path in "$deploy" $(crontab -l 2>/dev/null | sed -n 's/^# BEGIN backups of \(\S*\) .*/\1/p'); do
    settings=$path/backups/settings
    other=$(sed -n 's/^bot=//p' "$settings" 2>/dev/null) || continue
    if [[ -z $other || $other == "$name" || $(volume_of "${other}_db") == "$volume" ]]; then continue; fi
    remedy="give this one another with: pulumi config set --path"
    [[ $path != "$deploy" ]] ||
      refuse "The directory $deploy on the server is that of the bot $other; $remedy server.deployPath $deploy-$name"
    ! grep -qxF "directory=$backups" "$settings" ||
      refuse "The directory $backups on the server has the backups of the bot $other; $remedy server.backupPath $backups-$name"
  done
}

# The volume with a database's data; nothing where there is no such container.
volume_of() {
  docker container inspect --format '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}' "$1" 2>/dev/null | head -n 1 || true
}

check_commit() {
  local image=$1 repository=$2 commit=$3 mirror=$4 key=$5
  # An image that was built is never built again, so its repository is not asked either.
  if docker image inspect "$image:$commit" >/dev/null 2>&1; then return; fi
  command -v git >/dev/null || refuse "The server has no git; install it there with: apt-get install git"
  local refs
  if ! refs=$(timeout "$GIT_SECONDS" git ls-remote --quiet "$repository" 2>&1); then
    if [[ $key == publishing && $refs == *"Permission denied"* ]]; then return; fi
    refuse_unreadable "$repository" "$key" "$(reason "$refs")"
  fi
  if grep -q "^$commit" <<<"$refs"; then return; fi
  if git -C "$mirror" cat-file -e "$commit^{commit}" 2>/dev/null; then return; fi
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  git init --quiet --bare "$scratch"
  timeout "$GIT_SECONDS" git -C "$scratch" fetch --quiet --depth=1 --filter=tree:0 "$repository" "$commit" 2>/dev/null ||
    refuse "The commit $commit is not in the repository $repository; push it, or correct \`commit\`."
}

# An image of another major version does not start on the data, and another volume is another database. While an
# upgrade moves the data, nobody else may start a bot that writes to the old one.
check_database() {
  local container=$1 major=$2 volume=$3 journal=$4 report directory mounted data
  report=$(docker container inspect --format '{{range .Mounts}}{{if eq .Type "volume"}}VOLUME={{println .Name}}{{end}}{{end}}{{range .Config.Env}}{{println .}}{{end}}' "$container" 2>/dev/null) || return 0
  if [[ -f $journal ]]; then
    if grep -qx stage=switching "$journal" && grep -qx "volume=$volume" "$journal"; then return; fi
    refuse "The database is being upgraded on the server; wait until that has ended, or, if it was cut off, begin it again with: ./delivery database upgrade MAJOR"
  fi
  mounted=$(sed -n 's/^VOLUME=//p' <<<"$report" | head -n 1)
  directory=$(sed -n 's/^PGDATA=//p' <<<"$report")
  # From the data itself, which also says it while the container is stopped.
  data=$(docker cp "$container:$directory/PG_VERSION" - 2>/dev/null | tar -xO 2>/dev/null) || return 0
  [[ $mounted == "$volume" ]] ||
    refuse "The database on the server is PostgreSQL $data in the volume $mounted, and the configuration says $volume; finish an upgrade that was cut off with \`./delivery database upgrade $data\`, else correct \`database.volume\`."
  [[ -z $major || $major == "$data" ]] ||
    refuse "The database on the server is PostgreSQL $data, whose data an image of $major cannot read; put \`database.image\` back, then move the data with: ./delivery database upgrade $major"
}

# Git's last words, without those that it says after every failure of ssh.
reason() {
  local text
  text=$(grep -vE '^$|^fatal: Could not read from|^Please make sure you have|^and the repository exists' <<<"${1//$'\r'/}" | tail -n 1)
  echo "${text:-no answer in $GIT_SECONDS seconds}"
}

refuse_unreadable() {
  local repository=$1 key=$2 reason=$3
  local remedy="correct \`app.repository\`, or give the server access to it"
  case $reason in
    "Host key verification failed"*)
      remedy="put the host's key into ~/.ssh/known_hosts of $(id -un) there, once you have compared it with what its owner publishes"
      ;;
    *"Permission denied"*)
      [[ $key == none ]] || remedy="have its key published again with: pulumi up --refresh, and an administrator's GITHUB_TOKEN"
      ;;
  esac
  refuse "The server cannot read the repository $repository (${reason%.}); $remedy."
}

main() {
  (($# == 9)) || refuse "usage: check-server.sh DEPLOY_PATH BACKUP_PATH NAME REPOSITORY COMMIT SSH KEY MAJOR VOLUME"
  export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND=$6
  check_docker
  check_directory server.deployPath "$1"
  check_directory server.backupPath "$2"
  check_neighbours "$1" "$2" "$3" "$9"
  check_database "$3_db" "$8" "$9" "$2/.upgrade"
  check_commit "$3" "$4" "$5" "$1/repository.git" "$7"
  cat "$1/damaged" 2>/dev/null || true
}

main "$@"
