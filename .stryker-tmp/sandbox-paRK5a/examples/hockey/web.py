"""The web page, the JSON API and /health."""
import hmac
import logging
import secrets

import psycopg
from cheroot.wsgi import Server
from flask import Flask, jsonify, redirect, render_template, request, session, url_for

import database
import health
import training

log = logging.getLogger("web")


def create_app(config, pool, poller, totals):
    """The Flask application."""
    app = Flask(__name__, static_folder=None)
    app.secret_key = config.secret_key
    app.config.update(MAX_CONTENT_LENGTH=64 * 1024, SESSION_COOKIE_SAMESITE="Lax")

    def page(error=None):
        session.setdefault("csrf", secrets.token_urlsafe(16))
        with pool.connection() as connection:
            return render_template(
                "index.html", trainings=database.latest_trainings(connection),
                totals=database.totals(connection), days=database.daily_totals(connection),
                release=config.release[:7], error=error, csrf=session["csrf"], form=request.form)

    def store(values):
        done = training.parse(*(values.get(name) for name in ("player", "what", "minutes")))
        with pool.connection() as connection:
            return database.add_training(connection, done)

    @app.get("/")
    def index():
        return page()

    @app.post("/")
    def submit():
        sent, expected = request.form.get("csrf", ""), session.get("csrf", "")
        if not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
            return page("The form was too old. Please send it again."), 400
        try:
            store(request.form)
        except ValueError as error:
            return page(str(error)), 400
        return redirect(url_for("index"), 303)

    @app.get("/api/trainings")
    def list_trainings():
        with pool.connection() as connection:
            return jsonify([_public(row) for row in database.latest_trainings(connection)])

    @app.post("/api/trainings")
    def add_training():
        values = request.get_json(silent=True)
        if not isinstance(values, dict):
            return jsonify(error="Send a JSON object with player, what and minutes."), 400
        try:
            return jsonify(_public(store(values))), 201
        except ValueError as error:
            return jsonify(error=str(error)), 400

    @app.get("/api/stats")
    def stats():
        with pool.connection() as connection:
            days = [{**row, "day": row["day"].isoformat()} for row in database.daily_totals(connection)]
            return jsonify(**database.totals(connection), days=days)

    @app.get("/health")
    def show_health():
        well, answer = health.report(config, pool, poller, totals)
        return jsonify(answer), 200 if well else 503

    @app.errorhandler(psycopg.OperationalError)
    def no_database(error):
        log.warning("%s %s: no database: %s", request.method, request.path, error)
        return jsonify(error="The database does not answer. Please try again in a moment."), 503

    return app


class _Server(Server):
    expiration_interval = 0.1  # seconds until it notices that it is to stop

    def process_conn(self, conn):
        # A new connection waits for its first bytes among the idle ones. In a thread, it would block that
        # thread and the stop.
        if hasattr(conn, "was_idle"):
            return super().process_conn(conn)
        conn.was_idle = True
        self.put_conn(conn)


def create_server(app, port, stop_seconds):
    """A server that is bound to the port; its `stop` gives requests `stop_seconds`. Raises OSError."""
    # The backlog: a proxy that held requests during a release sends them all at once.
    server = _Server(("0.0.0.0", port), app, shutdown_timeout=stop_seconds, request_queue_size=128)
    server.prepare()
    return server


def _public(row):
    return {**row, "trained_at": row["trained_at"].isoformat()}
