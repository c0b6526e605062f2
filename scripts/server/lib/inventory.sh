# shellcheck shell=bash
# What there is on the server of a release, to be compared with Pulumi's state.

# Lists it, a line each; takes BOT, DATABASE_CONTAINER, PROXY, COMMIT, REVISION_LABEL, SWAP_LOCK and HOLD_SECONDS:
#   container=NAME ID STATUS REVISION    status: Docker's word, such as running
#                                        revision: the commit in the label that the stack gives the bot, or -
#   image=ID                             the bot's image of COMMIT, where there is one
#   database=VOLUME PGDATA MAJOR         what the database's container mounts, where its data is, and its version by its
#                                        image, or -
list_inventory() {
  # A swap comes to its end by itself, whether or not its update is still there. Until then nothing here lasts.
  if [[ -e $SWAP_LOCK ]]; then flock --shared --wait "$HOLD_SECONDS" "$SWAP_LOCK" true; fi
  # Only the database's environment is looked at: it names no secret, but a file with one.
  local container='container={{slice .Name 1}} {{.Id}} {{.State.Status}} {{or (index .Config.Labels "'$REVISION_LABEL'") "-"}}'
  local volume='{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}}{{end}}{{end}}'
  local data='{{range .Config.Env}}{{if ge (len .) 7}}{{if eq (slice . 0 7) "PGDATA="}}{{slice . 7}}{{end}}{{end}}{{end}}'
  local major='-{{range .Config.Env}}{{if ge (len .) 9}}{{if eq (slice . 0 9) "PG_MAJOR="}}{{slice . 9}}{{end}}{{end}}{{end}}'
  # Docker prints what it finds, each answer at once, and an empty line or nothing for all else.
  {
    docker image inspect --format 'image={{.Id}}' "$BOT:$COMMIT" 2>/dev/null &
    docker container inspect --format \
      "$container{{if eq .Name \"/$DATABASE_CONTAINER\"}}{{println}}database=$volume $data $major{{end}}" \
      "$BOT" "$DATABASE_CONTAINER" "$PROXY" 2>/dev/null || true
    wait
  } | sed '/^$/d; s/^\(database=.* \)-\(.\)/\1\2/'
}
