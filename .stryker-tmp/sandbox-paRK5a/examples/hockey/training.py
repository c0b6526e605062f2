"""The rules for a training, shared by the web form, the JSON API and Telegram."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Training:
    """One training: who, what, and how long in minutes (1 to 600)."""

    player: str
    what: str
    minutes: int


def clean(text):
    """The text with single spaces, without what PostgreSQL cannot store (NUL, lone surrogates)."""
    return " ".join(text.encode("utf-8", "replace").decode().replace("\0", " ").split())


def parse(player, what, minutes):
    """A Training of untrusted values; minutes may be a whole number or its digits.

    Raises ValueError with one sentence for the sender.
    """
    return Training(_text("player", player, 60), _text("what", what, 100), _minutes(minutes))


def _text(name, value, longest):
    value = clean(value) if isinstance(value, str) else ""
    if not 1 <= len(value) <= longest:
        raise ValueError(f"{name} must be a text of 1 to {longest} characters.")
    return value


def _minutes(value):
    try:
        minutes = int(value) if isinstance(value, str) else value
    except ValueError:
        minutes = None
    if type(minutes) is not int or not 1 <= minutes <= 600:  # a bool is an int, too
        raise ValueError("minutes must be a whole number from 1 to 600.")
    return minutes
