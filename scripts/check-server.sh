#!/usr/bin/env bash
# Looks whether a release could go ahead, and changes nothing: Docker answers, the directories can be
# written, the repository can be read and has the commit. Runs before every preview and update.
#
# usage: check-server.sh DEPLOY_PATH BACKUP_PATH IMAGE REPOSITORY COMMIT SSH KEY
#   SSH   the ssh that git is to use, with its options
#   KEY   the key with which this server reads the repository: `none` of the stack's, `published`, or `publishing`,
#         where the update that follows makes it and has the repository let it in
# Prints when `npm run drift` has last found files that differ, if ever: they are put there anew after that.
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
  (($# == 7)) || refuse "usage: check-server.sh DEPLOY_PATH BACKUP_PATH IMAGE REPOSITORY COMMIT SSH KEY"
  export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND=$6
  check_docker
  check_directory server.deployPath "$1"
  check_directory server.backupPath "$2"
  check_commit "$3" "$4" "$5" "$1/repository.git" "$7"
  cat "$1/damaged" 2>/dev/null || true
}

main "$@"
