# shellcheck shell=bash
# What the manifest says of the backups, as facts. Needs lib/words.sh.
# shellcheck disable=SC2034,SC2154 # shared with the script and the other files here

# Lines KIND TIME FILE BYTES VERIFIED COPIED TEXT of the manifest, where a crash has not cut a line off; the last line of
# a file counts. Those from before releases are no part of the schedule, and count for the rows alone. The kinds: the
# newest backup, the newest verified one, the newest that is to be copied elsewhere, the newest that was copied, and the
# newest that has lost rows.
read_manifest() {
  [[ ! -r $BACKUP_MANIFEST ]] || LC_ALL=C awk '
    function text(key, found) {
      if (!match($0, "\"" key "\":\"[^\"]*\"")) return ""
      found = substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 5)
      gsub(/[\t ]/, (key == "shrunk") ? " " : "", found)
      return found
    }
    function show(kind, file) { if (file != "") print kind "\t" time[file] "\t" file "\t" bytes[file] "\t" verified[file] "\t" copied[file] "\t" shrunk[file] }
    function newer(file, than) { return than == "" || time[file] >= time[than] }
    /^[{]"file":"[^"]*",.*[}]$/ {
      file = text("file"); time[file] = text("time")
      bytes[file] = match($0, /"bytes":[0-9]+/) ? substr($0, RSTART + 8, RLENGTH - 8) : 0
      verified[file] = /"verified":true,/ ? "true" : "false"
      release[file] = /"for":"release",/
      copied[file] = text("copied") == "" ? "-" : text("copied")
      wanted[file] = verified[file] == "true" && (/"copy":"wanted"/ || copied[file] != "-")
      shrunk[file] = text("shrunk") == "" ? "-" : text("shrunk")
    }
    END {
      for (file in time) {
        if (shrunk[file] != "-" && newer(file, less)) less = file
        if (release[file]) continue
        if (newer(file, last)) last = file
        if (verified[file] == "true" && newer(file, good)) good = file
        if (wanted[file] && newer(file, due)) due = file
        if (copied[file] != "-" && newer(file, away)) away = file
      }
      show("newest", last); show("verified", good); show("due", due); show("copied", away); show("shrunk", less)
    }' "$BACKUP_MANIFEST"
}

learn_backups() {
  local kind time file bytes verified copied text
  while IFS=$'\t' read -r kind time file bytes verified copied text; do
    fact[$kind.file]=$file fact[$kind.bytes]=$bytes fact[$kind.verified]=$verified fact[$kind.text]=$text
    fact[$kind.iso]=$time fact[$kind.time]=$(seconds_of "$time")
    if [[ $copied != - ]]; then fact[$kind.copied]=$(seconds_of "$copied"); fi
  done
}
