# shellcheck shell=bash
# Arguments by name for scripts that are installed, and may be uploaded too.

# need NAME...: gives each NAME its value, or ends the script. Where the caller names the stack's settings file in
# SETTINGS, its line `name=` counts (`someName=` for SOME_NAME); otherwise the caller has given the value itself.
need() {
  local name key
  local -A setting=()
  if [[ -n ${SETTINGS-} ]]; then load_settings "$SETTINGS"; fi
  for name in "$@"; do
    key=${name,,}
    while [[ $key =~ ^(.*)_(.)(.*)$ ]]; do key=${BASH_REMATCH[1]}${BASH_REMATCH[2]^}${BASH_REMATCH[3]}; done
    if [[ -v setting[$key] ]]; then printf -v "$name" %s "${setting[$key]}"; fi
    [[ -n ${!name-} ]] ||
      refuse "$(basename "$0") needs $name${SETTINGS:+, and $SETTINGS has no $key; run \`pulumi up\`, which writes it anew}."
  done
}
