#!/usr/bin/env bash
# Takes the health checks out of all containers of the server, which stay the same otherwise. Docker has no command for it; it
# reads these files when it starts. Runs as root.
set -euo pipefail

systemctl stop docker.socket docker.service
sed -i 's/"Healthcheck":{[^}]*}/"Healthcheck":{"Test":["NONE"]}/' /var/lib/docker/containers/*/config.v2.json
systemctl start docker.service docker.socket
