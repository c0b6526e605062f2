# shellcheck shell=bash
# Logs of what cron calls.

# Beyond this size a log is put aside, in place of the one before it.
readonly LOG_BYTES=1048576

# All output goes to a file from now on; beyond a megabyte that becomes FILE.1: open_log FILE.
open_log() {
  if [[ -f $1 ]] && (($(stat -c %s "$1") > LOG_BYTES)); then mv -f "$1" "$1.1"; fi
  exec >>"$1" 2>&1
  echo "== $(date -u +%FT%TZ)"
}
