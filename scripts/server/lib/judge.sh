# shellcheck shell=bash
# The judgement: facts in, verdicts out. It asks nothing and changes nothing: `fact` has what is (lib/facts.sh), `known`
# what earlier looks have left (lib/news.sh), `now` the time in seconds, `verdicts` gets a line LEVEL CHECK CONTAINER TEXT
# for each check, with tabs between, and - for no container. Needs lib/words.sh, lib/judge-server.sh, lib/judge-backups.sh.
# shellcheck disable=SC2034,SC2154 # shared with the script and the other files here

declare -A fact known

# Seconds without a successful poll after which a bot counts as deaf; Telegram's longest poll takes 50.
readonly DEAF_SECONDS=120
# Seconds that updates may wait at Telegram; a polling bot takes them at once.
readonly PENDING_SECONDS=120
# A container that Docker has started so often again, and within this time, cannot stay up.
readonly MANY_RESTARTS=5
readonly RESTART_SECONDS=3600

verdicts=()
verdict() {
  verdicts+=("$1"$'\t'"$2"$'\t'"${3:--}"$'\t'"${4//[[:cntrl:]]/ }")
}

# The worst level among the verdicts.
worst_level() {
  local level=ok line
  for line in "${verdicts[@]}"; do
    case $line in
      critical*) level=critical ;;
      warning*) if [[ $level == ok ]]; then level=warning; fi ;;
    esac
  done
  echo "$level"
}

# Everything, the most important first.
judge() {
  local name
  verdicts=()
  if [[ -z ${fact[docker]} ]]; then
    verdict critical docker - "does not answer; start it on the server with: systemctl start docker"
  else
    verdict ok docker - "answers"
    for name in "${containers[@]}"; do judge_container "$name"; done
    judge_health
    judge_page
    judge_database
    judge_poller
    judge_certificate
  fi
  judge_backup
  judge_copies
  judge_tables
  judge_server
}

# What is under way, while the gate is closed for it and not for too long: then a bot or database that is away is no fault.
work_under_way() {
  if [[ -n ${fact[gate]} && -n ${fact[work]} ]] && ((now - fact[gate] <= $(hold_limit))); then echo "${fact[work]}"; fi
}

# Seconds after which the gate opens by itself.
hold_limit() {
  if [[ ${fact[work]} == 'an upgrade' ]]; then echo "$UPGRADE_HOLD_SECONDS"; else echo "$HOLD_SECONDS"; fi
}

# A fault, which is only a warning while the work that explains it is under way: fault CHECK CONTAINER TEXT.
fault() {
  local work
  work=$(work_under_way)
  if [[ -n $work ]]; then
    verdict warning "$1" "$2" "$3; $work is under way"
  else
    verdict critical "$1" "$2" "$3"
  fi
}

judge_container() {
  local name=$1 status=${fact[$1.status]} health=${fact[$1.health]-} again since
  case $status in
    gone) fault "$name" "$name" "is gone; put it back with: ./delivery deploy" ;;
    exited | dead | created) fault "$name" "$name" "has stopped; start it with: $(start_command "$name")" ;;
    running) ;;
    *) fault "$name" "$name" "is $status" ;;
  esac
  if [[ $status != running ]]; then return 0; fi
  again=$(restarts_of "$name")
  if [[ $health == unhealthy ]]; then
    fault "$name" "$name" "runs, but is unhealthy"
  elif ((again >= MANY_RESTARTS)) && ((now - $(seconds_of "${fact[$name.started]}") < RESTART_SECONDS)); then
    verdict critical "$name" "$name" "does not stay up: Docker had to start it again $again times since $(restarts_since "$name")"
  elif [[ ${fact[$name.killed]} == true ]]; then
    verdict warning "$name" "$name" "has run out of memory"
  elif ((again > 0)); then
    verdict warning "$name" "$name" "runs, but Docker had to start it again $again times since $(restarts_since "$name")"
  elif [[ $health == - ]]; then
    verdict ok "$name" "$name" "runs"
  else
    verdict ok "$name" "$name" "runs, $health"
  fi
}

start_command() {
  if [[ $1 == "$BOT" ]]; then echo "./delivery restart"; else echo "docker start $1 (on the server)"; fi
}

# How often Docker has started a container again since the older of the two counts that are known; with none of it, since
# it was made. A container that was started by hand counts from 0 again.
restarts_of() {
  local id='' count=''
  read -r id count _ <<<"${known[restarts$'\t'$1]-}" || true
  if [[ $id != "${fact[$1.id]}" ]] || ((count > fact[$1.restarts])); then count=0; fi
  echo $((fact[$1.restarts] - count))
}

restarts_since() {
  local id='' count='' time=''
  read -r id count time _ <<<"${known[restarts$'\t'$1]-}" || true
  if [[ $id != "${fact[$1.id]}" ]]; then time=$(seconds_of "${fact[$1.created]}"); fi
  time_in_words "$time"
}

judge_health() {
  local status=${fact[health.status]} reasons=${fact[health.reasons]-}
  if ((status == 0)); then
    fault "$HEALTH_PATH" "$BOT" "no answer from the bot"
  elif ((status != 200)); then
    fault "$HEALTH_PATH" "$BOT" "status $status${reasons:+: $reasons}"
  else
    verdict ok "$HEALTH_PATH" "$BOT" "200 in ${fact[health.milliseconds]} ms"
  fi
}

judge_page() {
  local status=${fact[page.status]-0} wanted='200' held work
  # With a domain the page is served on 443, and port 80 redirects there.
  if [[ -n $DOMAIN ]]; then wanted='30[128]'; fi
  if [[ -n ${fact[gate]} ]]; then
    held=$(span_in_words $((now - fact[gate]))) work=$(work_under_way)
    if [[ -n $work ]]; then
      verdict warning page "$PROXY" "requests are held, for $held: $work is under way"
    elif [[ -n ${fact[work]} ]]; then
      verdict critical page "$PROXY" "requests are held, for $held: ${fact[work]} takes too long; see its log, and ./delivery logs"
    else
      verdict critical page "$PROXY" "requests are held, for $held, and nothing is under way that would let them in: a restart or a release has failed; see ./delivery logs, then: ./delivery restart"
    fi
  elif ((status == 0)); then
    fault page "$PROXY" "no answer through the proxy"
  elif [[ ! $status =~ ^$wanted$ ]]; then
    fault page "$PROXY" "status $status through the proxy"
  else
    verdict ok page "$PROXY" "$status through the proxy"
  fi
}

judge_database() {
  if [[ -n ${fact[database]} ]]; then
    verdict ok database "$DATABASE_CONTAINER" "accepts connections"
  else
    fault database "$DATABASE_CONTAINER" "does not accept connections"
  fi
}

# A bot may be healthy and deaf: its web part answers while its poller has stopped.
judge_poller() {
  local age=${fact[poller.seconds]-} since=${known[pending]-} pending
  pending=${fact[pending]-}
  if [[ -n $age ]] && ((age > DEAF_SECONDS)); then
    fault poller "$BOT" "has not got through to Telegram for $age s"
  elif [[ -n $pending && -n $since ]] && ((pending > 0 && now - since > PENDING_SECONDS)); then
    fault poller "$BOT" "leaves $pending updates at Telegram, since $(time_in_words "$since")"
  elif [[ -n $age ]]; then
    verdict ok poller "$BOT" "Telegram answered $age s ago"
  elif [[ -n $pending ]]; then
    verdict ok poller "$BOT" "$pending updates wait at Telegram"
  else
    verdict ok poller "$BOT" "unknown: $HEALTH_PATH does not tell"
  fi
}
