"""PostgreSQL: waiting for it, migrating it, and every query of the bot."""
import logging
import time
from pathlib import Path

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

log = logging.getLogger("database")
MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x686F636B6579  # "hockey": any number, the same in every release


class DatabaseError(Exception):
    """The database cannot be used; the message is one sentence for the operator."""


def connect(conninfo, wait_seconds):
    """A connection; a database that is still starting gets `wait_seconds`. Raises DatabaseError."""
    deadline = time.monotonic() + wait_seconds
    reason = None
    while True:
        try:
            return psycopg.connect(conninfo, connect_timeout=2)
        except psycopg.OperationalError as error:
            if time.monotonic() >= deadline:
                raise DatabaseError(f"The database gave no connection for {wait_seconds} s: {_line(error)}")
            if reason != _line(error):
                reason = _line(error)
                log.warning("Waiting up to %s s for the database: %s", wait_seconds, reason)
        time.sleep(0.2)


def migrate(connection, folder=MIGRATIONS):
    """Apply the numbered files that the database has not seen, all or none. Returns their names.

    A lock lets a second bot that starts at the same moment wait and find nothing to do. A file that the
    database knows and this release lacks is left alone: that is a rollback. Raises DatabaseError.
    """
    name = "the lock"
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '30s'")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
            connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations"
                               " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())")
            known = {row[0] for row in connection.execute("SELECT name FROM schema_migrations")}
            fresh = [file for file in sorted(folder.glob("*.sql")) if file.name not in known]
            for file in fresh:
                name = file.name
                connection.execute(file.read_bytes())
                connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", [name])
    except psycopg.Error as error:
        raise DatabaseError(f"Migration stopped at {name}, nothing was changed: {_line(error)}")
    return [file.name for file in fresh]


def open_pool(conninfo):
    """A pool that opens in the background and detects a restart of the database."""
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # the caller that needs a connection reports
    return ConnectionPool(
        conninfo, min_size=1, max_size=4, timeout=1.5, open=True,
        reconnect_timeout=1,  # then at the next request, rather than with ever longer pauses
        check=ConnectionPool.check_connection,
        kwargs={"connect_timeout": 2, "row_factory": dict_row,
                "options": "-c statement_timeout=10s -c timezone=UTC"},
    )


def _line(error):
    return " ".join(str(error).split())


def ping(connection):
    """Check that the database answers."""
    connection.execute("SELECT 1")


def add_training(connection, training, sender_id=None, update_id=None):
    """Store a training and return its row."""
    return connection.execute(
        "INSERT INTO trainings (player, what, minutes, sender_id, update_id) VALUES (%s, %s, %s, %s, %s)"
        " RETURNING id, player, what, minutes, trained_at",
        [training.player, training.what, training.minutes, sender_id, update_id],
    ).fetchone()


def latest_trainings(connection, limit=50):
    """The latest trainings, newest first."""
    return connection.execute(
        "SELECT id, player, what, minutes, trained_at FROM trainings ORDER BY id DESC LIMIT %s", [limit],
    ).fetchall()


def totals(connection, sender_id=None):
    """The number of trainings and minutes, of all users or of one Telegram user."""
    return connection.execute(
        "SELECT count(*) AS trainings, coalesce(sum(minutes), 0) AS minutes FROM trainings"
        " WHERE %(sender)s::bigint IS NULL OR sender_id = %(sender)s", {"sender": sender_id},
    ).fetchone()


def daily_totals(connection, limit=14):
    """The summary of the latest days with a training, newest first."""
    return connection.execute(
        "SELECT day, trainings, minutes FROM daily_totals ORDER BY day DESC LIMIT %s", [limit],
    ).fetchall()


def refresh_daily_totals(connection):
    """Bring the summary up to date."""
    connection.execute(
        "INSERT INTO daily_totals (day, trainings, minutes)"
        " SELECT (trained_at AT TIME ZONE 'UTC')::date, count(*), sum(minutes) FROM trainings GROUP BY 1"
        " ON CONFLICT (day) DO UPDATE SET trainings = excluded.trainings, minutes = excluded.minutes")


def add_update(connection, update_id, chat_id, sender_id, player, text):
    """Store an update of Telegram. False if it is stored already."""
    return connection.execute(
        "INSERT INTO updates (update_id, chat_id, sender_id, player, text) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (update_id) DO NOTHING", [update_id, chat_id, sender_id, player, text],
    ).rowcount == 1


def set_reply(connection, update_id, reply):
    """Store the reply to an update."""
    connection.execute("UPDATE updates SET reply = %s WHERE update_id = %s", [reply, update_id])


def unsent_reply(connection, update_id):
    """The unsent reply to an update, or None."""
    row = connection.execute(
        "SELECT reply FROM updates WHERE update_id = %s AND replied_at IS NULL", [update_id]).fetchone()
    return row and row["reply"]


def mark_replied(connection, update_id):
    """Mark the reply to an update as sent."""
    connection.execute("UPDATE updates SET replied_at = now() WHERE update_id = %s", [update_id])
