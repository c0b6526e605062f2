"""The background task: keeps the summary of the days up to date."""
import logging
import threading

import psycopg

import database
from health import Pulse

log = logging.getLogger("tasks")


class DailyTotals(threading.Thread):
    """Refreshes the table daily_totals, at once and then every `every_seconds`."""

    def __init__(self, pool, every_seconds=60):
        super().__init__(name="daily-totals", daemon=True)
        self.pulse = Pulse()
        self.every_seconds = every_seconds
        self._pool = pool
        self._stopping = threading.Event()

    def run(self):
        """The thread; ends after `stop`."""
        while not self._stopping.is_set():
            try:
                with self._pool.connection() as connection:
                    database.refresh_daily_totals(connection)
                self.pulse.beat()
            except psycopg.Error as error:
                self.pulse.error = str(error)
                log.warning("The daily totals were not refreshed: %s", error)
            self._stopping.wait(self.every_seconds)

    def stop(self):
        """Ask the thread to end; returns at once."""
        self._stopping.set()
