#!/usr/bin/env bash
# Puts the stack's directories and files on the server, or takes the files away again.
#
# usage: prepare-server.sh install DEPLOY_PATH BACKUP_PATH   the files as a tar archive in base64 on standard input
#        prepare-server.sh remove DEPLOY_PATH
#
# The archive holds manifest.sha256, which names every file with its checksum. A file appears under its name
# only when it is complete; a file of the earlier manifest that the new one does not name is removed.
# What others put there (backups, the copy of the repository) is left alone. The same input twice changes nothing.
set -euo pipefail
umask 077

refuse() {
  echo "$*" >&2
  exit 1
}

# The names in a manifest, as sha256sum writes it; nothing where there is none.
names() {
  [[ ! -f $1 ]] || cut -c 67- "$1"
}

install_files() {
  local deploy=$1 backups=$2 name
  mkdir -p "$deploy" "$backups"
  chmod 0755 "$deploy"
  chmod 0700 "$backups"
  staging=$(mktemp -d "$deploy/.staging.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  base64 -d | tar -x -p -C "$staging"
  (cd "$staging" && sha256sum --quiet --strict -c manifest.sha256) >&2 ||
    refuse "The stack's files did not arrive whole; run pulumi up again."

  names "$staging/manifest.sha256" >"$staging/new-names"
  names "$deploy/manifest.sha256" | { grep -vxFf "$staging/new-names" || true; } | while read -r name; do
    rm -f "${deploy:?}/$name"
  done
  while read -r name; do
    install -d -m "$(stat -c %a "$staging/$(dirname "$name")")" "$deploy/$(dirname "$name")"
    mv -f "$staging/$name" "$deploy/$name"
  done <"$staging/new-names"
  mv -f "$staging/manifest.sha256" "$deploy/manifest.sha256"
}

remove_files() {
  local deploy=$1 name
  # The archive comes here, too: ssh fails with "EOF" when nobody takes it.
  cat >/dev/null
  names "$deploy/manifest.sha256" | while read -r name; do
    rm -f "${deploy:?}/$name"
    rmdir --ignore-fail-on-non-empty "$deploy/$(dirname "$name")" 2>/dev/null || true
  done
  # With what the scripts and commands remember of the containers that went before this.
  rm -f "$deploy/manifest.sha256" "$deploy/proven" "$deploy/health.json" "$deploy/drift.json" "$deploy/damaged"
}

main() {
  case "${1-} $#" in
    "install 3") install_files "$2" "$3" ;;
    "remove 2") remove_files "$2" ;;
    *) refuse "usage: prepare-server.sh install DEPLOY_PATH BACKUP_PATH | remove DEPLOY_PATH" ;;
  esac
}

# Where the script itself comes through standard input (`bash -s`), what follows this block is the archive. Bash has
# read the whole block, `exit` too, before it runs any of it, and so never takes the archive for commands.
{
  main "$@"
  exit
}
