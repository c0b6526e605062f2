# shellcheck shell=bash
# What the server itself says, as facts: disk, clock, boot, cron, and the files that commands leave. Needs lib/words.sh
# and lib/cron.sh.
# shellcheck disable=SC2034,SC2154 # shared with the script and the other files here

readonly REBOOT_REQUIRED=/var/run/reboot-required

# Of the file system that a directory is on, which this user may not be able to read, in bytes.
learn_disk() {
  local directory=$1 disk
  while ! disk=$(df -B1 --output=size,avail "$directory" 2>/dev/null); do directory=$(dirname "$directory"); done
  read -r 'fact[disk.size]' 'fact[disk.free]' <<<"$(tail -n 1 <<<"$disk")"
}

learn_system() {
  local load text
  read -r -d '' load </proc/loadavg || true
  fact[load]=${load% * *}
  fact[uptime]=$(uptime_seconds)
  if [[ -e $REBOOT_REQUIRED ]]; then
    fact[reboot]=$(stat -c %Y "$REBOOT_REQUIRED")
    if [[ -r $REBOOT_REQUIRED.pkgs ]]; then fact[reboot.for]=$(sort -u "$REBOOT_REQUIRED.pkgs" | head -n 3 | paste -sd ' '); fi
  fi
  if [[ -s $HEALTH_DIRECTORY/cron ]]; then fact[cron]=$(<"$HEALTH_DIRECTORY/cron"); fi
  if [[ -s $DRIFT ]]; then
    text=$(<"$DRIFT")
    if [[ $text =~ \"time\":\ *\"([^\"]*)\" ]]; then fact[drift.time]=$(seconds_of "${BASH_REMATCH[1]}"); fi
    if [[ $text =~ \"drifted\":\ *(true|false) ]]; then fact[drift]=${BASH_REMATCH[1]}; fi
  fi
  if [[ -r $IMAGE_UPDATES ]]; then fact[images]=$(<"$IMAGE_UPDATES") fact[images.known]=yes; fi
}

# NTP=yes|no and NTPSynchronized=yes|no: whether a service sets the clock, and whether it is set; nothing where systemd
# cannot tell.
synchronisation() {
  timeout 5 timedatectl show --property NTP --property NTPSynchronized
}

# When the certificate of the page ends, of which there may be several: the newest file counts. `none` without one.
certificate_end() {
  local text
  if [[ -z $DOMAIN ]]; then return 0; fi
  # shellcheck disable=SC2016 # for the shell in the container
  text=$(docker exec "$PROXY" sh -c 'cat "$(ls -t "$1"/caddy/certificates/*/"$0"/"$0".crt | head -n 1)"' "$DOMAIN" "$CERTIFICATES") || text=''
  if [[ -z $text ]]; then
    if is_running "$PROXY"; then echo none; fi
  elif command -v openssl >/dev/null; then
    text=$(openssl x509 -noout -enddate <<<"$text") && date -d "${text#notAfter=}" +%s
  fi
}
