# shellcheck shell=bash
# Figures and times for a reader, and times as programs write them.

# A size, in powers of 1024.
bytes_in_words() {
  local count=$1 unit=1 power=0 tenths units=(B KiB MiB GiB TiB)
  while ((count / unit >= 1024 && power < 4)); do unit=$((unit * 1024)) power=$((power + 1)); done
  if ((power < 2)); then
    echo "$(((count + unit / 2) / unit)) ${units[power]}"
  else
    tenths=$(((count * 10 + unit / 2) / unit))
    echo "$((tenths / 10)).$((tenths % 10)) ${units[power]}"
  fi
}

# A span of seconds.
span_in_words() {
  local seconds=$(($1 < 0 ? 0 : $1))
  if ((seconds < 120)); then
    echo "$seconds s"
  elif ((seconds < 7200)); then
    echo "$((seconds / 60)) min"
  elif ((seconds < 172800)); then
    echo "$((seconds / 3600)) h"
  else
    echo "$((seconds / 86400)) days"
  fi
}

# A moment, given in seconds since 1970.
time_in_words() {
  TZ=UTC printf '%(%F %H:%M UTC)T\n' "$1"
}

# Seconds since 1970 of a time as ISO 8601 writes it, in UTC where it names no zone; 0 where it is none.
seconds_of() {
  date -u -d "$1" +%s 2>/dev/null || echo 0
}

# Seconds, with a tenth, since a moment as EPOCHREALTIME gives it.
seconds_since() {
  local tenths=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000))
  echo "$((tenths / 10)).$((tenths % 10))"
}
