# shellcheck shell=bash
# Commands that run beside the script, and questions over TCP.

# Docker that hangs must not have this script hang, too.
readonly DOCKER_SECONDS=30
docker() {
  timeout "$DOCKER_SECONDS" docker "$@"
}

# begin NAME COMMAND...: runs a command beside this script. `finish NAME` waits for it and fills the variable NAME with
# what it has printed; its standard error and exit status are lost.
declare -A under_way=()
begin() {
  local output
  exec {output}< <("${@:2}" 2>/dev/null </dev/null)
  under_way[$1]=$output
}

finish() {
  local printed='' output=${under_way[$1]}
  IFS= read -r -d '' printed <&"$output" || true
  exec {output}<&-
  printf -v "$1" %s "${printed%$'\n'}"
}

# ask ADDRESS PORT PATH SECONDS HOST: the answer to a GET, without what no text has; nothing where there is none. A bot may
# well give an error message of its own as the reason why it is not healthy, with a secret in it. Needs lib/redact.sh.
ask() {
  # shellcheck disable=SC2016
  timeout "$4" bash -c '
    exec 3<>"/dev/tcp/$0/$1"
    printf "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$2" "$3" >&3
    head -c 65536 <&3' "$1" "$2" "$3" "$5" 2>/dev/null | tr -d '\0\r' | redact || true
}

# Whether PostgreSQL at ADDRESS wants a password: it is asked for a session over the network, which goes away then.
# pg_isready does the same, but a process inside a container takes a tenth of a second to start.
wants_password() {
  local length
  # Two numbers of four bytes, and four texts and the end, each with a zero after it.
  printf -v length '\\x%02x' $((4 + 4 + 5 + ${#ROLE} + 1 + 9 + ${#DATABASE} + 1 + 1))
  # dd reads the whole answer: PostgreSQL would log a connection that ends with a part of it unread.
  # shellcheck disable=SC2016
  [[ R == "$(timeout 1 bash -c '
    exec 3<>"/dev/tcp/$0/$1"
    printf "\0\0\0$2\0\3\0\0user\0%s\0database\0%s\0\0" "$3" "$4" >&3
    dd bs=1024 count=1 <&3' "$1" "$DATABASE_PORT" "$length" "$ROLE" "$DATABASE" | head -c 1)" ]]
}
