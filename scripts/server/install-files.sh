#!/usr/bin/env bash
# Puts the stack's directories and files on the server, or removes the files.
#
# usage: install-files.sh install   the files as a tar archive in base64 on standard input
#        install-files.sh remove
#
# The archive holds the manifest, which names every file with its checksum. A file appears under its name only when it
# is complete; a file of the earlier manifest that the new one does not name is removed. Backups, the mirror of the
# repository and all other files stay. The same input twice changes nothing.
set -euo pipefail
umask 077
: "${DEPLOY_PATH:?}" "${BACKUP_PATH:?}" "${MANIFEST:?}"
: "${HEALTHY_FINGERPRINTS:?}" "${HEALTH_DIRECTORY:?}" "${HEALTH:?}" "${DRIFT:?}" "${DRIFTED:?}" "${UNCERTIFIED:?}"
: "${BASE_PULLS:?}" "${IMAGE_UPDATES:?}"
source "${BASH_SOURCE[0]%/*}/lib/common.sh"

# The names in a manifest as sha256sum writes it; nothing without the file.
names() {
  [[ ! -f $1 ]] || cut -c 67- "$1"
}

install_files() {
  local name manifest
  mkdir -p "$DEPLOY_PATH" "$BACKUP_PATH"
  chmod 0755 "$DEPLOY_PATH"
  chmod 0700 "$BACKUP_PATH"
  staging=$(mktemp -d "$DEPLOY_PATH/.staging.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  base64 -d | tar -xz -p -C "$staging"
  manifest=$staging/${MANIFEST##*/}
  (cd "$staging" && sha256sum --quiet --strict -c "$manifest") >&2 ||
    refuse "The stack's files did not arrive whole; run pulumi up again."

  names "$manifest" >"$staging/new-names"
  names "$MANIFEST" | { grep -vxFf "$staging/new-names" || true; } | while read -r name; do
    rm -f "${DEPLOY_PATH:?}/$name"
  done
  while read -r name; do
    install -d -m "$(stat -c %a "$staging/$(dirname "$name")")" "$DEPLOY_PATH/$(dirname "$name")"
    mv -f "$staging/$name" "$DEPLOY_PATH/$name"
  done <"$staging/new-names"
  mv -f "$manifest" "$MANIFEST"
}

remove_files() {
  local name
  # The archive comes here, too, and must be read: ssh fails with "EOF" otherwise.
  cat >/dev/null
  names "$MANIFEST" | while read -r name; do
    rm -f "${DEPLOY_PATH:?}/$name"
    (cd "$DEPLOY_PATH" && rmdir --parents --ignore-fail-on-non-empty "$(dirname "$name")" 2>/dev/null) || true
  done
  # With what scripts and commands remember of the removed containers.
  rm -f "$MANIFEST" "$HEALTHY_FINGERPRINTS" "$HEALTH" "$DRIFT" "$DRIFTED" "$UNCERTIFIED" "$BASE_PULLS" "$IMAGE_UPDATES"
  rm -rf "$HEALTH_DIRECTORY"
}

# The script comes through standard input (`bash -s`), and the archive follows this block. Bash reads the whole block,
# `exit` included, before it runs any of it, and so never takes the archive for commands.
{
  case ${1-} in
    install) install_files ;;
    remove) remove_files ;;
    *) refuse "usage: install-files.sh install|remove" ;;
  esac
  exit
}
