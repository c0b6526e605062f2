#!/usr/bin/env bash
# Closes the proxy's gate, so that it goes on accepting requests and holds them. Returns when none is in flight any
# more: then the bot can be stopped without a failed request.
#
# usage: env SETTINGS=FILE hold-requests.sh, or with PROXY, GATE, HOLD_SECONDS and DRAIN_SECONDS (lib/gate.sh)
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/arguments.sh"
source "${BASH_SOURCE[0]%/*}/lib/gate.sh"

need PROXY GATE HOLD_SECONDS DRAIN_SECONDS
hold_requests
