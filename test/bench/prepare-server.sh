#!/usr/bin/env bash
# Installs what Ansible's Docker modules import on the throwaway server, where it is missing. Runs as root.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
if ! python3 -c 'import requests' 2>/dev/null; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends python3-requests >/dev/null
fi
