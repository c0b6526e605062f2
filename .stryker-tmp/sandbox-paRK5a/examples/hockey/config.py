"""The environment, read once at start. Nothing else reads it."""
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo


class ConfigError(Exception):
    """The environment has faults: `args[0]` names all of them, one a line, without any secret."""


@dataclass(frozen=True)
class Config:
    """The settings; times are in seconds. `telegram_token` is empty when polling is off."""

    database: str
    secret_key: str
    telegram_token: str
    telegram_api_url: str
    port: int
    poll_seconds: int
    deaf_after_seconds: int
    release: str


def load(env):
    """The Config of an environment (a mapping of names to texts). Raises ConfigError."""
    faults = []

    def text(name, default=""):
        return env.get(name, "").strip() or default

    def number(name, default, low, high):
        value = text(name, str(default))
        if re.fullmatch(r"[0-9]{1,9}", value) and low <= int(value) <= high:
            return int(value)
        faults.append(f"{name} is {value!r}: set a whole number from {low} to {high}.")
        return default

    secret_key = text("SECRET_KEY")
    if len(secret_key) < 16:
        faults.append("SECRET_KEY is missing or too short: set a random text of at least 16 characters.")
    token = text("TELEGRAM_TOKEN")
    if token and not re.fullmatch(r"[0-9]+:[A-Za-z0-9_-]+", token):
        faults.append("TELEGRAM_TOKEN is not a bot token: set the one of @BotFather (123:ABC) or none.")
    api_url = text("TELEGRAM_API_URL", "https://api.telegram.org").rstrip("/")
    if not _is_http(api_url):
        faults.append("TELEGRAM_API_URL is not an http:// or https:// address.")
    poll = number("POLL_SECONDS", 25, 1, 50)
    deaf = number("DEAF_AFTER_SECONDS", 120, 2, 86400)
    if deaf <= poll:
        faults.append(f"DEAF_AFTER_SECONDS ({deaf}) must be more than POLL_SECONDS ({poll}).")
    port = number("PORT", 5000, 1, 65535)
    database = _database(text, number, faults)
    if faults:
        raise ConfigError("\n".join(faults))
    return Config(database, secret_key, token, api_url, port, poll, deaf, text("COMMIT_SHA", "unknown"))


def _is_http(url):
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _database(text, number, faults):
    url = text("DATABASE_URL")
    if not url:
        names = ["POSTGRES_HOST", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"]
        missing = [name for name in names if not text(name)]
        if missing:
            faults.append(f"No database: set DATABASE_URL, or else {', '.join(missing)}.")
        host, name, user, password = map(text, names)
        port = number("POSTGRES_PORT", 5432, 1, 65535)
        return make_conninfo(host=host, port=port, dbname=name, user=user, password=password)
    try:
        if not url.startswith(("postgresql://", "postgres://")):
            raise ProgrammingError
        conninfo_to_dict(url)
    except ProgrammingError:  # its message may repeat the password
        faults.append("DATABASE_URL is not an address such as postgresql://user:password@host:5432/name"
                      " (mind that special characters of the password are percent-encoded).")
    return url
