"""The outbox and the channels as settings and conf describe them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config

from lakehouse.alerts.conf import AlertConf
from lakehouse.alerts.people import AnyChannel, Sns, Webhook
from lakehouse.errors import SettingsError
from lakehouse.settings import DeliverySettings
from serving.delivery.channels import Channel, SnsChannel, TerminalChannel, WebhookChannel, required_variable
from serving.delivery.deliver import Address, Addresses
from serving.delivery.dynamo import DynamoStore
from serving.delivery.outbox import Terms

STORE_ATTEMPTS = 6
STORE_TIMEOUT = 5


def store_of(settings: DeliverySettings, *, sleep: Callable[[float], None]) -> DynamoStore:
    """The outbox's table."""
    config = Config(
        connect_timeout=STORE_TIMEOUT,
        read_timeout=STORE_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": STORE_ATTEMPTS},
    )
    return DynamoStore(_client("dynamodb", settings, settings.endpoint, config), settings.table, sleep=sleep)


def terms_of(settings: DeliverySettings) -> Terms:
    """Attempts, lease and pauses, in milliseconds."""
    return Terms(
        attempts=settings.attempts,
        lease_ms=round(settings.lease_seconds * 1000),
        base_ms=round(settings.retry_seconds * 1000),
        cap_ms=round(settings.retry_cap_seconds * 1000),
    )


def addresses(conf: AlertConf, settings: DeliverySettings, environ: Mapping[str, str]) -> Addresses:
    """Every channel of every user, ready to send."""
    return {
        (user.name, channel.name): Address(_channel(channel, settings, environ), user.place)
        for user in conf.users.values()
        for channel in user.channels
    }


def _channel(channel: AnyChannel, settings: DeliverySettings, environ: Mapping[str, str]) -> Channel:
    if isinstance(channel, Webhook):
        return WebhookChannel(required_variable(channel.url_variable, environ), timeout=settings.timeout_seconds)
    if isinstance(channel, Sns):
        return _sns(channel, settings)
    return TerminalChannel()


def _sns(channel: Sns, settings: DeliverySettings) -> Channel:
    """A client that tries once: how often a delivery is tried is the outbox's to decide and to record."""
    topic = channel.topic or settings.sns_topic
    if not topic:
        raise SettingsError(
            f"alerts: the channel {channel.name} is of kind sns and has no topic. Nothing was sent. Give it one in "
            "conf/alerts.yaml, or set delivery.sns_topic."
        )
    timeout = settings.timeout_seconds
    config = Config(
        connect_timeout=timeout, read_timeout=timeout, retries={"mode": "standard", "total_max_attempts": 1}
    )
    return SnsChannel(_client("sns", settings, settings.sns_endpoint, config), topic)


def _client(service: str, settings: DeliverySettings, endpoint: str | None, config: Config) -> Any:
    make: Any = boto3.client  # one function for every service, which stubs describe one by one
    access, secret = settings.access_key, settings.secret_key
    return make(
        service,
        region_name=settings.region,
        endpoint_url=endpoint,
        aws_access_key_id=access.get_secret_value() if access else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=config,
    )
