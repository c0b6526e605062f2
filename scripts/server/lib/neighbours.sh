# shellcheck shell=bash
# Other stacks on the same server. They share its user, but no directory: one would overwrite the other's files, restore its
# backups and delete them. Nor do they share a name in Docker. Needs lib/common.sh, lib/claim.sh and lib/cron.sh; takes
# DEPLOY_PATH, BACKUP_PATH, SETTINGS_FILE, CLAIM, BACKUP_CLAIM, STACK, BOT, DATABASE_CONTAINER, PROXY, NETWORK, VOLUME,
# DATABASE and ROLE, and `inventory` (lib/inventory.sh).
# shellcheck disable=SC2154 # shared with check-server.sh and the other files here

# What a settings file says: value_of FILE KEY; nothing where it does not.
value_of() {
  sed -n "s/^$2=//p" "$1" 2>/dev/null || true
}

# What to do where a directory is another stack's: another_one KEY DIRECTORY.
another_one() {
  echo "give this one another with: pulumi config set --path $1 $2-$BOT"
}

# The stack's directories are its own, as far as names tell; whether they are this state's, the caller knows.
check_claims() {
  if read_claim "$CLAIM" && [[ $owner != "$STACK" ]]; then
    refuse "The directory $DEPLOY_PATH on the server is that of the stack $owner; $(another_one server.deployPath "$DEPLOY_PATH")"
  fi
  if read_claim "$BACKUP_CLAIM" && [[ $owner != "$STACK" ]]; then
    refuse "The directory $BACKUP_PATH on the server has the backups of the stack $owner; $(another_one server.backupPath "$BACKUP_PATH")"
  fi
}

# A bot keeps the names with which its data was made. An earlier version has left no claim, so that another name may mean
# another bot.
check_names() {
  local settings=$DEPLOY_PATH/$SETTINGS_FILE bot container database role
  bot=$(value_of "$settings" bot)
  if [[ -n $bot && $bot != "$BOT" ]]; then
    container=$(value_of "$settings" container)
    if ! read_claim "$CLAIM" && [[ $(volume_of "$container") != "$VOLUME" ]]; then
      refuse "The directory $DEPLOY_PATH on the server is that of the bot $bot; put \`name\` back, or, if this is another bot, $(another_one server.deployPath "$DEPLOY_PATH")"
    fi
    if has_container "$container"; then
      refuse "The bot on the server is called $bot, and \`name\` says $BOT; put \`name\` back: its containers and its data go by it."
    fi
  fi
  grep -q "^container=$DATABASE_CONTAINER " <<<"$inventory" || return 0
  database=$(value_of "$settings" database) role=$(value_of "$settings" user)
  [[ ${database:-$DATABASE} == "$DATABASE" ]] ||
    refuse "The database on the server is called $database, and \`database.name\` says $DATABASE; put \`database.name\` back: the data keeps the name that it was made with."
  [[ ${role:-$ROLE} == "$ROLE" ]] ||
    refuse "The database on the server belongs to the role $role, and \`database.user\` says $ROLE; put \`database.user\` back: the data keeps the owner that it was made with."
}

check_neighbours() {
  local settings shared what key own=$DEPLOY_PATH/$SETTINGS_FILE
  local lines=(-e "directory=$BACKUP_PATH" -e "network=$NETWORK" -e "volume=$VOLUME")
  for key in bot container proxy; do
    lines+=(-e "$key=$BOT" -e "$key=$DATABASE_CONTAINER" -e "$key=$PROXY")
  done
  # One look at all of them: there may be many.
  while read -r settings; do
    if [[ $settings == "$own" ]] || ! is_foreign "$settings"; then continue; fi
    shared=$(grep -xF "${lines[@]}" "$settings" | head -n 1)
    case $shared in
      directory=*)
        refuse "The directory $BACKUP_PATH on the server has the backups of $other; $(another_one server.backupPath "$BACKUP_PATH")"
        ;;
      network=* | volume=*) what=${shared%%=*} ;;
      *) what=container ;;
    esac
    refuse "The $what ${shared#*=} on the server is that of $other; give this bot another one with: pulumi config set name NAME"
  done < <(cron_deploy_paths | sed "s|\$|/$SETTINGS_FILE|" | xargs -r grep -lxsF "${lines[@]}")
}

# Whether a settings file is that of another stack, which then is in `other`.
is_foreign() {
  if read_claim "${1%/"$SETTINGS_FILE"}/${CLAIM##*/}"; then
    other="the stack $owner"
    [[ $owner != "$STACK" ]]
  else
    local bot
    bot=$(value_of "$1" bot)
    other="the bot $bot"
    [[ -n $bot && $bot != "$BOT" && $(volume_of "$(value_of "$1" container)") != "$VOLUME" ]]
  fi
}
