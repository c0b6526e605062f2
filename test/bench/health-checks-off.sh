#!/usr/bin/env bash
# Takes the health checks out of all containers of the server, which stay the same otherwise. Docker has no command for it; it
# reads these files when it starts. Runs as root.
set -euo pipefail

systemctl stop docker.socket docker.service
python3 -c '
import json, sys
for name in sys.argv[1:]:
    with open(name) as file:
        container = json.load(file)
    container["Config"]["Healthcheck"] = {"Test": ["NONE"]}
    with open(name, "w") as file:
        json.dump(container, file)' /var/lib/docker/containers/*/config.v2.json
systemctl start docker.service docker.socket
