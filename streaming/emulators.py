"""Local services for the demo and the tests: started on free loopback ports, always stopped with all their children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from lakehouse.errors import SourceError
from streaming.sources.kinesis_client import kinesis_client
from streaming.sources.kinesis_options import KinesisOptions, Start

START_SECONDS = 60.0
POLL_SECONDS = 0.05
LOCAL_KEY = "localkey"
KAFKA_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}
num.partitions=2
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


@contextmanager
def kinesis_emulator() -> Iterator[str]:
    """A moto server; yields its address. It knows no throttling, no retention, and its resharding loses the order."""
    port = free_port()
    command = [sys.executable, "-m", "streaming.local_kinesis", "-H", "127.0.0.1", "-p", str(port)]
    address = f"http://127.0.0.1:{port}"
    with service("moto", command, lambda: _answers(address)):
        yield address


@contextmanager
def kinesis_local(package: Path) -> Iterator[str]:
    """The npm package kinesis-local, which splits and merges shards as Kinesis does; yields its address. Needs node."""
    port, tls = free_port(), free_port()
    ports = {"KINESIS_MOCK_PLAIN_PORT": str(port), "KINESIS_MOCK_TLS_PORT": str(tls), "LOG_LEVEL": "ERROR"}
    quick = {f"{step}_DURATION": "50ms" for step in ("CREATE_STREAM", "SPLIT_SHARD", "MERGE_SHARDS")}
    address = f"http://127.0.0.1:{port}"
    with service("kinesis-local", ["node", "main.js"], lambda: _answers(address), folder=package, env=ports | quick):
        yield address


@contextmanager
def dynamodb_local(jars: Path) -> Iterator[str]:
    """DynamoDB Local in memory, from the jars of com.amazonaws:DynamoDBLocal; yields its address."""
    port = free_port()
    runner = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
    flags = ["-inMemory", "-sharedDb", "-port", str(port), "-disableTelemetry"]
    command = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{jars}/*", runner, *flags]
    address = f"http://127.0.0.1:{port}"
    with service("dynamodb-local", command, lambda: _answers(address)):
        yield address


class KafkaBroker:
    """One KRaft broker in a folder of its own. It can be killed and started again on the same port and data."""

    def __init__(self, jars: Path, data: Path) -> None:
        self._classes = f"{jars}/*"
        self._data = data
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._properties = data / "server.properties"
        data.mkdir(parents=True, exist_ok=True)
        text = KAFKA_PROPERTIES.format(port=self._port, controller=free_port(), folder=data / "log")
        self._properties.write_text(text, encoding="utf-8")
        self._format()

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the broker and wait until it accepts connections."""
        command = self._java("kafka.Kafka", str(self._properties))
        self._process = _started(command, self._data / "broker.log")
        _wait_until("kafka", self._process, lambda: _accepts(self._port), self._data / "broker.log")

    def kill(self) -> None:
        """Kill -9, as a power cut would."""
        if self._process:
            stop_group(self._process, signal.SIGKILL)
            self._process = None

    def _format(self) -> None:
        cluster = uuid.uuid4().hex[:22]
        command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties))
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
        if done.returncode:
            raise SourceError(f"Kafka's storage could not be formatted in {self._data}: {done.stdout} {done.stderr}")

    def _java(self, *words: str) -> list[str]:
        return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", self._classes, *words]


@contextmanager
def kafka_broker(jars: Path, data: Path) -> Iterator[KafkaBroker]:
    """A running broker from the jars of org.apache.kafka:kafka; gone, whatever happens, at the end."""
    broker = KafkaBroker(jars, data)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@contextmanager
def service(
    name: str,
    command: Sequence[str],
    is_ready: Callable[[], bool],
    *,
    folder: Path | None = None,
    env: dict[str, str] | None = None,
    log: Path | None = None,
    patience: float = START_SECONDS,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process group that answers when the block begins and is gone when it ends."""
    process = _started(command, log, folder=folder, env=env)
    try:
        _wait_until(name, process, is_ready, log, patience)
        yield process
    finally:
        stop_group(process, signal.SIGTERM)


def stop_group(process: subprocess.Popen[bytes], first: signal.Signals, *, patience: float = 5) -> None:
    """End a process and its children: asked first, killed when the patience is over."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, first)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patience)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def local_client(address: str, stream: str = "any") -> Any:
    """A Kinesis client for an emulator."""
    options = KinesisOptions(
        stream, Start("TRIM_HORIZON"), "us-east-1", endpoint=address, access_key=LOCAL_KEY, secret_key=LOCAL_KEY
    )
    return kinesis_client(options)


def create_stream(client: Any, stream: str, shards: int) -> None:
    """Create a stream and wait until it takes records."""
    client.create_stream(StreamName=stream, ShardCount=shards)
    wait_until_active(client, stream)


def wait_until_active(client: Any, stream: str) -> None:
    """Wait until a stream is neither being made nor being resharded."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        summary = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        if summary["StreamStatus"] == "ACTIVE":
            return
        time.sleep(POLL_SECONDS)
    raise SourceError(f"Kinesis stream {stream} is not ACTIVE after {START_SECONDS:.0f} s. Start the emulator again.")


def _started(
    command: Sequence[str], log: Path | None, *, folder: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    with open(log or os.devnull, "ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=os.environ | (env or {}),
            start_new_session=True,
        )


def _wait_until(
    name: str, process: subprocess.Popen[bytes], is_ready: Callable[[], bool], log: Path | None,
    patience: float = START_SECONDS,
) -> None:  # fmt: skip
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if is_ready():
            return
        if process.poll() is not None:
            break
        time.sleep(POLL_SECONDS)
    stop_group(process, signal.SIGKILL)
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log else ""
    raise SourceError(f"{name} did not start (exit code {process.poll()}). Try the command by hand. It said: {said}")


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=1):  # noqa: S310 - the address is our own loopback port
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
