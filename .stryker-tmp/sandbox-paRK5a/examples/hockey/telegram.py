"""Telegram by long polling, with the standard library's HTTP so that a waiting poll can be cut short."""
import http.client
import json
import logging
import socket
import ssl
import threading
from urllib.parse import urlsplit

import psycopg

import commands
import database
from health import Pulse
from training import clean

log = logging.getLogger("telegram")
LONGEST_PAUSE = 30  # seconds


class TelegramError(Exception):
    """A call failed. `status` is Telegram's error code, or None; `pause` is the wait that it asks for."""

    def __init__(self, message, status=None, pause=None):
        super().__init__(message)
        self.status, self.pause = status, pause


class Api:
    """Calls of the Bot API (https://core.telegram.org/bots/api), each on a connection of its own."""

    def __init__(self, base_url, token):
        self._url = urlsplit(base_url)
        self._path = f"{self._url.path}/bot{token}/"
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None
        self._lock = threading.Lock()
        self._interrupted = False
        self._waiting = None

    def call(self, method, parameters, timeout, interruptible=False):
        """The `result` of a method. `timeout` is in seconds. Raises TelegramError."""
        connection = self._connection(min(timeout, 5))
        try:
            connection.connect()
            connection.sock.settimeout(timeout)
            if interruptible:
                self._set_waiting(connection.sock)
            body = json.dumps(parameters)
            connection.request("POST", self._path + method, body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TelegramError(f"no answer of the Bot API to {method}: {type(error).__name__}: {error}")
        finally:
            if interruptible:
                self._set_waiting(None)
            connection.close()
        if not isinstance(answer, dict) or not answer.get("ok"):
            raise self._refusal(method, answer if isinstance(answer, dict) else {})
        return answer.get("result")

    def interrupt(self):
        """End the interruptible call that is waiting, now, and every later one."""
        with self._lock:
            self._interrupted = True
            if self._waiting:
                self._shutdown()

    def _connection(self, timeout):
        if self._tls:
            return http.client.HTTPSConnection(
                self._url.hostname, self._url.port, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(self._url.hostname, self._url.port, timeout=timeout)

    def _set_waiting(self, sock):
        with self._lock:
            self._waiting = sock
            if sock and self._interrupted:
                self._shutdown()

    def _shutdown(self):
        try:
            # Not SSLSocket.shutdown, which destroys the TLS state while another thread reads.
            socket.socket.shutdown(self._waiting, socket.SHUT_RDWR)
        except OSError:
            pass  # closed by the other side already

    @staticmethod
    def _refusal(method, answer):
        status = answer.get("error_code")
        pause = (answer.get("parameters") or {}).get("retry_after")
        return TelegramError(f"{method} was refused: {status} {answer.get('description')}", status, pause)


class Poller(threading.Thread):
    """Fetches updates, stores each once, answers it.

    An update is stored before its offset is confirmed, which the next getUpdates does. Until then Telegram
    repeats it; the key of the table makes the repetition harmless.
    """

    def __init__(self, api, pool, poll_seconds):
        super().__init__(name="poller", daemon=True)
        self.pulse = Pulse()
        self._api, self._pool, self._poll_seconds = api, pool, poll_seconds
        self._stopping = threading.Event()
        self._offset = None

    def stop(self):
        """Ask the thread to end; returns at once, and so does a poll that is waiting."""
        self._stopping.set()
        self._api.interrupt()

    def run(self):
        """The thread; ends after `stop`."""
        pause = 1
        while not self._stopping.is_set():
            try:
                for update in self._get_updates(self._poll_seconds, self._poll_seconds + 10, True):
                    if self._stopping.is_set():
                        break
                    self._handle(update)
                    self._offset = update["update_id"] + 1
                pause = 1
            except (TelegramError, psycopg.OperationalError) as error:
                if self._stopping.is_set():
                    break
                self.pulse.error = _explain(error)
                log.warning("%s; next try in %s s", self.pulse.error, getattr(error, "pause", None) or pause)
                self._stopping.wait(getattr(error, "pause", None) or pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        self._confirm()

    def _get_updates(self, wait_seconds, timeout, interruptible, **more):
        parameters = {"timeout": wait_seconds, "allowed_updates": ["message"], **more}
        if self._offset is not None:
            parameters["offset"] = self._offset
        updates = self._api.call("getUpdates", parameters, timeout, interruptible)
        self.pulse.beat()
        return updates

    def _confirm(self):
        # Ignore what this returns: unconfirmed updates come again to the next bot.
        if self._offset is None:
            return
        try:
            self._get_updates(0, 1.5, False, limit=1)
            log.info("Polling has ended; the updates before %s are confirmed", self._offset)
        except TelegramError as error:
            log.warning("The updates before %s will come again: %s", self._offset, error)

    def _handle(self, update):
        message = update.get("message") or {}
        chat_id, sender = (message.get("chat") or {}).get("id"), message.get("from") or {}
        try:
            reply = self._store(update["update_id"], chat_id, sender, clean(message.get("text") or ""))
        except psycopg.OperationalError:
            raise
        except Exception:  # a bug that one message triggers must not block all others
            log.exception("Update %s was skipped", update["update_id"])
            return
        if reply and chat_id:
            self._reply(update["update_id"], chat_id, reply)

    def _store(self, update_id, chat_id, sender, text):
        player = clean(sender.get("username") or sender.get("first_name") or "")[:60] or "anonymous"
        with self._pool.connection() as connection:
            if not database.add_update(connection, update_id, chat_id, sender.get("id"), player, text):
                return database.unsent_reply(connection, update_id)
            reply = commands.answer(connection, update_id, sender.get("id"), player, text)
            database.set_reply(connection, update_id, reply)
            return reply

    def _reply(self, update_id, chat_id, reply):
        try:
            self._api.call("sendMessage", {"chat_id": chat_id, "text": reply}, 10)
        except TelegramError as error:
            if error.status not in (400, 403):  # the chat is gone or has blocked the bot: no use in repeating
                raise
            log.warning("Update %s gets no reply: %s", update_id, error)
        with self._pool.connection() as connection:
            database.mark_replied(connection, update_id)


def _explain(error):
    status = getattr(error, "status", None)
    if status in (401, 404):
        return f"Telegram does not know TELEGRAM_TOKEN ({status}): put the one of @BotFather there"
    if status == 409:
        return f"Another poller uses this TELEGRAM_TOKEN, or a webhook is set (409): {error}"
    return str(error)
