#!/usr/bin/env bash
# Gives the throwaway server what the other flows need there: docker-compose, and what Ansible's Docker modules import.
# Runs as root.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends docker-compose python3-requests >/dev/null
