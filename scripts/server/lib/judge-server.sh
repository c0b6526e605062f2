# shellcheck shell=bash
# The judgement of the server itself: see lib/judge.sh.
# shellcheck disable=SC2154 # shared with the script and the other files here

declare -A fact known

readonly DAY=86400
# Part of the disk, one in so many, below which the free space is a warning.
readonly TIGHT=10
# Seconds by which the clocks may differ; certificates and Telegram tolerate as much.
readonly CLOCK_SECONDS=60
# Days that an image may be behind its updates.
readonly IMAGE_DAYS=30
# How long a process that the kernel had to kill is told of.
readonly KILLED_SECONDS=$DAY

judge_server() {
  judge_disk
  if [[ -n ${fact[docker]} ]]; then judge_memory; fi
  judge_reboot
  judge_time
  if [[ -n ${CALLER_TIME-} ]]; then judge_clock; fi
  judge_cron
  judge_images
  judge_drift
}

judge_disk() {
  local size=${fact[disk.size]} free=${fact[disk.free]} level=ok
  if ((free < BUILD_FREE_MB * 1024 ** 2)); then level=critical; elif ((free < size / TIGHT)); then level=warning; fi
  verdict "$level" disk - "$(bytes_in_words "$free") of $(bytes_in_words "$size") free"
}

judge_certificate() {
  local ends=${fact[certificate.ends]-} days
  if [[ $ends == none ]]; then
    verdict critical certificate "$PROXY" "there is none for $DOMAIN; ./delivery deploy says why, and tries again"
  elif [[ -n $ends ]]; then
    days=$(((ends - now) / DAY))
    if ((days < 1)); then
      verdict critical certificate "$PROXY" "valid for $days days"
    elif ((days < CERTIFICATE_DAYS)); then
      verdict warning certificate "$PROXY" "valid for $days days"
    else
      verdict ok certificate "$PROXY" "valid for $days days"
    fi
  fi
}

# Docker's own note of it is gone when the container starts again; the kernel counts on.
judge_memory() {
  local count='' time='' before=''
  read -r count before time <<<"${known[oom]-}" || true
  if [[ -n ${fact[oom]} && -n $count ]] && ((fact[oom] > count)); then
    before=$((fact[oom] - count)) time=$now
  fi
  if ((${time:-0} > 0 && now - time <= KILLED_SECONDS)); then
    verdict warning memory - "the kernel had to kill $before processes for lack of memory, last seen $(time_in_words "$time")"
  else
    verdict ok memory - "no process was killed for lack of it"
  fi
}

judge_reboot() {
  if [[ -n ${fact[reboot]-} ]]; then
    verdict warning reboot - "is needed since $(time_in_words "${fact[reboot]}")${fact[reboot.for]:+, for ${fact[reboot.for]}}"
  else
    verdict ok reboot - "is not needed"
  fi
}

# Where no service is to set the clock, the machine below may do so, and nothing is known.
judge_time() {
  case ${fact[synchronised]-} in
    *NTPSynchronized=yes*) verdict ok time - "is synchronised" ;;
    *NTP=yes*) verdict warning time - "is not synchronised; see on the server: timedatectl" ;;
  esac
}

judge_clock() {
  local off=$((now - CALLER_TIME)) way='ahead of'
  if ((off < 0)); then off=$((-off)) way=behind; fi
  if ((off > CLOCK_SECONDS)); then
    verdict warning clock - "is $off s $way this machine's"
  else
    verdict ok clock - "agrees with this machine's"
  fi
}

# Each run of cron's leaves the seconds since the boot, which no wrong clock changes; after a boot it gets its time. A
# server of an earlier version has no such file.
judge_cron() {
  local age
  if [[ -z ${fact[cron]-} ]]; then return 0; fi
  age=$((fact[uptime] - fact[cron]))
  if ((age < 0)); then age=${fact[uptime]}; fi
  if ((age > 2 * HEALTH_MINUTES * 60)); then
    verdict critical cron - "cron does not run on the server: no check since $(time_in_words $((now - age))); start it there with: systemctl start cron"
  else
    verdict ok cron - "runs"
  fi
}

judge_images() {
  local image since late=''
  if [[ -z ${fact[images.known]-} ]]; then return 0; fi
  while read -r image since _; do
    if [[ $since =~ ^[0-9]+$ ]] && ((now - since > IMAGE_DAYS * DAY)); then
      late+="${late:+, }$image for $(((now - since) / DAY)) days"
    fi
  done <<<"${fact[images]}"
  if [[ -n $late ]]; then
    verdict warning images - "have had updates: $late; see: ./delivery images"
  else
    verdict ok images - "none has had updates for $IMAGE_DAYS days"
  fi
}

judge_drift() {
  local when
  if [[ -z ${fact[drift]-} ]]; then return 0; fi
  when=$(span_in_words $((now - ${fact[drift.time]-now})))
  if [[ ${fact[drift]} == true ]]; then
    verdict warning drift - "found $when ago; see: ./delivery drift"
  else
    verdict ok drift - "none $when ago"
  fi
}
