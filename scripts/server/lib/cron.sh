# shellcheck shell=bash
# The stack's block in the crontab of the deploy user: each deploy path has one of its own.

cron_begin() {
  echo "# BEGIN backups of $1 (written by the stack; changes are lost)"
}

cron_end() {
  echo "# END backups of $1"
}

# Whole seconds since the boot.
uptime_seconds() {
  local seconds
  read -r seconds _ </proc/uptime
  echo "${seconds%.*}"
}

# Leaves word in a directory that cron runs.
mark_cron() {
  uptime_seconds >"$1/cron"
}

# The deploy paths of all stacks of this user, a line each.
cron_deploy_paths() {
  crontab -l 2>/dev/null | sed -n "s/^$(cron_begin '\(\S*\)')\$/\1/p"
}
