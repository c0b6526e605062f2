#!/usr/bin/env bash
# Builds Docker Compose v2 from its Go module, once, into the project's cache, and prints where it is: GitHub's downloads are not
# reachable everywhere, the module proxy is.
set -euo pipefail

main() {
  local module=${BASH_SOURCE[0]%/*}/compose-cli cache=${XDG_CACHE_HOME:-$HOME/.cache}/hockey-delivery version target
  version=$(sed -n 's|.*github.com/docker/compose/v2 \(v[^ ]*\).*|\1|p' "$module/go.mod")
  target=$cache/docker-compose-$version-$(cat "$module"/go.{mod,sum} | sha256sum | cut -c1-16)
  if [[ ! -x $target ]]; then
    mkdir -p "$cache"
    # Without C libraries, so that it runs on any server.
    CGO_ENABLED=0 nice -n 15 go build -C "$module" -buildvcs=false -trimpath \
      -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$version" \
      -o "$target.new" github.com/docker/compose/v2/cmd >&2
    mv "$target.new" "$target"
  fi
  echo "$target"
}

main "$@"
