import os
import signal
import time

import psycopg
import pytest
from conftest import TOKEN, wait_until

# Seconds, even on a busy machine. Docker's health check waits for 5; a frozen database never answers.
SOON = 5


def test_all_is_well(polling, telegram):
    wait_until(lambda: polling.health()[1]["daily_totals"]["ever"])
    status, answer = polling.health()
    assert (status, answer["status"], answer["reasons"]) == (200, "ok", [])
    assert answer["database"]["latency_ms"] < 1000
    assert answer["poller"]["alive"] and answer["poller"]["seconds_since_success"] < 10


def test_without_a_token_the_bot_is_healthy_and_says_that_polling_is_off(bot):
    status, answer = bot.health()
    assert (status, answer["release"]) == (200, "0123456789abcdef")
    assert "TELEGRAM_TOKEN" in answer["poller"]["polling"] and "polling is off" in bot.log


def test_a_deaf_poller_is_unhealthy_with_the_reason_and_recovers(start, url, telegram):
    telegram.refuse["getUpdates"] = (502, "Bad Gateway")
    bot = start(DATABASE_URL=url, TELEGRAM_TOKEN=TOKEN, TELEGRAM_API_URL=telegram.url,
                POLL_SECONDS="1", DEAF_AFTER_SECONDS="2").started()
    assert bot.health()[0] == 200  # not deaf yet
    answer = wait_until(lambda: bot.health()[1] if bot.health()[0] == 503 else None)
    assert "poller has not succeeded" in answer["reasons"][0] and "Bad Gateway" in answer["reasons"][0]
    telegram.refuse.clear()
    wait_until(lambda: bot.health()[0] == 200)


def test_a_database_restart_is_noticed_and_survived(bot, server, url):
    name = url.rpartition("/")[2]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        # A backend ends a moment after the request to do so.
        wait_until(lambda: not connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = %s", [name]).fetchone())
        begin = time.monotonic()
        status, answer = bot.health()
        assert (status, answer["database"]["ok"]) == (503, False) and "database" in answer["reasons"][0]
        assert time.monotonic() - begin < SOON
        assert bot.request("/api/stats") == (
            503, '{"error":"The database does not answer. Please try again in a moment."}\n')
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    wait_until(lambda: bot.health()[0] == 200)
    assert bot.request("/api/stats")[0] == 200


def test_a_frozen_database_does_not_freeze_health_nor_the_stop(bot, server, url):
    with psycopg.connect(server) as connection:
        local = os.path.exists(connection.execute("SHOW data_directory").fetchone()[0])
        backends = [row[0] for row in connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s", [url.rpartition("/")[2]])]
    if not local:
        pytest.skip("only the processes of a server on this machine can be frozen")
    try:
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        status, answer = bot.health()
        assert status == 503 and "no answer for" in answer["reasons"][0]
        assert time.monotonic() - begin < SOON
        assert bot.stop()[0] == 0, bot.log
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
