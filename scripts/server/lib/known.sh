# shellcheck shell=bash
# What health checks remember from one look to the next, in a file of lines KEY VALUE with a tab before the value:
#   seen MICROSECONDS             when the look began that wrote the file
#   bad CHECK: SINCE SEEN         a check that is not well, since when, and when it was last made
#   told CHANNEL CHECK: LEVEL SINCE   what a channel was told of it
#   restarts CONTAINER: ID COUNT TIME COUNT TIME   two counts of its restarts, the older one first
#   oom: COUNT KILLED TIME        the kernel's count of processes it had to kill, the last increase and when it was seen
#   pending: SINCE                since when updates wait at Telegram
# Needs lib/words.sh.
# shellcheck disable=SC2154 # shared with the script and the other files here

# The older count of restarts is at least this old, once it can be.
readonly COUNT_SECONDS=3600
# A check that is not made any more, of an accessory that is gone for instance, is forgotten after this.
readonly FORGET_SECONDS=$((7 * 86400))

declare -A fact known=()

load_known() {
  local line
  known=()
  if [[ -r $HEALTH_DIRECTORY/known ]]; then
    while IFS= read -r line; do
      if [[ $line == *?$'\t'* ]]; then known[${line%$'\t'*}]=${line##*$'\t'}; fi
    done <"$HEALTH_DIRECTORY/known"
  elif [[ -s $HEALTH ]]; then
    load_earlier "$(<"$HEALTH")"
  fi
}

# An earlier version kept {"failing":{"CHECK":"TIME",…},"pendingSince":"TIME"}, and had told every channel.
load_earlier() {
  local text=$1 check since channel
  while [[ $text =~ \"([^\"]+)\":\"(20[^\"]+)\" ]]; do
    text=${text#*"${BASH_REMATCH[0]}"}
    check=${BASH_REMATCH[1]} since=$(seconds_of "${BASH_REMATCH[2]}")
    if [[ $check == pendingSince ]]; then
      known[pending]=$since
    else
      known[bad$'\t'$check]="$since $now"
      for channel in "${CHANNELS[@]}"; do known[told$'\t'$channel$'\t'$check]="critical $since"; done
    fi
  done
}

save_known() {
  local key
  for key in "${!known[@]}"; do printf '%s\t%s\n' "$key" "${known[$key]}"; done | sort >"$HEALTH_DIRECTORY/known.new" &&
    mv -f "$HEALTH_DIRECTORY/known.new" "$HEALTH_DIRECTORY/known"
}

# Counts and times of this look for the next ones.
remember_facts() {
  local name count='' killed='' time=''
  if [[ -z ${fact[docker]} ]]; then return 0; fi
  for name in "${containers[@]}"; do remember_restarts "$name"; done
  read -r count killed time <<<"${known[oom]-}" || true
  if [[ -n ${fact[oom]} ]]; then
    if [[ -n $count ]] && ((fact[oom] > count)); then killed=$((fact[oom] - count)) time=$now; fi
    known[oom]="${fact[oom]} ${killed:-0} ${time:-0}"
  fi
  if [[ ${fact[pending]-} == 0 ]]; then
    unset 'known[pending]'
  elif [[ -n ${fact[pending]-} ]]; then
    known[pending]=${known[pending]-$now}
  fi
}

remember_restarts() {
  local key=restarts$'\t'$1 id='' older='' older_time='' newer='' newer_time='' count=${fact[$1.restarts]-}
  if [[ -z $count ]]; then return 0; fi
  read -r id older older_time newer newer_time <<<"${known[$key]-}" || true
  if [[ $id != "${fact[$1.id]}" ]] || ((newer > count)); then
    older=0 older_time=$(seconds_of "${fact[$1.created]}") newer=$count newer_time=$now
  elif ((now - newer_time >= COUNT_SECONDS)); then
    older=$newer older_time=$newer_time newer=$count newer_time=$now
  fi
  known[$key]="${fact[$1.id]} $older $older_time $newer $newer_time"
}

# Since when each check is not well: `known` as the verdicts change it.
remember_verdicts() {
  local line level check key since seen
  for line in "${verdicts[@]}"; do
    IFS=$'\t' read -r level check _ <<<"$line"
    key=bad$'\t'$check
    if [[ $level == ok ]]; then
      unset 'known[$key]'
    else
      read -r since _ <<<"${known[$key]-$now}"
      known[$key]="$since $now"
    fi
  done
  for key in "${!known[@]}"; do
    if [[ $key != bad$'\t'* ]]; then continue; fi
    read -r _ seen <<<"${known[$key]}"
    if ((now - seen > FORGET_SECONDS)); then forget "${key#*$'\t'}"; fi
  done
}

forget() {
  local key
  for key in "bad"$'\t'"$1" "${CHANNELS[@]/%/$'\t'$1}"; do
    if [[ $key != bad* ]]; then key=told$'\t'$key; fi
    unset 'known[$key]'
  done
}
