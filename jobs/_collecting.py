"""What the collectors share: the key, the spool and its forwarder, how they talk, and how they stop."""

from __future__ import annotations

import logging
import random
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from kafka.errors import KafkaError

from jobs._feeding import sink_of
from lakehouse.clock import system_clock, to_ms
from lakehouse.errors import FeedError, SettingsError
from lakehouse.settings import CONF, Settings
from streaming.feeds.figures import FeedFigures
from streaming.feeds.finnhub import Secret
from streaming.feeds.forward import Forwarder
from streaming.feeds.patience import Backoff
from streaming.feeds.sinks import Sink
from streaming.feeds.spool import Spool
from streaming.feeds.spool_files import locked
from streaming.feeds.watched import WatchedList
from streaming.metrics import NETWORK

MEGABYTE = 1_048_576
FORWARD_AGAIN, FORWARD_AGAIN_AT_MOST = 0.5, 30.0


@dataclass(frozen=True)
class Line:
    """A run of a collector: its name, the folder of its spool, the spool, and what empties it."""

    run: str
    folder: Path
    spool: Spool
    forwarder: Forwarder


def new_run(prefix: str) -> str:
    """A name no other run has: the start in ms and a random part, in hexadecimal."""
    return f"{prefix}{to_ms(system_clock()):x}{secrets.token_hex(2)}"


def finnhub_secret(settings: Settings) -> Secret:
    """Finnhub's key, which only the environment or a flag can give."""
    token = settings.feeds.finnhub.token
    if token is None or not token.get_secret_value().strip():
        raise SettingsError(
            "feeds.finnhub.token: expected Finnhub's key, found none. Nothing was collected. Set it in the environment "
            "as TICKHOUSE__FEEDS__FINNHUB__TOKEN; a file of conf/ is no place for a secret."
        )
    return Secret(token.get_secret_value().strip())


def watched(settings: Settings) -> WatchedList:
    """The watchlist of the settings, followed while the collector runs."""
    return WatchedList(CONF / settings.reference.watchlist)


@contextmanager
def spooled(settings: Settings, name: str, run: str) -> Iterator[Line]:
    """A spool of this process alone and its forwarder; at the end what is left is sent, as far as time allows."""
    chosen = settings.feeds.spool
    with locked(f"{chosen.folder.rstrip('/')}/{name}") as folder:
        spool = Spool(folder, segment_bytes=chosen.segment_mb * MEGABYTE, max_bytes=chosen.max_mb * MEGABYTE)
        backoff = Backoff(FORWARD_AGAIN, FORWARD_AGAIN_AT_MOST, random.random)
        forwarder = Forwarder(spool, lambda: _opened(settings, f"{name}-{run}"), backoff)
        forwarder.start()
        try:
            yield Line(run, folder, spool, forwarder)
        finally:
            if not forwarder.finish(chosen.drain_seconds):
                print(
                    f"{spool.waiting:,} records wait in {folder}; the next start sends them"
                    f"{f' ({forwarder.trouble})' if forwarder.trouble else ''}.",
                    file=sys.stderr,
                )
            spool.close()


def _opened(settings: Settings, prefix: str) -> Sink:
    """The sink of the settings; a broker that is not there is a reason to wait, not to end."""
    try:
        return sink_of(settings, prefix)
    except KafkaError as error:
        servers = settings.source.kafka.bootstrap_servers
        raise FeedError(f"Kafka at {servers}: expected brokers, found none ({error!r}).") from error


def talk(*, debug: bool) -> None:
    """Log lines on standard error, with their time."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, stream=sys.stderr, format=form)
    for other in ("botocore", "urllib3", "kafka", "asyncio", "websockets"):
        logging.getLogger(other).setLevel(logging.WARNING)  # at debug they log addresses and headers, keys included


def figures_of(settings: Settings, feed: str) -> FeedFigures | None:
    """Where the collector's figures go besides its log; None where nobody wants them."""
    namespace = settings.metrics.cloudwatch_namespace
    if namespace is None:
        return None
    client = boto3.client("cloudwatch", region_name=settings.source.kinesis.region, config=NETWORK)
    return FeedFigures(client, namespace, feed)
