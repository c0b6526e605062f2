#!/usr/bin/env bash
# Finds the commit that an operator means, as the server sees REPOSITORY, and prints its full hash.
# Without COMMIT: the newest one of BRANCH. COMMIT may be short, or the name of a branch or tag.
set -euo pipefail
: "${REPOSITORY:?}" "${BRANCH:?}" "${MIRROR:?}" "${GIT_SSH:?}" "${GIT_SECONDS:?}" "${COMMIT:=}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/git.sh"

main() {
  local refs found
  refs=$(list_refs) ||
    refuse "The server cannot read the repository $REPOSITORY ($(reason_of "$refs")); correct \`app.repository\`, give the server access to it, or name the commit with all its 40 digits."
  if [[ -z $COMMIT ]]; then
    found=$(awk -v ref="refs/heads/$BRANCH" '$2 == ref { print $1 }' <<<"$refs")
    [[ -n $found ]] || refuse "The repository $REPOSITORY has no branch $BRANCH; push it, or correct \`app.branch\`."
    echo "$found"
    return 0
  fi
  # A tag's own commit is listed as NAME^{} after the tag.
  found=$(awk -v want="$COMMIT" '$2 == "refs/heads/" want || $2 == "refs/tags/" want || $2 == "refs/tags/" want "^{}" { hash = $1 } END { print hash }' <<<"$refs")
  if [[ -z $found ]]; then
    [[ $COMMIT =~ ^[0-9a-f]{4,39}$ ]] || refuse "The repository $REPOSITORY has no branch, tag or commit $COMMIT; push it, or name another."
    found=$({
      cut -f 1 <<<"$refs"
      git -C "$MIRROR" rev-list --all 2>/dev/null || true
    } | grep "^$COMMIT" | sort -u || true)
  fi
  case $(grep -c . <<<"$found") in
    1) echo "$found" ;;
    0) refuse "The server knows no commit $COMMIT of $REPOSITORY; name it with all its 40 digits, or push it." ;;
    *) refuse "$COMMIT is the beginning of several commits (${found//$'\n'/, }); name more digits." ;;
  esac
}

main
