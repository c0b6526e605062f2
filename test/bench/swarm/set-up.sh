#!/usr/bin/env bash
# Puts the bot into a Swarm of one node. The proxy in front is an ordinary container: Swarm's own routing needs IPVS, which not
# every kernel has, and would hold no requests either.
#
# usage: set-up.sh NAME ORDER DIRECTORY REPOSITORY COMMIT ENV_FILE CADDYFILE
set -euo pipefail

main() {
  local name=$1 order=$2 directory=$3 repository=$4 commit=$5 env_file=$6 caddyfile=$7
  local check='import urllib.request; urllib.request.urlopen("http://127.0.0.1:5000/health", timeout=4)'
  [[ $(docker info --format '{{.Swarm.LocalNodeState}}') == active ]] ||
    docker swarm init --advertise-addr 127.0.0.1 >/dev/null
  git clone --quiet "$repository" "$directory"
  printf '%s\n' "$caddyfile" >"$directory.Caddyfile"
  DOCKER_BUILDKIT=1 docker build --quiet --tag "$name:$commit" "$directory" >/dev/null
  docker network create --driver overlay --attachable "$name" >/dev/null
  docker run --detach --name "${name}_db" --network "$name" --restart unless-stopped --env-file "$env_file" \
    postgres:13 >/dev/null
  docker service create --quiet --name "${name}_bot" --network "$name" --endpoint-mode dnsrr --init \
    --env-file "$env_file" --env "POSTGRES_HOST=${name}_db" --no-resolve-image --stop-grace-period 15s \
    --health-cmd "python3 -c '$check'" --health-interval 2s --health-timeout 5s --health-retries 3 --health-start-period 15s \
    --update-order "$order" --update-failure-action rollback --rollback-order "$order" "$name:$commit"
  docker run --detach --name "${name}_proxy" --network "$name" --restart unless-stopped --publish 5000:80 \
    --env "UPSTREAM=tasks.${name}_bot" --volume "$directory.Caddyfile:/etc/caddy/Caddyfile:ro" caddy:2 >/dev/null
}

main "$@"
