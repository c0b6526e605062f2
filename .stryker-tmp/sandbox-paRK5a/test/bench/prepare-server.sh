#!/usr/bin/env bash
# Installs what the other flows need on the throwaway server: docker-compose, and the imports of Ansible's Docker modules.
# Runs as root.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends docker-compose python3-requests >/dev/null
