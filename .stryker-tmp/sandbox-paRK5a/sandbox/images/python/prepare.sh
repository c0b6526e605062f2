#!/usr/bin/env bash
# Puts a Python 3.10 of this machine, if it has one, into CONTEXT/python, and the certificates that this machine
# trusts into CONTEXT/certificates.pem. Usage: prepare.sh CONTEXT
set -euo pipefail

context=$1
mkdir -p "$context/python"

bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [[ ! -r $bundle ]]; then
  echo "no certificate bundle at $bundle: install ca-certificates or set SSL_CERT_FILE" >&2
  exit 1
fi
cp "$bundle" "$context/certificates.pem"

candidates=("${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10.*/bin/python3.10)
# Where HOME is another one's, pyenv is still found by PATH, beside the versions that it has installed.
if pyenv=$(type -P pyenv); then
  candidates+=("${pyenv%/bin/pyenv}"/versions/3.10.*/bin/python3.10)
fi
candidates+=("$(type -P python3.10 || true)")

for python in "${candidates[@]}"; do
  prefix=$("$python" -c 'import sys; print(sys.base_prefix)' 2>/dev/null) || continue
  # A distribution's own Python is spread over /usr and cannot be taken along.
  [[ $prefix != /usr ]] || continue
  tar -C "$prefix" -c --exclude=__pycache__ --exclude='*.a' --exclude=test --exclude=tests --exclude=idlelib \
    --exclude=site-packages --exclude=share bin include lib | tar -C "$context/python" -x
  break
done
