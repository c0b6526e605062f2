"""The bot's health. Answers within about 2 s, even if the database does not."""
import queue
import threading
import time

import psycopg

import database

DATABASE_SECONDS = 1.8


class Pulse:
    """When something last succeeded. Before the first success, time counts from the start of the process."""

    def __init__(self):
        self._at = time.monotonic()
        self.ever = False
        self.error = None

    def beat(self):
        """Record a success."""
        self._at, self.ever, self.error = time.monotonic(), True, None

    def age(self):
        """Seconds since the last success."""
        return round(time.monotonic() - self._at, 1)


def report(config, pool, poller, totals):
    """(healthy, the answer of /health as a dict). `poller` is None when polling is off."""
    parts = {
        "database": _database(pool),
        "poller": _poller(poller, config.deaf_after_seconds),
        "daily_totals": _worker(totals, "the daily totals", 3 * totals.every_seconds),
    }
    reasons = [part["reason"] for part in parts.values() if "reason" in part]
    status = "unhealthy" if reasons else "ok"
    return not reasons, {"status": status, "reasons": reasons, "release": config.release, **parts}


def _database(pool):
    # A frozen server does not answer and does not time out either, so the query runs in its own thread. The
    # size of the pool limits how many can get stuck.
    answer = queue.SimpleQueue()

    def ask():
        begin = time.monotonic()
        try:
            with pool.connection(timeout=DATABASE_SECONDS - 0.3) as connection:
                database.ping(connection)
            answer.put({"ok": True, "latency_ms": round((time.monotonic() - begin) * 1000, 1)})
        except psycopg.Error as error:
            answer.put({"ok": False, "reason": f"database: {error}"})

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.get(timeout=DATABASE_SECONDS)
    except queue.Empty:
        return {"ok": False, "reason": f"database: no answer for {DATABASE_SECONDS} s"}


def _poller(poller, deaf_after_seconds):
    if poller is None:
        return {"ok": True, "polling": "off: TELEGRAM_TOKEN is not set"}
    return {"polling": "on", **_worker(poller, "the poller", deaf_after_seconds)}


def _worker(worker, name, limit):
    age, alive = worker.pulse.age(), worker.is_alive()
    part = {"ok": alive and age <= limit, "alive": alive, "ever": worker.pulse.ever,
            "seconds_since_success": age}
    if not part["ok"]:
        silence = f"{name} has not succeeded for {age:.0f} s" if alive else f"{name} has ended"
        part["reason"] = silence + (f": {worker.pulse.error}" if worker.pulse.error else "")
    return part
