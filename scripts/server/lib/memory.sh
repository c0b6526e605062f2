# shellcheck shell=bash
# The memory of containers, as `docker stats` words it. Docker itself watches a container for two seconds before it says
# so; the kernel has the figure at hand. Another place for either directory is for tests.

: "${CGROUPS:=/sys/fs/cgroup}" "${PROCESSES:=/proc}"

# Bytes that a container uses, without the file cache that the kernel would give back at once: used_memory ID PID. Fails
# where nothing here may read them.
used_memory() {
  local group
  while read -r group; do
    if used_in "$group"; then return 0; fi
  done < <(groups_of "$1" "$2")
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

# Where the control group of a container may be, the likeliest first: groups_of ID PID.
groups_of() {
  local controllers group
  printf '%s\n' "$CGROUPS"/{,memory/}{"system.slice/docker-$1.scope","docker/$1"}
  # Docker without root, or with a parent group of its own, puts containers elsewhere.
  while IFS=: read -r _ controllers group; do
    # The first version names what a group controls, the second has one group for everything.
    if [[ -z $controllers ]]; then echo "$CGROUPS$group"; fi
    if [[ $controllers == memory ]]; then echo "$CGROUPS/memory$group"; fi
  done 2>/dev/null <"$PROCESSES/$2/cgroup"
}

# How many processes the kernel has killed for lack of memory since the boot, in the group that a container's group is in:
# killed_beside ID PID. That group outlives the container. Fails where nothing here may read it.
killed_beside() {
  local group key value
  while read -r group; do
    if [[ ! -e $group ]]; then continue; fi
    while read -r key value; do
      if [[ $key == oom_kill ]]; then
        echo "$value"
        return 0
      fi
    done 2>/dev/null <"${group%/*}/memory.events"
  done < <(groups_of "$1" "$2")
  return 1
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
