import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import wait_until

GOOD = {"player": "Bea", "what": "skating", "minutes": 45}


def test_a_training_sent_to_the_api_is_listed_counted_and_shown(bot):
    status, text = bot.request("/api/trainings", GOOD)
    assert status == 201
    stored = json.loads(text)
    assert {key: stored[key] for key in GOOD} == GOOD
    assert json.loads(bot.request("/api/trainings")[1]) == [stored]
    stats = json.loads(bot.request("/api/stats")[1])
    assert (stats["trainings"], stats["minutes"]) == (1, 45)
    page = bot.request("/")[1]
    assert "Bea" in page and "1 trainings, 45 minutes" in page and "Release 0123456 " in page


@pytest.mark.parametrize("change, word", [
    ({"minutes": 0}, "minutes"), ({"minutes": 601}, "minutes"), ({"minutes": True}, "minutes"),
    ({"minutes": 1.5}, "minutes"), ({"minutes": "many"}, "minutes"), ({"minutes": None}, "minutes"),
    ({"player": ""}, "player"), ({"player": 5}, "player"), ({"player": "x" * 61}, "player"),
    ({"what": "  "}, "what"), ({"what": "\0"}, "what"), ({"what": "x" * 101}, "what"),
])
def test_the_api_refuses_with_one_sentence(bot, change, word):
    status, text = bot.request("/api/trainings", {**GOOD, **change})
    assert status == 400
    error = json.loads(text)["error"]
    assert error.startswith(f"{word} must be") and error.count(".") == 1
    assert json.loads(bot.request("/api/trainings")[1]) == []


def test_the_api_refuses_what_is_not_a_json_object(bot):
    for arguments in ({"json_body": [1]}, {"data": b"{"}, {"data": json.dumps(GOOD).encode()}):
        status, text = bot.request("/api/trainings", **arguments)
        assert (status, json.loads(text)["error"][:18]) == (400, "Send a JSON object")


def test_text_that_postgresql_cannot_store_is_no_server_error(bot):
    status, text = bot.request("/api/trainings", {**GOOD, "what": "a\ud800b\0c <b>"})
    assert (status, json.loads(text)["what"]) == (201, "a?b c <b>")
    assert "a?b c &lt;b&gt;" in bot.request("/")[1]


def test_the_form_stores_only_with_its_csrf_token(bot):
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    address = f"http://127.0.0.1:{bot.port}/"
    csrf = re.search('name="csrf" value="(.+?)"', browser.open(address).read().decode()).group(1)

    def send(**more):
        return browser.open(address, urllib.parse.urlencode({**GOOD, **more}).encode()).read().decode()

    with pytest.raises(urllib.error.HTTPError, match="400"):
        send(csrf="wrong")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        send(csrf=csrf, minutes="-1")
    assert json.loads(bot.request("/api/trainings")[1]) == []
    assert "skating" in send(csrf=csrf)
    assert len(json.loads(bot.request("/api/trainings")[1])) == 1


def test_the_background_task_keeps_the_daily_totals(start, url):
    first = start(DATABASE_URL=url).started()
    first.request("/api/trainings", GOOD)
    first.stop()
    second = start(DATABASE_URL=url).started()  # refreshes at once
    days = wait_until(lambda: json.loads(second.request("/api/stats")[1])["days"])
    assert [(day["trainings"], day["minutes"]) for day in days] == [(1, 45)]
