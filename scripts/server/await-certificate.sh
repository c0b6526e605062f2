#!/usr/bin/env bash
# Waits until PROXY has a certificate for DOMAIN, which Caddy gets and renews by itself. Where it was refused, or has none
# after CERTIFICATE_SECONDS, this says why and what to do. It does not fail for that: the bot works, and only its page
# cannot be reached. The time goes to the file UNCERTIFIED; another time in there makes the next update call this again.
#
# usage: env SETTINGS=FILE await-certificate.sh
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib/common.sh"
source "${BASH_SOURCE[0]%/*}/lib/arguments.sh"
source "${BASH_SOURCE[0]%/*}/lib/redact.sh"

readonly REFUSED='could not get certificate from issuer' UNANSWERED='HTTP request failed; retrying'

# shellcheck disable=SC2016 # for the shell in the container
has_certificate() {
  docker exec "$PROXY" sh -c 'cat "$1"/caddy/certificates/*/"$0"/"$0".crt' "$DOMAIN" "$CERTIFICATES" >/dev/null 2>&1
}

# fault MESSAGE SINCE: the error of the last such line in Caddy's log, as Caddy words it.
fault() {
  docker logs --since "$2" "$PROXY" 2>&1 | redact |
    sed -nE "s/^.*\"msg\":\"$1\".*\"error\":\"(([^\"\\]|\\\\.)*)\".*$/\1/p" | tail -n 1 | sed -E 's/\\(.)/\1/g'
}

# Caddy waits for minutes after a refusal, and later for hours. A new attempt costs nothing of a page that has no
# certificate, but the issuer counts those that fail: there is none while the domain leads nowhere.
try_again() {
  getent ahosts "$DOMAIN" >/dev/null && docker exec "$PROXY" caddy reload --force --config "$CADDYFILE" >/dev/null 2>&1
}

report() {
  local cause=$1 remedy
  case $cause in
    *:rateLimited*) remedy="wait until it accepts more" ;;
    *:rejectedIdentifier* | *:caa*) remedy="set \`proxy.domain\` to one that it accepts" ;;
    *urn:ietf:params:acme:error:*)
      remedy="have the domain's A record, and AAAA if there is one, lead to this server, and let ports 80 and 443 in"
      ;;
    *)
      remedy="let this server reach Let's Encrypt at acme-v02.api.letsencrypt.org"
      cause="no answer from it: ${cause:-none within $CERTIFICATE_SECONDS s}"
      ;;
  esac
  cause=${cause#HTTP * urn:ietf:params:acme:error:* - }
  say "https://$DOMAIN does not work, since Let's Encrypt has issued no certificate for it yet (${cause%.}); $remedy. Caddy tries again by itself, and each update does so at once."
  date --utc +%FT%T.%NZ >"$UNCERTIFIED"
}

main() {
  need PROXY CADDYFILE CERTIFICATES DOMAIN CERTIFICATE_SECONDS UNCERTIFIED BOT SECRET_TEXTS
  local since=0 refusal deadline=$((SECONDS + CERTIFICATE_SECONDS))
  if has_certificate; then return 0; fi
  if [[ -n $(fault "$REFUSED" 0) ]]; then
    since=${EPOCHREALTIME/,/.}
    try_again || since=0
  fi
  until has_certificate; do
    refusal=$(fault "$REFUSED" "$since")
    if [[ -n $refusal ]]; then
      report "$refusal"
      return 0
    elif ((SECONDS >= deadline)); then
      report "$(fault "$UNANSWERED" "$since")"
      return 0
    fi
    sleep 0.5
  done
}

main
