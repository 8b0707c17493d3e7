"""What feed jobs share: the sink the settings name, and a progress bar."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from botocore.config import Config
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lakehouse.settings import KinesisSettings, Settings
from streaming.feeds import progress as feed_progress
from streaming.feeds.kafka_sink import KafkaSink, kafka_producer
from streaming.feeds.kinesis_sink import KinesisSink
from streaming.feeds.sinks import FilesSink, Sink

NETWORK = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 2})


def kinesis_client(kinesis: KinesisSettings) -> object:
    """A Kinesis client for the endpoint, region and keys of the settings; the sink does most of the retrying."""
    return boto3.client(
        "kinesis",
        region_name=kinesis.region,
        endpoint_url=kinesis.endpoint,
        aws_access_key_id=_plain(kinesis.access_key),
        aws_secret_access_key=_plain(kinesis.secret_key),
        config=NETWORK,
    )


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def sink_of(settings: Settings, prefix: str) -> Sink:
    """The sink that feeds the source the settings name; `prefix` names landed files."""
    source = settings.source
    if source.kind == "kinesis":
        client = kinesis_client(source.kinesis)
        return KinesisSink(client, source.kinesis.stream, sleep=time.sleep, random=random.random)
    if source.kind == "kafka":
        return KafkaSink(kafka_producer(source.kafka.bootstrap_servers), source.kafka.topic)
    return FilesSink(settings.paths.landing, prefix)


@contextmanager
def feed_bar(title: str, total: int | None) -> Iterator[feed_progress.Report]:
    """A progress bar on standard error: prints handed over and the rate. Plain silence where nobody watches."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} prints  {task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=total, rate=0.0)
        yield lambda state: bar.update(task, completed=state.prints, rate=state.prints_per_second)
