#!/usr/bin/env bash
# Makes a throwaway server a git host as well, as a private repository's would be: git over SSH, as the user git, for
# the keys in /home/git/.ssh/authorized_keys. Its user deploy knows the host's key.
#
# usage: serve-git.sh DIRECTORY OWNER/NAME   the repository, and where it is served below /srv/git
set -euo pipefail

useradd --create-home --shell /usr/bin/git-shell git
install -d -o git -g git -m 0700 /home/git/.ssh
install -d "/srv/git/${2%/*}"
ln -s "$1" "/srv/git/$2.git"
# Git would not serve what belongs to another user.
git config --system safe.directory "/srv/git/$2.git"
read -r type key _ </etc/ssh/ssh_host_ed25519_key.pub
echo "127.0.0.1 $type $key" | install -o deploy -g deploy -m 0600 /dev/stdin /home/deploy/.ssh/known_hosts
