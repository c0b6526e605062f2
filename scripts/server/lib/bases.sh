# shellcheck shell=bash
# The images that the bot's Dockerfile builds on; takes BASE_PULLS, BASE_PULL_HOURS and BASE_PULL_SECONDS.

# The images that a Dockerfile builds on, a line each. A stage of its own is none; an argument counts with its default, and a
# name with another one is left out.
bases_in() {
  awk '
    { sub(/\r$/, "") }
    toupper($1) == "ARG" && !froms {
      for (at = 2; at <= NF; at++) {
        split($at, part, "=")
        if (index($at, "=")) preset[part[1]] = substr($at, index($at, "=") + 1)
        gsub(/["\047]/, "", preset[part[1]])
      }
    }
    toupper($1) == "FROM" {
      froms++
      at = 2
      while ($at ~ /^--/) at++
      image = $at
      for (left = 9; left-- && match(image, /\$[{]?[A-Za-z_][A-Za-z0-9_]*[}]?/);) {
        name = substr(image, RSTART, RLENGTH)
        gsub(/[${}]/, "", name)
        if (preset[name] == "") break
        image = substr(image, 1, RSTART - 1) preset[name] substr(image, RSTART + RLENGTH)
      }
      if (image !~ /[${}]/ && image != "scratch" && !(tolower(image) in stages) && !seen[image]++) print image
      if (toupper($(at + 1)) == "AS") stages[tolower($(at + 2))] = 1
    }' "$1"
}

image_of() {
  docker image inspect --format '{{.Id}}' "$1" 2>/dev/null || true
}

# What BASE_PULLS has of a base image: when it was last asked for, and its digest then.
last_pull() {
  if [[ -f $BASE_PULLS ]]; then awk -v base="$1" '$1 == base { print $2, $3 }' "$BASE_PULLS"; fi
}

# Asks for a base image at its registry, unless that was done within BASE_PULL_HOURS. Docker builds on an image that it
# has here and asks no registry then, so what is pulled stays; the one that it replaces goes.
pull_base() {
  local base=$1 old answer asked='' digest=''
  old=$(image_of "$base")
  read -r asked digest < <(last_pull "$base") || true
  if [[ -n $old && -n $asked ]] && (($(date +%s) - asked < BASE_PULL_HOURS * 3600)); then return 0; fi
  if answer=$(timeout "$BASE_PULL_SECONDS" docker pull "$base" 2>&1); then
    digest=$(sed -n 's/^Digest: //p' <<<"$answer")
    if [[ -n $old && $old != "$(image_of "$base")" ]]; then docker image rm "$old" >/dev/null 2>&1 || true; fi
  elif [[ -z $old ]]; then
    # Docker asks for it itself, and says in the build's log why it cannot have it.
    return 0
  else
    say "the registry of $base does not tell what is newest (${answer##*$'\n'}); building on the one that is here"
  fi
  {
    awk -v base="$base" '$1 != base' "$BASE_PULLS" 2>/dev/null || true
    echo "$base $(date +%s) $digest"
  } >"$BASE_PULLS.new"
  mv "$BASE_PULLS.new" "$BASE_PULLS"
}

# The name of a base image with its digest, where that is known.
with_digest() {
  local digest=''
  read -r _ digest < <(last_pull "$1") || true
  echo "${1%%@*}${digest:+@$digest}"
}
