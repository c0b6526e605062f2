# Fits a dump by pg_dump to the roles that are here, with role=ROLE, superuser=NAME and known="NAME...", the latter two of
# the cluster that it is loaded into: what belongs to a role that is not here becomes ROLE's, and rights of such a role are
# left out. What only a superuser may own becomes the superuser's. Data, and texts in statements, stay as they are.

BEGIN {
  count = split(known, names, " ")
  for (i = 1; i <= count; i++) is_known[names[i]] = 1
  inside = ""
}

copying {
  print
  if ($0 == "\\.") copying = 0
  next
}

# pg_dump begins each statement on a line of its own, and writes these on one.
inside == "" && /^COPY .* FROM stdin;$/ { copying = 1 }
inside == "" && /^ALTER .* OWNER TO [^ ]+;$/ {
  at = last(" OWNER TO ")
  owner = name(substr($0, at))
  if (/^ALTER (EVENT TRIGGER|FOREIGN DATA WRAPPER|PUBLICATION|SUBSCRIPTION) /) {
    if (owner != superuser) next
  } else if (!is_known[owner]) {
    $0 = substr($0, 1, at - 1) "\"" role "\";"
  }
}
inside == "" && /^ALTER DEFAULT PRIVILEGES FOR ROLE [^ ]+ / && !is_known[name($6)] { next }
inside == "" && /^(GRANT|REVOKE|ALTER DEFAULT PRIVILEGES) .* (TO|FROM) [^ ]+( WITH GRANT OPTION)?;$/ {
  line = $0
  sub(/ WITH GRANT OPTION;$/, ";")
  grantee = name($NF)
  $0 = line
  if (grantee != "PUBLIC" && !is_known[grantee]) next
}

{
  print
  skim($0)
}

# Where the text after the last occurrence of a text in this line begins.
function last(text,    at, next_at) {
  at = 0
  while ((next_at = index(substr($0, at + 1), text)) > 0) at += next_at
  return at + length(text)
}

# A role's name as psql reads it.
function name(word) {
  sub(/;$/, "", word)
  if (word ~ /^".*"$/) {
    word = substr(word, 2, length(word) - 2)
    gsub(/""/, "\"", word)
  }
  return word
}

# Follows what a line opens and leaves open, in `inside`: a text ('), one with escapes (E), a name ("), or a body ($tag$).
function skim(line,    before) {
  while (line != "") {
    if (inside == "E") {
      if (!match(line, /\\.|''|'/)) return
      if (substr(line, RSTART, RLENGTH) == "'") inside = ""
    } else if (inside != "") {
      if ((RSTART = index(line, inside)) == 0) return
      RLENGTH = length(inside)
      inside = ""
    } else {
      if (!match(line, /--|'|"|\$([A-Za-z_\200-\377][A-Za-z0-9_\200-\377]*)?\$/)) return
      inside = substr(line, RSTART, RLENGTH)
      if (inside == "--") {
        inside = ""
        return
      }
      before = " " substr(line, 1, RSTART - 1)
      if (inside == "'" && before ~ /[^A-Za-z0-9_$][Ee]$/) inside = "E"
      # A dollar in the middle of a name.
      if (inside ~ /^\$/ && before ~ /[A-Za-z0-9_\200-\377]$/) {
        inside = ""
        RLENGTH = 1
      }
    }
    line = substr(line, RSTART + RLENGTH)
  }
}
