#!/usr/bin/env bash
# Completes what is typed after ./delivery, in bash and in zsh. Load it with: source <(./delivery completion bash)
if [[ -n ${ZSH_VERSION-} ]]; then
  autoload -U +X compinit bashcompinit
  whence compdef >/dev/null || compinit
  bashcompinit
fi

_delivery() {
  local candidate
  COMPREPLY=()
  # The command is asked as it was typed, from wherever that was.
  while IFS= read -r candidate; do
    COMPREPLY+=("$candidate")
  done < <("${COMP_WORDS[0]/#\~/$HOME}" --complete "${COMP_WORDS[@]:1:$COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _delivery delivery
