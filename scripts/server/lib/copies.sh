# shellcheck shell=bash
# Copies of backups elsewhere. Needs lib/backups.sh and lib/manifest.sh.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# The newest verified backup that is still to be copied; nothing where there is none.
next_to_copy() {
  local name
  learn_manifest
  while read -r name; do
    if [[ ${known_verified[$name]-} == true && ${known_copied[$name]} == wanted ]]; then
      echo "$name"
      return 0
    fi
  done < <(backups)
}

# Copies whatever is still to be copied, the newest first, and ends the script at the first that cannot be. A lock of its own
# keeps two from copying at once: a backup waits for no slow network. The one that has it copies for the other one, too.
copy_missing() {
  local name
  if [[ -z ${setting[remote]-} ]]; then return 0; fi
  exec 8>"${setting[copyLock]}"
  if flock -n 8; then
    copying=yes
    while name=$(next_to_copy) && [[ -n $name ]]; do
      copy_elsewhere "$name"
      record_copy "$name"
      copied=$name
      say "copied $name to ${setting[remote]}"
    done
  fi
  exec 8>&-
  copying=''
}

copy_elsewhere() {
  local name=$1 file=${setting[directory]}/$1 copy
  copy=$file
  command -v rclone >/dev/null || refuse "The backup is verified, but rclone is missing on the server for \`backups.remote\`; install it there with: apt-get install rclone"
  if [[ -n ${setting[recipient]-} ]]; then
    command -v age >/dev/null || refuse "The backup is verified, but age is missing on the server for \`backups.recipient\`; install it there with: apt-get install age"
    copy=${setting[directory]}/.copy.age name=$name.age
    rm -f "$copy"
    age --encrypt --recipient "${setting[recipient]}" --output "$copy" "$file" ||
      refuse "The backup is verified, but age could not encrypt it; see \`backups.recipient\`."
  fi
  rclone copyto --retries 3 "$copy" "${setting[remote]%/}/$name" </dev/null 2>"$scratch/rclone" ||
    refuse "The backup is verified, but could not be copied to ${setting[remote]} ($(tail -n 1 "$scratch/rclone" | redact)); see \`backups.remote\`."
  rm -f "${setting[directory]}/.copy.age"
}
