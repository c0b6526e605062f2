#!/usr/bin/env bash
# Finds the commit that somebody means, as the server sees the repository, and prints its full hash.
#
# usage: find-commit.sh REPOSITORY BRANCH DEPLOY_PATH SSH [COMMIT]
#   SSH is the ssh that git is to use, with its options.
#   Without COMMIT: the newest one of the branch. COMMIT may be short, or the name of a branch or tag.
set -euo pipefail

readonly GIT_SECONDS=20

refuse() {
  echo "$*" >&2
  exit 1
}

# Git's last words, without those that it says after every failure of ssh.
reason() {
  local text
  text=$(grep -vE '^$|^fatal: Could not read from|^Please make sure you have|^and the repository exists' <<<"${1//$'\r'/}" | tail -n 1)
  echo "${text:-no answer in $GIT_SECONDS seconds}"
}

main() {
  (($# == 4 || $# == 5)) || refuse "usage: find-commit.sh REPOSITORY BRANCH DEPLOY_PATH SSH [COMMIT]"
  local repository=$1 branch=$2 mirror=$3/repository.git wanted=${5-} refs found
  # A full hash needs no search; whether the repository has it is asked before anything changes.
  if [[ $wanted =~ ^[0-9a-f]{40}$ ]]; then
    echo "$wanted"
    return
  fi
  export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND=$4
  refs=$(timeout "$GIT_SECONDS" git ls-remote --quiet "$repository" 2>&1) ||
    refuse "The server cannot read the repository $repository ($(reason "$refs")); correct \`app.repository\`, give the server access to it, or name the commit with all its 40 digits."
  if [[ -z $wanted ]]; then
    found=$(awk -v ref="refs/heads/$branch" '$2 == ref { print $1 }' <<<"$refs")
    [[ -n $found ]] || refuse "The repository $repository has no branch $branch; push it, or correct \`app.branch\`."
    echo "$found"
    return
  fi
  # A tag's own commit is listed as NAME^{} after the tag.
  found=$(awk -v want="$wanted" '$2 == "refs/heads/" want || $2 == "refs/tags/" want || $2 == "refs/tags/" want "^{}" { hash = $1 } END { print hash }' <<<"$refs")
  if [[ -z $found ]]; then
    [[ $wanted =~ ^[0-9a-f]{4,39}$ ]] || refuse "The repository $repository has no branch, tag or commit $wanted; push it, or name another."
    found=$({
      cut -f 1 <<<"$refs"
      git -C "$mirror" rev-list --all 2>/dev/null || true
    } | grep "^$wanted" | sort -u || true)
  fi
  case $(grep -c . <<<"$found") in
    1) echo "$found" ;;
    0) refuse "The server knows no commit $wanted of $repository; name it with all its 40 digits, or push it." ;;
    *) refuse "$wanted is the beginning of several commits (${found//$'\n'/, }); name more digits." ;;
  esac
}

main "$@"
