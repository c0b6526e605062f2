#!/bin/sh
# Docker's health check, run inside the bot's container with what its image has: curl, wget or Python.
#
# usage: health-check.sh URL
set -eu

if command -v curl >/dev/null; then
  exec curl -fsS -m 4 -o /dev/null "$1"
elif command -v wget >/dev/null; then
  exec wget -q -O /dev/null "$1"
fi
# Without the modules for URLs, whose loading would take twice as much processor time as all else here.
exec python3 -ISc '
import socket, sys
host, _, path = sys.argv[1].removeprefix("http://").partition("/")
name, _, port = host.partition(":")
with socket.create_connection((name, int(port)), timeout=4) as connection:
    connection.sendall(f"GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    status = connection.recv(12).split()[1]
sys.exit(status >= b"400")' "$1"
