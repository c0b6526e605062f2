# shellcheck shell=bash
# The memory of containers, as `docker stats` words it. Docker itself watches a container for two seconds before it says
# so; the kernel has the figure at hand. Another place for either directory is for tests.

: "${CGROUPS:=/sys/fs/cgroup}" "${PROCESSES:=/proc}"

# Bytes that a container uses, without the file cache that the kernel would give back at once: used_memory ID PID. Fails
# where nothing here may read them.
used_memory() {
  local group
  for group in "$CGROUPS"/{,memory/}{"system.slice/docker-$1.scope","docker/$1"}; do
    if used_in "$group"; then return 0; fi
  done
  # Docker without root, or with a parent group of its own, puts containers elsewhere.
  while IFS=: read -r _ controllers group; do
    # The first version names what a group controls, the second has one group for everything.
    if [[ -z $controllers ]] && used_in "$CGROUPS$group"; then return 0; fi
    if [[ $controllers == memory ]] && used_in "$CGROUPS/memory$group"; then return 0; fi
  done 2>/dev/null <"$PROCESSES/$2/cgroup"
  return 1
}

# The same of a control group: the second version of the kernel's interface has other names than the first.
used_in() {
  local used cache=0 key value name=inactive_file
  read -r used 2>/dev/null <"$1/memory.current" || {
    name=total_inactive_file
    read -r used 2>/dev/null <"$1/memory.usage_in_bytes" || return 1
  }
  while read -r key value; do
    if [[ $key == "$name" ]]; then cache=$value; fi
  done 2>/dev/null <"$1/memory.stat" || return 1
  echo $((cache < used ? used - cache : used))
}

# Lines NAME USED LIMIT in bytes from standard input, as {"NAME":"35MiB / 512MiB",…}; null where there are none.
memory_in_words() {
  awk '
    function words(bytes, unit) {
      for (unit = 1; bytes >= 1024 && unit < 7; unit++) bytes /= 1024
      return sprintf("%.4g%s", bytes, units[unit])
    }
    BEGIN { split("B KiB MiB GiB TiB PiB EiB", units) }
    { list = list (NR > 1 ? "," : "") "\"" $1 "\":\"" words($2) " / " words($3) "\"" }
    END { print (NR > 0 ? "{" list "}" : "null") }'
}
