"""Channels: what counts as accepted, what is tried again, what is final, and what may have arrived after all."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from lakehouse.alerts.messages import message_of
from lakehouse.errors import SettingsError
from serving.delivery import channels
from serving.delivery.channels import ChannelError, SnsChannel, TerminalChannel, WebhookChannel
from tests.alert_doubles import an_alert

MESSAGE = message_of([an_alert(7)], "", ZoneInfo("UTC"))


class Receiver:
    """An HTTP server on this machine that answers with one status and keeps what it was sent."""

    def __init__(self) -> None:
        self.status, self.hang, self.received = 200, threading.Event(), list[tuple[str, dict[str, str], Any]]()
        self.hangs = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.received.append((self.path, dict(self.headers), body))
                if receiver.hangs:
                    receiver.hang.wait(10)
                    return
                self.send_response(receiver.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=secret"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.hang.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def failure(channel: Any) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        channel.send(MESSAGE)
    return caught.value


def test_a_webhook_gets_the_alert_and_its_key(receiver: Receiver) -> None:
    assert WebhookChannel(receiver.url, timeout=5).send(MESSAGE) == "HTTP 200"

    ((path, headers, body),) = receiver.received
    assert path == "/hook?token=secret"
    assert headers["Idempotency-Key"] == an_alert(7).alert_id
    assert body["alerts"] == [json.loads(an_alert(7).to_json())]
    assert body["possible_copy"] is False


@pytest.mark.parametrize(
    ("status", "is_final", "may_have_arrived"),
    [
        (302, True, False), (400, True, False), (404, True, False), (408, False, True), (429, False, False),
        (500, False, True), (502, False, True), (503, False, False),
    ],
)  # fmt: skip
def test_what_a_webhook_answers_decides(
    receiver: Receiver, status: int, is_final: bool, may_have_arrived: bool
) -> None:
    receiver.status = status

    error = failure(WebhookChannel(receiver.url, timeout=5))

    assert (error.is_final, error.may_have_arrived) == (is_final, may_have_arrived)
    assert f"expected HTTP 2xx, found {status}" in str(error)
    assert "secret" not in str(error)


def test_a_webhook_that_hangs_may_have_it(receiver: Receiver) -> None:
    receiver.hangs = True

    error = failure(WebhookChannel(receiver.url, timeout=0.2))

    assert (error.is_final, error.may_have_arrived) == (False, True)


def test_a_webhook_that_cannot_be_reached_has_nothing() -> None:
    error = failure(WebhookChannel("http://127.0.0.1:1/", timeout=0.5))

    assert (error.is_final, error.may_have_arrived) == (False, False)


@pytest.mark.parametrize("url", ["http://example.com/?token=secret", "ftp://localhost/", "https://", "secret"])
def test_only_https_or_this_machine_is_an_address(url: str) -> None:
    with pytest.raises(SettingsError, match="expected an https address") as caught:
        WebhookChannel(url, timeout=1)
    assert "secret" not in str(caught.value)


def test_a_name_that_leads_to_a_link_local_address_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = [(2, 1, 6, "", ("169.254.169.254", 443))]
    monkeypatch.setattr(channels, "getaddrinfo", lambda *_: inner)

    error = failure(WebhookChannel("https://innocent.example/", timeout=1))

    assert error.is_final


class SnsDouble:
    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.asked = error, list[dict[str, Any]]()

    def publish(self, **asked: Any) -> dict[str, str]:
        self.asked.append(asked)
        if self.error:
            raise self.error
        return {"MessageId": "m1"}


def client_error(status: int, code: str) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Publish")


TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"


def test_sns_gets_subject_text_and_key() -> None:
    sns, fifo = SnsDouble(), SnsDouble()

    assert SnsChannel(sns, TOPIC).send(MESSAGE) == "m1"
    SnsChannel(fifo, f"{TOPIC}.fifo").send(MESSAGE)

    (asked,) = sns.asked
    assert (asked["Subject"], asked["Message"]) == (MESSAGE.subject, MESSAGE.body)
    assert asked["MessageAttributes"]["alert_id"]["StringValue"] == an_alert(7).alert_id
    assert "MessageDeduplicationId" not in asked
    assert fifo.asked[0]["MessageDeduplicationId"] == an_alert(7).alert_id


@pytest.mark.parametrize(
    ("error", "is_final", "may_have_arrived"),
    [
        (client_error(404, "NotFound"), True, False),
        (client_error(403, "AuthorizationError"), True, False),
        (client_error(400, "Throttling"), False, False),
        (client_error(503, "ServiceUnavailable"), False, False),
        (client_error(500, "InternalError"), False, True),
        (ReadTimeoutError(endpoint_url="x"), False, True),
        (EndpointConnectionError(endpoint_url="x"), False, False),
    ],
)
def test_what_sns_answers_decides(error: Exception, is_final: bool, may_have_arrived: bool) -> None:
    found = failure(SnsChannel(SnsDouble(error), TOPIC))

    assert (found.is_final, found.may_have_arrived) == (is_final, may_have_arrived)


def test_a_terminal_shows_the_lines_and_a_closed_one_is_an_error() -> None:
    out = io.StringIO()
    TerminalChannel(out).send(MESSAGE)
    assert out.getvalue() == MESSAGE.body

    out.close()
    assert not failure(TerminalChannel(out)).is_final
