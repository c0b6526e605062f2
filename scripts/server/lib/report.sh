# shellcheck shell=bash
# The facts that the status shows, as JSON. All of them are names, numbers and times: nothing needs escaping.
# shellcheck disable=SC2154 # shared with the script and the other files here

declare -A fact

container_json() {
  if [[ ${fact[$1.status]-gone} == gone ]]; then
    printf '{"name":"%s","status":"gone"}' "$1"
  else
    printf '{"name":"%s","status":"%s","health":"%s","started":"%s","created":"%s","restarts":%s,"outOfMemory":%s,"commit":"%s","image":"%s","memoryLimit":%s}' \
      "$1" "${fact[$1.status]}" "$(filled "$1.health")" "${fact[$1.started]}" "${fact[$1.created]}" "${fact[$1.restarts]}" \
      "${fact[$1.killed]}" "$(filled "$1.commit")" "${fact[$1.image]}" "${fact[$1.limit]}"
  fi
}

# A fact, empty where - stands for that.
filled() {
  if [[ ${fact[$1]-} != - ]]; then echo "${fact[$1]-}"; fi
}

backup_json() {
  if [[ -z ${fact[$1.file]-} ]]; then
    echo null
  else
    printf '{"file":"%s","time":"%s","bytes":%s,"verified":%s}' \
      "${fact[$1.file]}" "${fact[$1.iso]}" "${fact[$1.bytes]}" "${fact[$1.verified]}"
  fi
}

report() {
  local name list=''
  for name in "${containers[@]}"; do list+="${list:+,}$(container_json "$name")"; done
  printf '{"clock":%s,"timeZone":"%s","containers":[%s],"memory":%s,"databaseReady":%s,"gateClosed":%s,' \
    "$now" "$(time_zone)" "$list" "${fact[memory]:-null}" "$(bool "${fact[database]-}")" "$(bool "${fact[gate]-}")"
  printf '"healthMilliseconds":%s,"disk":{"size":%s,"free":%s},"load":"%s","backup":%s,"verifiedBackup":%s}\n' \
    "${fact[health.milliseconds]-0}" "${fact[disk.size]}" "${fact[disk.free]}" "${fact[load]}" \
    "$(backup_json newest)" "$(backup_json verified)"
}

bool() {
  if [[ -n $1 ]]; then echo true; else echo false; fi
}
