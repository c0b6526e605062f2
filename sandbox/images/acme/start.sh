#!/bin/sh
# usage: start.sh; Pebble starts again when it is killed, with what its configuration says then.
pebble-challtestsrv -dnsserver :53 -management :8055 -defaultIPv4 "" -defaultIPv6 "" \
  -http01 "" -https01 "" -tlsalpn01 "" -doh "" &
caddy run --config /etc/caddy/Caddyfile --adapter caddyfile &
# Without Pebble's own traps: pauses before a validation, refused nonces, and validations that are used again.
export PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 PEBBLE_AUTHZREUSE=0
while :; do pebble -config /etc/pebble/pebble.json -dnsserver 127.0.0.1:53; done
