#!/bin/sh
# Inside the image: makes the copied Python the image's own, or takes Debian's where there is none that runs.
set -eu

ldconfig
if /usr/local/bin/python3.10 -c 'import ctypes, sqlite3, ssl, zlib'; then
  cd /usr/local/bin
  # What is left in bin/ points to the place where this Python was built.
  find . -type f ! -name 'python3.10' -delete
  ln -sf python3.10 python3
  ln -sf python3.10 python
  python3.10 -m ensurepip --default-pip
else
  rm -rf /usr/local/lib/python3.10 /usr/local/bin/python*
  apt-get update
  apt-get install -y --no-install-recommends python3 python3-pip python3-venv
  rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED
  ln -s /usr/bin/python3 /usr/local/bin/python
fi
python -m pip --version
