# shellcheck shell=bash
# The server's git: it asks nothing, uses the ssh that the stack names in GIT_SSH, and gives up after GIT_SECONDS.

export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND=${GIT_SSH:?}

# Git's last words, without the lines that follow every failure of ssh.
reason_of() {
  local text
  text=$(grep -vE '^$|^fatal: Could not read from|^Please make sure you have|^and the repository exists' <<<"${1//$'\r'/}" | tail -n 1)
  echo "${text:-no answer in $GIT_SECONDS seconds}"
}

# Branches and tags of REPOSITORY with their commits; or what git and ssh say.
list_refs() {
  timeout "$GIT_SECONDS" git ls-remote --quiet "$REPOSITORY" 2>&1
}
