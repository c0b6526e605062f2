import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from conftest import TOKEN, free_port, wait_until

import config
import database

# Seconds, even on a busy machine. A request that hangs takes 15, a poll 25, a start 60.
SOON = 10

GOOD = {"player": "Bea", "what": "skating", "minutes": 45}


def test_sigterm_ends_the_long_poll_at_once_and_confirms_the_offset(polling, telegram):
    telegram.say(41, "/stats")
    wait_until(lambda: telegram.replies() and telegram.polls == 2)  # answered, and waiting again
    code, seconds = polling.stop()
    assert code == 0 and seconds < SOON, polling.log
    calls = list(telegram.calls.queue)
    assert calls[-1] == ("getUpdates", {
        "timeout": 0, "limit": 1, "offset": 42, "allowed_updates": ["message"]})


def test_updates_fetched_but_not_handled_at_sigterm_come_again(polling, telegram, url, start):
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE trainings")
        with telegram.changed:  # both in one answer
            telegram.say(1, "/train shooting 10")
            telegram.say(2, "/train shooting 20")
        wait_until(lambda: locks(url))
        polling.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in polling.log)
        time.sleep(0.3)
    assert polling.process.wait(20) == 0
    assert [update["update_id"] for update in telegram.pending] == [2]
    start(DATABASE_URL=url, TELEGRAM_TOKEN=TOKEN, TELEGRAM_API_URL=telegram.url)
    wait_until(lambda: not telegram.pending)
    with psycopg.connect(url) as connection:
        stored = connection.execute("SELECT minutes FROM trainings ORDER BY id").fetchall()
    assert stored == [(10,), (20,)] and len(telegram.sent) == 2


def locks(url):
    """The statements that wait for a lock."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT query FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()").fetchall()


def test_a_request_in_flight_at_sigterm_is_finished_and_the_socket_closed(bot, url):
    answers = []
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE trainings")
        sender = threading.Thread(target=lambda: answers.append(bot.request("/api/trainings", GOOD)))
        sender.start()
        wait_until(lambda: locks(url))
        bot.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(bot.port), SOON)
        assert bot.process.poll() is None and not answers
    sender.join(20)
    assert answers and answers[0][0] == 201
    assert bot.process.wait(20) == 0


def refuses(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_idle_connections_do_not_hold_up_the_stop(bot):
    idle = [socket.create_connection(("127.0.0.1", bot.port)) for _ in range(5)]
    kept = socket.create_connection(("127.0.0.1", bot.port))
    kept.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert kept.recv(100).startswith(b"HTTP/1.1 200")
    assert bot.health()[0] == 200
    code, seconds = bot.stop()
    assert code == 0 and seconds < SOON
    for connection in idle + [kept]:
        connection.close()


def test_sigterm_during_the_start(start):
    with socket.socket() as silent:  # accepts, never answers: a database that is busy starting
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for url in (f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d", "postgresql://u@127.0.0.1:1/d"):
            bot = start(DATABASE_URL=url)
            time.sleep(0.5)
            code, seconds = bot.stop()
            assert code == 0 and seconds < SOON, bot.log


def test_the_bot_waits_for_a_database_that_starts_later(start, server, url):
    name = url.rpartition("/")[2]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        bot = start(DATABASE_URL=url)
        wait_until(lambda: "Waiting up to 60 s for the database" in bot.log)
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert bot.started().health()[0] == 200


def test_a_database_that_never_comes_is_given_up():
    with pytest.raises(database.DatabaseError, match="no connection for 1 s"):
        database.connect(f"postgresql://u@127.0.0.1:{free_port()}/d", 1)


def test_a_second_start_finds_nothing_to_migrate(bot, url, start):
    assert "Migrations applied: 001_trainings.sql, 002_daily_totals.sql" in bot.log
    assert "the database is up to date" in start(DATABASE_URL=url).started().log


def test_two_that_migrate_at_the_same_time_do_it_once(url, tmp_path):
    (tmp_path / "001_a.sql").write_text("CREATE TABLE a (b int); SELECT pg_sleep(0.5);")

    def migrate(_):
        with database.connect(url, 5) as connection:
            return database.migrate(connection, tmp_path)

    with ThreadPoolExecutor() as both:
        assert sorted(both.map(migrate, range(2))) == [[], ["001_a.sql"]]


def test_a_failing_migration_changes_nothing(url, tmp_path):
    (tmp_path / "001_a.sql").write_text("CREATE TABLE a (b int);")
    (tmp_path / "002_b.sql").write_text("CREATE TABLE oops;")
    with database.connect(url, 5) as connection:
        with pytest.raises(database.DatabaseError, match="002_b.sql, nothing was changed: syntax error"):
            database.migrate(connection, tmp_path)
        assert connection.execute("SELECT to_regclass('a')").fetchone() == (None,)
        (tmp_path / "002_b.sql").write_text("CREATE TABLE c (d int);")
        assert database.migrate(connection, tmp_path) == ["001_a.sql", "002_b.sql"]
        assert database.migrate(connection, tmp_path) == []


def test_every_fault_of_the_environment_is_reported_at_once(start):
    bot = start(DATABASE_URL="mysql://u:geheim@h/d", SECRET_KEY="short", TELEGRAM_TOKEN="no", PORT="x",
                POLL_SECONDS="40", DEAF_AFTER_SECONDS="30", TELEGRAM_API_URL="ftp://x")
    assert bot.process.wait(20) == 2
    for name in ("DATABASE_URL", "SECRET_KEY", "TELEGRAM_TOKEN", "TELEGRAM_API_URL", "PORT",
                 "DEAF_AFTER_SECONDS"):
        assert f"\n{name} " in bot.log
    assert "geheim" not in bot.log and "Traceback" not in bot.log and len(bot.log.splitlines()) == 7


def test_a_port_in_use_is_one_sentence(start, url, bot):
    other = start(DATABASE_URL=url, PORT=str(bot.port))
    assert other.process.wait(20) == 1
    assert "cannot start" in other.log and "Traceback" not in other.log


def test_the_postgres_values_do_instead_of_the_address():
    env = {"SECRET_KEY": "x" * 16, "POSTGRES_HOST": "h", "POSTGRES_DB": "d", "POSTGRES_USER": "u"}
    with pytest.raises(config.ConfigError, match="DATABASE_URL, or else POSTGRES_PASSWORD"):
        config.load(env)
    assert config.load({**env, "POSTGRES_PASSWORD": "p w"}).database == (
        "host=h port=5432 dbname=d user=u password='p w'")
