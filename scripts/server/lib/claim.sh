# shellcheck shell=bash
# Whose a directory on the server is. A stack that has claimed one has left a line there: its full name, and the id that
# its state knows.

# Fills `owner` and `owner_id`; fails where no stack has claimed the directory: read_claim FILE.
owner='' owner_id=''
read_claim() {
  # shellcheck disable=SC2034 # callers read them
  read -r owner owner_id 2>/dev/null <"$1"
}

# Whether the stack STACK has claimed the directory, with the id STACK_ID where the caller has that at hand: is_own FILE.
is_own() {
  read_claim "$1" && [[ $owner == "${STACK:?}" && $owner_id == "${STACK_ID:-$owner_id}" ]]
}
