"""A real PostgreSQL, a fake Telegram, and the bot as a process."""
import glob
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

HERE = Path(__file__).parent.parent
TOKEN = "123456:never-in-a-log"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds=30):
    """The first true value of condition(); fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    pytest.fail(f"not within {seconds} s: {condition}")


@pytest.fixture(scope="session")
def server():
    """The conninfo of a PostgreSQL server where tests may create databases."""
    if os.environ.get("TEST_DATABASE_URL"):
        yield os.environ["TEST_DATABASE_URL"]
        return
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    binaries = found[-1] if found else os.path.dirname(shutil.which("initdb") or "")
    if not binaries:
        pytest.skip("no PostgreSQL: set TEST_DATABASE_URL or install the package postgresql")
    as_user = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    folder = tempfile.mkdtemp(prefix="hockey-test-")
    if as_user:
        os.chown(folder, 65534, 65534)
    port = free_port()
    run = dict(check=True, stdout=subprocess.DEVNULL, cwd="/")
    initdb = [*as_user, f"{binaries}/initdb", "-D", f"{folder}/data"]
    subprocess.run([*initdb, "-U", "postgres", "-A", "trust", "-N"], **run)
    control = [*as_user, f"{binaries}/pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log"]
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    subprocess.run([*control, "-o", options, "start"], **run)
    yield make_conninfo(host="127.0.0.1", port=port, user="postgres", dbname="postgres")
    subprocess.run([*control, "-m", "immediate", "stop"], **run)
    shutil.rmtree(folder)


@pytest.fixture
def url(server):
    """The postgresql:// address of a new, empty database."""
    name = f"hockey_test_{time.time_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    parts = conninfo_to_dict(server)
    password = f":{parts['password']}" if parts.get("password") else ""
    yield f"postgresql://{parts['user']}{password}@{parts['host']}:{parts.get('port', 5432)}/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Telegram:
    """The Bot API's getUpdates and sendMessage, with Telegram's offsets and conflicts."""

    def __init__(self):
        self.pending, self.sent, self.calls = [], [], queue.Queue()
        self.refuse = {}  # method: (status, description)
        self.polls = 0  # getUpdates so far; only the newest waits, an older one gets 409
        self.changed = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def say(self, update_id, text, sender=7, name="anna"):
        """A user writes to the bot."""
        message = {"chat": {"id": sender}, "from": {"id": sender, "username": name}, "text": text}
        with self.changed:
            self.pending.append({"update_id": update_id, "message": message})
            self.changed.notify_all()

    def replies(self):
        return [message["text"] for message in self.sent]

    def get_updates(self, parameters):
        with self.changed:
            self.polls += 1
            mine, self.waiting = self.polls, True
            self.changed.notify_all()
            offset = parameters.get("offset", 0)
            self.pending = [update for update in self.pending if update["update_id"] >= offset]
            self.changed.wait_for(lambda: self.pending or self.polls > mine, parameters.get("timeout", 0))
            if self.polls > mine:
                return 409, {"ok": False, "error_code": 409,
                             "description": "Conflict: terminated by other getUpdates request"}
            return 200, {"ok": True, "result": self.pending[:parameters.get("limit", 100)]}

    def send_message(self, parameters):
        self.sent.append(parameters)
        return 200, {"ok": True, "result": {}}

    def _handler(telegram):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                method = self.path.rpartition("/")[2]
                telegram.calls.put((method, parameters))
                if self.path.split("/")[1] != f"bot{TOKEN}":
                    status, answer = 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
                elif method in telegram.refuse:
                    status, description = telegram.refuse[method]
                    answer = {"ok": False, "error_code": status, "description": description}
                elif method == "getUpdates":
                    status, answer = telegram.get_updates(parameters)
                else:
                    status, answer = telegram.send_message(parameters)
                body = json.dumps(answer).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the bot has hung up

            def log_message(self, *_):
                pass
        return Handler


@pytest.fixture
def telegram():
    fake = Telegram()
    yield fake
    fake.close()


class Bot:
    """The bot as its users and its operator see it: a process with a port, signals and a log."""

    def __init__(self, folder, env):
        self.port = free_port()
        self.log_file = folder / f"bot-{self.port}.log"
        env = {"PATH": os.environ["PATH"], "PORT": str(self.port), "SECRET_KEY": "0123456789abcdef", **env}
        with open(self.log_file, "w") as output:
            self.process = subprocess.Popen(
                [sys.executable, HERE / "main.py"], env=env, stdout=output, stderr=output, cwd="/")

    @property
    def log(self):
        return self.log_file.read_text()

    def request(self, path, json_body=None, headers=(), data=None):
        """(status, text) of a request."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=dict(headers))
        if json_body is not None:
            request.data = json.dumps(json_body).encode()
            request.add_header("Content-Type", "application/json")
        elif data is not None:
            request.data = data
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def health(self):
        """(status, answer) of /health; status 0 if the port is closed."""
        try:
            status, text = self.request("/health")
            return status, json.loads(text)
        except OSError:
            assert self.process.poll() is None, self.log
            return 0, {}

    def started(self):
        wait_until(lambda: self.health()[0])
        return self

    def stop(self):
        """SIGTERM; returns (exit status, seconds)."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20), time.monotonic() - begin


@pytest.fixture
def start(tmp_path):
    """start(DATABASE_URL=..., ...) runs a bot with that environment."""
    bots = []

    def start(**env):
        bots.append(Bot(tmp_path, env))
        return bots[-1]

    yield start
    for bot in bots:
        if bot.process.poll() is None:
            bot.process.kill()
            bot.process.wait()
        assert TOKEN not in bot.log, "the token is in the log"


@pytest.fixture
def bot(start, url):
    """A bot without Telegram."""
    return start(DATABASE_URL=url, COMMIT_SHA="0123456789abcdef").started()


@pytest.fixture
def polling(start, url, telegram):
    """A bot that polls the fake Telegram with a long poll of 25 s."""
    return start(DATABASE_URL=url, TELEGRAM_TOKEN=TOKEN, TELEGRAM_API_URL=telegram.url).started()
