"""Channels: what takes a message and says that it has it. A failed call says whether it may have arrived after all."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from socket import gaierror, getaddrinfo
from typing import Any, Protocol, TextIO
from urllib.parse import SplitResult, urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from lakehouse.alerts.messages import Message
from lakehouse.errors import SettingsError
from serving.delivery.store import DeliveryError

TOO_MANY, TIMED_OUT, SERVER = 429, 408, 500
UNAVAILABLE = 503  # the one answer of a server's own faults that says that nothing was taken
SAID_LIMIT = 200
LOOPBACK = ("localhost", "127.0.0.1", "::1")
NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError, NoCredentialsError)
PASSING = ("Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "KMSThrottlingException")


class ChannelError(DeliveryError):
    """A message was not accepted, or we do not know. `is_final`: the same again would be refused again."""

    def __init__(self, message: str, *, is_final: bool = False, may_have_arrived: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final
        self.may_have_arrived = may_have_arrived


class Channel(Protocol):
    """Where messages go."""

    def send(self, message: Message) -> str:
        """Hand a message over; returns the channel's receipt, raises ChannelError."""


class TerminalChannel:
    """Writes each alert as a line."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def send(self, message: Message) -> str:
        """Write and flush; a closed terminal is an error like any other."""
        try:
            self._out.write(message.body)
            self._out.flush()
        except (OSError, ValueError) as error:
            raise ChannelError(f"terminal: {error}", may_have_arrived=True) from error
        return "written"


class SnsChannel:
    """Publishes to a topic. The client must not retry by itself: a retry we do not know of is a copy nobody counts."""

    def __init__(self, client: Any, topic: str) -> None:
        self._client = client
        self._topic = topic

    def send(self, message: Message) -> str:
        """Publish; the key travels as an attribute, and as the deduplication id of a FIFO topic."""
        fifo = {"MessageDeduplicationId": message.key, "MessageGroupId": "alerts"}
        attributes = {"alert_id": message.key, "possible_copy": str(message.is_copy).lower()}
        try:
            answer = self._client.publish(
                TopicArn=self._topic,
                Subject=message.subject,
                Message=message.body,
                MessageAttributes={name: {"DataType": "String", "StringValue": v} for name, v in attributes.items()},
                **(fifo if self._topic.endswith(".fifo") else {}),
            )
        except ClientError as error:
            raise _sns_refusal(error) from error
        except BotoCoreError as error:
            arrived = not isinstance(error, NEVER_SENT)
            raise ChannelError(f"SNS: {str(error)[:SAID_LIMIT]}", may_have_arrived=arrived) from error
        return str(answer["MessageId"])


def _sns_refusal(error: ClientError) -> ChannelError:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", SERVER))
    code = str(error.response.get("Error", {}).get("Code", ""))
    is_passing = status >= SERVER or status in (TOO_MANY, TIMED_OUT) or code in PASSING
    arrived = status >= SERVER and status != UNAVAILABLE
    return ChannelError(f"SNS: {str(error)[:SAID_LIMIT]}", is_final=not is_passing, may_have_arrived=arrived)


class WebhookChannel:
    """Posts JSON to one address over https (http on this machine only); follows no redirect."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self._to = checked_url(url)
        self._timeout = timeout
        self._name = f"webhook {self._to.hostname}"  # the rest of the address may hold a token

    def send(self, message: Message) -> str:
        """Post; the key goes as Idempotency-Key, so that the receiver can drop a second copy."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.key, "User-Agent": "tickhouse"}
        body = json.dumps(webhook_body(message)).encode()
        connection = self._connected()
        try:
            connection.request("POST", self._path(), body, headers)
            answer = connection.getresponse()
            said = answer.read(SAID_LIMIT).decode("utf-8", "replace")
        except (OSError, HTTPException) as error:
            told = f"{self._name}: {type(error).__name__}: {error}"[:SAID_LIMIT]
            raise ChannelError(told, may_have_arrived=True) from error
        finally:
            connection.close()
        if answer.status // 100 == 2:
            return f"HTTP {answer.status}"
        raise self._refusal(answer.status, said)

    def _connected(self) -> HTTPConnection:
        host, port = str(self._to.hostname), self._to.port
        kind = HTTPSConnection if self._to.scheme == "https" else HTTPConnection
        connection = kind(host, port, timeout=self._timeout)
        try:
            refuse_inner_address(host, port or 0)
            connection.connect()
        except (OSError, HTTPException) as error:
            connection.close()
            raise ChannelError(f"{self._name}: cannot connect: {error}"[:SAID_LIMIT]) from error
        return connection

    def _path(self) -> str:
        return (self._to.path or "/") + (f"?{self._to.query}" if self._to.query else "")

    def _refusal(self, status: int, said: str) -> ChannelError:
        told = f"{self._name}: expected HTTP 2xx, found {status}: {said!r}"
        is_passing = status >= SERVER or status in (TOO_MANY, TIMED_OUT)
        arrived = status == TIMED_OUT or (status >= SERVER and status != UNAVAILABLE)
        return ChannelError(told, is_final=not is_passing, may_have_arrived=arrived)


def webhook_body(message: Message) -> dict[str, Any]:
    """What a webhook receives."""
    alerts = [json.loads(alert.to_json()) for alert in message.alerts]
    return {"key": message.key, "possible_copy": message.is_copy, "subject": message.subject, "alerts": alerts}


def checked_url(url: str) -> SplitResult:
    """The parts of a webhook's address, or an error that does not repeat it: it may hold a token."""
    parts = urlsplit(url)
    is_local = parts.hostname in LOOPBACK
    if not parts.hostname or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not is_local):
        raise SettingsError(
            f"webhook: expected an https address (http for this machine only), found scheme {parts.scheme!r} and host "
            f"{parts.hostname!r}. Nothing was sent. Correct the environment variable that holds it."
        )
    return parts


def refuse_inner_address(host: str, port: int) -> None:
    """Refuse a host name that leads to link-local addresses, where cloud machines keep their credentials."""
    try:
        found = {str(entry[4][0]) for entry in getaddrinfo(host, port)}
    except gaierror as error:
        raise ChannelError(f"webhook {host}: its name is not known: {error}") from error
    if any(ip_address(address.partition("%")[0]).is_link_local for address in found):
        raise ChannelError(f"webhook {host}: leads to a link-local address, to which nothing is sent", is_final=True)


def required_variable(name: str, environ: Mapping[str, str]) -> str:
    """The value of an environment variable that conf names."""
    if not environ.get(name):
        raise SettingsError(
            f"alerts: a webhook names the environment variable {name}, which is not set. Nothing was sent. Set it to "
            "the webhook's address."
        )
    return environ[name]
