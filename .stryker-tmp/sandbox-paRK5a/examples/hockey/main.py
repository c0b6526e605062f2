"""Starts the bot and stops it. Exit status: 0 after SIGTERM, 1 failure, 2 faults in the environment."""
import logging
import os
import signal
import sys
import threading

DATABASE_WAIT_SECONDS = 60
# Longer than a statement may take (10 s), shorter than the grace that a container gets (20 to 30 s).
REQUEST_SECONDS = 15
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}

log = logging.getLogger("main")


def main():
    # Before the imports, which take time: process 1 of a container has no default action for SIGTERM.
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))
    import config
    import database

    try:
        settings = config.load(os.environ)
    except config.ConfigError as error:
        print(f"The bot cannot start, the environment has faults:\n{error}", file=sys.stderr)
        return 2
    set_up_log(settings.telegram_token)
    try:
        with database.connect(settings.database, DATABASE_WAIT_SECONDS) as connection:
            applied = database.migrate(connection)
        log.info("Migrations applied: %s", ", ".join(applied) or "none, the database is up to date")
        return serve(settings)
    except (database.DatabaseError, OSError) as error:
        log.error("The bot cannot start: %s", error)
        return 1


def set_up_log(token):
    """Log to standard error. The token is removed from every message and traceback."""
    class Formatter(logging.Formatter):
        def format(self, record):
            text = super().format(record)
            return text.replace(token, "<TELEGRAM_TOKEN>") if token else text

    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def serve(settings):
    """Run until SIGTERM, then finish what is in flight. Returns the exit status."""
    import database
    from tasks import DailyTotals
    from telegram import Api, Poller
    from web import create_app, create_server

    # Every thread inherits this: from here on the signal waits for sigwait below.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    pool = database.open_pool(settings.database)
    totals = DailyTotals(pool)
    poller = None
    if settings.telegram_token:
        poller = Poller(Api(settings.telegram_api_url, settings.telegram_token), pool, settings.poll_seconds)
    app = create_app(settings, pool, poller, totals)
    server = create_server(app, settings.port, REQUEST_SECONDS)

    workers = [worker for worker in (totals, poller) if worker]
    for worker in workers:
        worker.start()
    threading.Thread(target=server.serve, daemon=True).start()
    log.info("Release %s listens on port %s; polling is %s", settings.release, settings.port,
             "on" if poller else "off: TELEGRAM_TOKEN is not set")

    log.info("%s: stopping", signal.Signals(signal.sigwait(STOP_SIGNALS)).name)
    for worker in workers:
        worker.stop()
    stop_server = threading.Thread(target=server.stop, daemon=True)  # closes the socket, waits for requests
    stop_server.start()
    for worker in workers:
        worker.join(2)
    stop_server.join(REQUEST_SECONDS + 1)
    pool.close(timeout=1)
    if stop_server.is_alive():
        log.error("Requests did not finish within %s s and were cut off", REQUEST_SECONDS)
        os._exit(1)  # their threads would keep the process
    log.info("Stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
