import psycopg
import pytest
from conftest import TOKEN, wait_until


def rows(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_the_commands(polling, telegram, url):
    for number, text in enumerate([
        "/start", "/help", "/train stick handling 30", "/train@the_bot passing 15", "/train passing",
        "/train 20", "/stats", "how are you?",
    ]):
        telegram.say(100 + number, text)
    telegram.say(108, "/stats", sender=8, name="bea")
    wait_until(lambda: len(telegram.sent) == 9)
    replies = telegram.replies()
    assert replies[0].startswith("Hello anna!") and "/train" in replies[1]
    assert replies[2:4] == ["Stored: stick handling, 30 minutes. Well done!",
                            "Stored: passing, 15 minutes. Well done!"]
    assert replies[4].startswith("Sorry, ") and replies[5].startswith("Sorry, ")
    assert replies[6] == "So far: 2 trainings, 45 minutes."
    assert replies[7].startswith("Thank you")
    assert replies[8] == "So far: 0 trainings, 0 minutes."
    assert [message["chat_id"] for message in telegram.sent] == [7] * 8 + [8]
    assert rows(url, "SELECT text FROM updates WHERE update_id = 107") == [("how are you?",)]


def test_a_message_without_text_and_one_with_strange_text_stop_nothing(polling, telegram):
    with telegram.changed:
        telegram.pending += [{"update_id": 1}, {"update_id": 2, "message": {"chat": {"id": 7}}}]
    telegram.say(3, "/train a\ud800\0 5")
    wait_until(lambda: "Stored: a?, 5 minutes. Well done!" in telegram.replies())


def test_a_repeated_update_is_stored_and_answered_once(start, url, telegram):
    env = dict(DATABASE_URL=url, TELEGRAM_TOKEN=TOKEN, TELEGRAM_API_URL=telegram.url)
    telegram.say(5, "/train shooting 10")
    first = start(**env)
    wait_until(lambda: telegram.replies())
    # A bot that dies after sending a reply but before recording it replies twice: the price of losing none.
    wait_until(lambda: rows(url, "SELECT 1 FROM updates WHERE replied_at IS NOT NULL"))
    first.process.kill()  # no goodbye: nothing may rely on it
    first.process.wait()
    telegram.pending.clear()
    telegram.say(5, "/train shooting 10")  # Telegram repeats what was not confirmed
    telegram.say(6, "/stats")
    start(**env)
    wait_until(lambda: "So far: 1 trainings, 10 minutes." in telegram.replies())
    assert len(telegram.sent) == 2
    assert rows(url, "SELECT count(*) FROM trainings") == [(1,)]


def test_a_reply_that_failed_is_sent_later_and_the_update_not_stored_twice(polling, telegram, url):
    telegram.refuse["sendMessage"] = (502, "Bad Gateway")
    telegram.say(9, "/train shooting 10")
    wait_until(lambda: "Bad Gateway" in polling.log)
    assert not telegram.sent and [update["update_id"] for update in telegram.pending] == [9]
    telegram.refuse.clear()
    wait_until(lambda: telegram.replies() == ["Stored: shooting, 10 minutes. Well done!"])
    wait_until(lambda: not telegram.pending)
    assert rows(url, "SELECT count(*) FROM trainings") == [(1,)]


def test_a_user_who_blocked_the_bot_does_not_hold_up_the_others(polling, telegram):
    telegram.refuse["sendMessage"] = (403, "Forbidden: bot was blocked by the user")
    telegram.say(1, "/help")
    wait_until(lambda: "gets no reply" in polling.log)
    telegram.refuse.clear()
    telegram.say(2, "/stats")
    wait_until(lambda: telegram.replies() == ["So far: 0 trainings, 0 minutes."])


@pytest.mark.parametrize("token, refusal, words", [
    (TOKEN, (409, "Conflict"), "Another poller uses this TELEGRAM_TOKEN"),
    (TOKEN[:-1], None, "Telegram does not know TELEGRAM_TOKEN (401)"),
])
def test_a_refused_poll_is_explained_and_survived(start, url, telegram, token, refusal, words):
    if refusal:
        telegram.refuse["getUpdates"] = refusal
    bot = start(DATABASE_URL=url, TELEGRAM_TOKEN=token, TELEGRAM_API_URL=telegram.url).started()
    wait_until(lambda: words in bot.log)
    assert bot.health()[0] == 200 and token not in bot.log
    assert bot.stop()[0] == 0


def test_two_pollers_get_conflicts_and_neither_dies(polling, start, url, telegram):
    other = start(DATABASE_URL=url, TELEGRAM_TOKEN=TOKEN, TELEGRAM_API_URL=telegram.url).started()
    wait_until(lambda: "Another poller" in polling.log + other.log)
    telegram.say(1, "/stats")
    wait_until(lambda: telegram.replies())
    assert polling.process.poll() is None and other.process.poll() is None


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://localhost:{port}/nowhere"])
def test_an_unreachable_or_strange_api_is_survived_and_the_token_not_logged(start, url, telegram, address):
    bot = start(DATABASE_URL=url, TELEGRAM_TOKEN=TOKEN,
                TELEGRAM_API_URL=address.format(port=telegram.url.rpartition(":")[2])).started()
    wait_until(lambda: "next try" in bot.log)
    assert bot.health()[0] == 200 and TOKEN not in bot.log
