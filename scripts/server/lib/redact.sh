# shellcheck shell=bash
# What containers and builds say leaves this server without the stack's secrets. Takes BOT, and SECRET_TEXTS: the file with
# the texts to replace, a line each (infra/model/secret-texts.ts).

# Passes standard input on, with `[secret]` in the place of each secret; line by line where FOLLOW is set, which is slow for
# much text. All texts are one pattern, of which sed takes the longest that fits; it never reads its own `[secret]` again.
# They are bytes, as a log may be in any encoding.
redact() {
  LC_ALL=C sed ${FOLLOW:+--unbuffered} -f <(secret_texts | replacing)
}

# No text is in an argument of a program, which every user of this server could see.
secret_texts() {
  if [[ -r $SECRET_TEXTS ]]; then
    cat "$SECRET_TEXTS"
    return 0
  fi
  # An earlier version of the stack has put no file there; the environment of its bot has the most important ones. The
  # database's address has the password as URLs have it.
  docker container inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$BOT" 2>/dev/null |
    sed -nE 's/^(SECRET_KEY|POSTGRES_PASSWORD)=//p; s/^DATABASE_URL=[^:]*:[^:]*:(.*)@.*/\1/p
      s/^TELEGRAM_TOKEN=([0-9]+:)?(.*)/\2/p'
}

# A script for sed from such lines; an empty one from none.
replacing() {
  LC_ALL=C sed -n '/./ { s/[]\/$*.^[]/\\&/g; H }
    $ { x; s/^\n//; s/\n/\\|/g; /./ s/.*/s\/&\/[secret]\/g/p }'
}
