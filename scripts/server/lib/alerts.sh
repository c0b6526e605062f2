# shellcheck shell=bash
# The channels of alerts. Their addresses and the bot's token go to curl on standard input, and into no message. Needs
# lib/common.sh, lib/news.sh and `setting`.
# shellcheck disable=SC2034,SC2154 # shared with the script and the other files here

readonly CHANNELS=(telegram webhook)
# Seconds within which a channel must answer.
readonly CHANNEL_SECONDS=15
# Bytes; Telegram's own limit is 4096 characters.
readonly LONGEST_MESSAGE=4000

# The channels that could not be told.
unsent=()

# Tells every channel what is news to it, and notes in `known` what was told: one that fails is told at the next look.
tell_channels() {
  local channel cause message
  for channel in "${CHANNELS[@]}"; do
    if ! has_channel "$channel"; then
      forget_channel "$channel"
      continue
    fi
    find_news "$channel"
    if ((${#news_lines[@]} == 0)); then continue; fi
    printf -v message '%s\n' "$BOT on $HOST" "${news_lines[@]}"
    message=${message%$'\n'}
    if cause=$("tell_$channel" "${message:0:LONGEST_MESSAGE}"); then
      note_told
    else
      unsent+=("$channel")
      say "The alert could not be sent by $(name_of "$channel"): $cause."
    fi
  done
}

has_channel() {
  case $1 in
    telegram) [[ -n ${setting[telegramChat]-} ]] ;;
    webhook) [[ -n ${setting[webhook]-} ]] ;;
  esac
}

name_of() {
  if [[ $1 == telegram ]]; then echo Telegram; else echo "the webhook"; fi
}

# A channel that comes back is told everything that is broken then.
forget_channel() {
  local key
  for key in "${!known[@]}"; do
    if [[ $key == told$'\t'"$1"$'\t'* ]]; then unset 'known[$key]'; fi
  done
}

tell_telegram() {
  local with=${setting[telegramToken]:-$token}
  if [[ -z $with ]]; then
    echo "the bot's token is out of reach"
    return 1
  fi
  {
    option url "${setting[telegramApiUrl]-}/bot$with/sendMessage"
    option data-urlencode "chat_id=${setting[telegramChat]}"
    option data-urlencode "text=$1"
  } | post
}

# The receivers of earlier versions know the checks that have recovered by this name: mended.
tell_webhook() {
  local line level check container text list='' names=''
  for line in "${broken[@]}"; do
    IFS=$'\t' read -r level check container text <<<"$line"
    list+="${list:+,}{\"check\":$(json "$check"),\"level\":\"$level\",\"text\":$(json "$text")"
    if [[ $container != - ]]; then list+=",\"container\":$(json "$container")"; fi
    list+='}'
  done
  for check in "${recovered[@]}"; do names+="${names:+,}$(json "$check")"; done
  {
    option url "${setting[webhook]}"
    option header "content-type: application/json"
    option data "{\"text\":$(json "$1"),\"broken\":[$list],\"mended\":[$names]}"
  } | post
}

# A dead man's switch: the address is called after each look by cron, with /fail where something is critical.
ping_alive() {
  local url=${setting[alertPingUrl]-} end='' line text=''
  if [[ -z $url ]]; then return 0; fi
  if [[ $(worst_level) == critical ]]; then end=/fail; fi
  for line in "${verdicts[@]}"; do
    if [[ $line != ok* ]]; then text+=${line//$'\t'/ }$'\n'; fi
  done
  {
    option url "$url$end"
    option retry 3
    option data-raw "${text:-ok}"
  } | post >/dev/null || say "The ping URL did not answer; see \`alerts.pingUrl\`."
}

# Calls curl with the options on standard input; prints why it failed.
post() {
  local answer=''
  if ! command -v curl >/dev/null; then
    echo "curl is missing on the server; install it there with: apt-get install curl"
    return 1
  fi
  # What is no UTF-8 would be refused as a whole.
  answer=$(iconv -c -f UTF-8 -t UTF-8 | curl -sS -m "$CHANNEL_SECONDS" -o /dev/null -w '\n%{http_code}' --config - 2>&1) || true
  case ${answer##*$'\n'} in
    2??) return 0 ;;
    000)
      answer=${answer%%$'\n'*}
      echo "${answer#curl: (*) }"
      ;;
    *) echo "it answered ${answer##*$'\n'}" ;;
  esac
  return 1
}

# An option of curl's, as its configuration quotes it: option NAME VALUE.
option() {
  local value=${2//\\/\\\\}
  value=${value//\"/\\\"}
  value=${value//$'\n'/\\n}
  printf '%s = "%s"\n' "$1" "${value//[$'\r\t']/ }"
}

# A text as JSON quotes it.
json() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  printf '"%s"' "${text//[[:cntrl:]]/ }"
}
