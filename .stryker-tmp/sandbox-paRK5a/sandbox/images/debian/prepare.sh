#!/usr/bin/env bash
# Puts a minimal Debian 12 into CONTEXT/rootfs.tar. Usage: prepare.sh CONTEXT
set -euo pipefail

context=$1
mirror=http://deb.debian.org

if ! command -v debootstrap >/dev/null; then
  echo "debootstrap is missing: install it (apt-get install debootstrap) to make stand-in images" >&2
  exit 1
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase bookworm "$root" "$mirror/debian" >"$root.log" 2>&1 || {
  tail -n 3 "$root.log" >&2
  exit 1
}
rm -f "$root.log"

cat >"$root/etc/apt/sources.list" <<EOF
deb $mirror/debian bookworm main
deb $mirror/debian bookworm-updates main
deb $mirror/debian-security bookworm-security main
EOF
# As in the official slim image: no documentation, no translations.
printf 'path-exclude /usr/share/%s/*\n' doc man locale info >"$root/etc/dpkg/dpkg.cfg.d/docker"
# Services are not started while packages are installed into an image.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/log/*.log \
  "$root"/usr/share/{doc,man,locale,info}/* "$root"/etc/resolv.conf "$root"/etc/hostname

tar -C "$root" -cf "$context/rootfs.tar" .
