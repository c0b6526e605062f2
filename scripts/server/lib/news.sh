# shellcheck shell=bash
# What is news to a channel: each fault is told once and its end once, however many machines look. A critical one is told
# at once, a warning when it has lasted for WARNING_HOURS. Only checks that this look has made count: its `verdicts`.
# Needs lib/words.sh and lib/known.sh.
# shellcheck disable=SC2034,SC2154 # shared with the script and the other files here

declare -A known

# The verdicts that are news, and the names of checks that have recovered; a line for a reader of each.
broken=() recovered=() news_lines=()
# What the channel knows once it was told: `told CHANNEL CHECK`, empty for what it may forget.
declare -A next=()

# Fills these for a channel: find_news CHANNEL. `known` must be up to date (remember_verdicts).
find_news() {
  local line level check text key alarm since told told_since
  broken=() recovered=() news_lines=() next=()
  for line in "${verdicts[@]}"; do
    IFS=$'\t' read -r level check _ text <<<"$line"
    key=told$'\t'$1$'\t'$check
    read -r since _ <<<"${known[bad$'\t'$check]-$now}"
    read -r told told_since <<<"${known[$key]-}" || true
    alarm=$(alarm_of "$level" "$since")
    if [[ -n $alarm && $told != "$alarm" && $told != critical ]]; then
      broken+=("$line") next[$key]="$alarm $since"
      news_lines+=("$(word_of "$alarm"): $check $text (since $(time_in_words "$since"))")
    elif [[ -z $alarm && -n $told ]]; then
      recovered+=("$check") next[$key]=''
      news_lines+=("recovered: $check, after $(span_in_words $((now - told_since))): $text")
    fi
  done
}

# The level at which a verdict is told; nothing where it is not yet: alarm_of LEVEL SINCE.
alarm_of() {
  if [[ $1 == critical ]]; then
    echo critical
  elif [[ $1 == warning ]] && ((now - $2 >= WARNING_HOURS * 3600)); then
    echo warning
  fi
}

word_of() {
  if [[ $1 == critical ]]; then echo broken; else echo warning; fi
}

# The channel has been told.
note_told() {
  local key
  for key in "${!next[@]}"; do
    if [[ -n ${next[$key]} ]]; then known[$key]=${next[$key]}; else unset 'known[$key]'; fi
  done
}
