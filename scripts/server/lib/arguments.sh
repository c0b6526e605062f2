# shellcheck shell=bash
# Arguments by name for scripts that are installed, and may be uploaded too.

# The key of a NAME in the settings file, in `key`.
key_of() {
  key=${1,,}
  while [[ $key =~ ^(.*)_(.)(.*)$ ]]; do key=${BASH_REMATCH[1]}${BASH_REMATCH[2]^}${BASH_REMATCH[3]}; done
}

# take NAME...: gives each NAME its value, which may be empty. Where the caller names the stack's settings file in
# SETTINGS, its line `name=` counts (`someName=` for SOME_NAME); otherwise the caller has given the value itself.
take() {
  local name key
  local -A setting=()
  if [[ -n ${SETTINGS-} ]]; then load_settings "$SETTINGS"; fi
  for name in "$@"; do
    key_of "$name"
    if [[ -v setting[$key] ]]; then printf -v "$name" %s "${setting[$key]}"; else : "${!name=}"; fi
  done
}

# need NAME...: the same, but an empty value ends the script.
need() {
  local name key
  take "$@"
  for name in "$@"; do
    key_of "$name"
    [[ -n ${!name-} ]] ||
      refuse "$(basename "$0") needs $name${SETTINGS:+, and $SETTINGS has no $key; run \`pulumi up\`, which writes it anew}."
  done
}
