"""Delivery with real processes: killed at random during 200 alerts, SNS failing, puts repeated. Nothing is lost."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.routing import Route
from lakehouse.clock import system_clock, to_ms
from lakehouse.settings import DeliverySettings
from serving.delivery.connect import store_of, terms_of
from serving.delivery.dynamo import DynamoStore
from serving.delivery.outbox import Outbox
from serving.delivery.snoozes import attempts_of, listed
from serving.delivery.store import Change
from streaming.emulators import LOCAL_KEY, dynamodb_local, kinesis_emulator, stop_group
from tests.alert_doubles import an_alert

pytestmark = pytest.mark.itest

ALERTS, WAVES, FAILING = 200, 10, 0.3
DIED_AFTER = ("alert.after_publish:2", "alert.after_begin:3", "alert.after_publish:5", None, None)
ID = re.compile(r"id ([0-9a-f]{32})")
CONF = """\
version: 1
storm: {{messages_a_minute: 100000}}
users: [{{name: me, channels: [{{kind: sns, topic: "{topic}"}}]}}]
"""
BUSY = b"<ErrorResponse><Error><Code>ServiceUnavailable</Code><Message>busy</Message></Error></ErrorResponse>"


class FlakySns:
    """Stands before moto's SNS and refuses some of the calls; keeps the ids of alerts that SNS accepted."""

    def __init__(self, address: str, chance: random.Random) -> None:
        self.accepted: Counter[str] = Counter()
        self.calls = 0
        self._lock, self._chance = threading.Lock(), chance
        inner, flaky = urlsplit(address).netloc, self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, said = (503, BUSY) if flaky.refuses() else flaky.forward(inner, body, dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: Any) -> None:
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # the process that asked was killed
                    self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def refuses(self) -> bool:
        with self._lock:
            self.calls += 1
            return self._chance.random() < FAILING

    def forward(self, inner: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = HTTPConnection(inner, timeout=20)
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status == 200:
            with self._lock:
                self.accepted.update(ID.findall(parse_qs(body.decode())["Message"][0]))
        return answer.status, said


@contextmanager
def flaky_sns(address: str, chance: random.Random) -> Iterator[FlakySns]:
    sns = FlakySns(address, chance)
    thread = threading.Thread(target=sns.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield sns
    finally:
        sns.server.shutdown()
        thread.join()
        sns.server.server_close()


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with kinesis_emulator() as address:
        yield address


@pytest.fixture(scope="module")
def local_dynamodb() -> Iterator[str]:
    jars = Path(os.environ.get("TICKHOUSE_DYNAMODB_JARS", ""))
    if not list(jars.glob("DynamoDBLocal-*.jar")):
        pytest.skip(f"DynamoDB Local is not here: no jars in {jars} (bin/fetch-jars dynamodb)")
    with dynamodb_local(jars) as address:
        yield address


def settings_for(address: str, sns: str, table: str) -> DeliverySettings:
    return DeliverySettings(
        table=table, endpoint=address, sns_endpoint=sns, access_key=LOCAL_KEY, secret_key=LOCAL_KEY, attempts=60,
        lease_seconds=3, timeout_seconds=1, retry_seconds=0.05, retry_cap_seconds=0.4, poll_seconds=0.05,
    )  # fmt: skip


def environment(delivery: DeliverySettings, address: str, folder: Path) -> dict[str, str]:
    """Settings and conf of a process, with a topic that exists."""
    make: Any = boto3.client
    client = make(
        "sns", region_name="us-east-1", endpoint_url=address, aws_access_key_id="k", aws_secret_access_key="k"
    )
    conf = folder / "alerts.yaml"
    conf.write_text(CONF.format(topic=client.create_topic(Name=delivery.table)["TopicArn"]))
    given = delivery.model_dump(exclude={"sns_topic", "region", "access_key", "secret_key"})
    shown = {f"TICKHOUSE__DELIVERY__{name.upper()}": str(value) for name, value in given.items()}
    keys = {f"TICKHOUSE__DELIVERY__{name}": LOCAL_KEY for name in ("ACCESS_KEY", "SECRET_KEY")}
    return os.environ | shown | keys | {"TICKHOUSE__ALERTS__RULES": str(conf)}


def start(environ: dict[str, str], *flags: str, crashpoint: str | None = None) -> subprocess.Popen[bytes]:
    more = {"TICKHOUSE_CRASHPOINT": crashpoint} if crashpoint else {}
    command = [sys.executable, "-m", "jobs", "deliver", *flags]
    return subprocess.Popen(command, env=environ | more, start_new_session=True, stdout=subprocess.DEVNULL)


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)


def put(outbox: Outbox, alert: Alert) -> bool:
    return outbox.put(alert, [Route("me", "sns", to_ms(system_clock()))])


def test_killed_at_random_none_is_lost_and_a_copy_is_marked(emulator: str, local_dynamodb: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("FAULT_SEED", random.SystemRandom().randrange(2**32)))
    print(f"FAULT_SEED={seed}")
    chance = random.Random(seed)
    with flaky_sns(emulator, random.Random(seed + 1)) as sns:
        delivery = settings_for(local_dynamodb, sns.address, f"killed-{seed}")
        store = store_of(delivery, sleep=time.sleep)
        assert store.create()
        environ, outbox = (
            environment(delivery, emulator, tmp_path),
            Outbox(store, terms_of(delivery), owner="test", random=chance.random),
        )
        alerts = [an_alert(number) for number in range(ALERTS)]
        crew, kills = [start(environ), start(environ)], 0
        try:
            for wave in range(WAVES):
                fresh = alerts[wave * ALERTS // WAVES : (wave + 1) * ALERTS // WAVES]
                assert all(put(outbox, alert) for alert in fresh)
                again = chance.sample(alerts[: (wave + 1) * ALERTS // WAVES], 5)
                assert not any(put(outbox, alert) for alert in again)
                calls = sns.calls
                wait_until(lambda calls=calls: sns.calls > calls + chance.randint(0, 15), 8)  # type: ignore[misc]
                unlucky = chance.randrange(len(crew))
                kills += 1
                stop_group(crew[unlucky], signal.SIGKILL)
                crew[unlucky] = start(environ, crashpoint=chance.choice(DIED_AFTER))
            crew.append(start(environ, "--drain"))
            assert crew[-1].wait(90) == 0
        finally:
            for process in crew:
                stop_group(process, signal.SIGKILL)

        deliveries = [item for item in store.scan() if "status" in item]
        marked = {str(item["pk"]) for item in deliveries if item["possible_copy"]}
        copied = {alert_id for alert_id, times in sns.accepted.items() if times > 1}
        unknown = [item for item in attempts_of(store) if not {"accepted_ms", "failed_ms"} & item.keys()]
        copies = sum(sns.accepted.values()) - ALERTS
        print(f"{kills} kills, {sns.calls} calls, {copies} copies, {len(marked)} marked, {len(unknown)} unknown")
        assert set(sns.accepted) == {alert.alert_id for alert in alerts}, "none is lost"
        assert {item["status"] for item in deliveries} == {"sent"}
        assert len(deliveries) == ALERTS
        assert copied <= marked, "a copy is always marked"
        assert copies <= len(unknown), "and comes only of an attempt whose process died"
        assert sum(one.possible_copies for one in listed(store)) == len(marked)


def test_sigterm_ends_it_cleanly_and_gives_claims_back(emulator: str, tmp_path: Path) -> None:
    with flaky_sns(emulator, random.Random(1)) as sns:
        delivery = settings_for(emulator, sns.address, "terminated")
        store = store_of(delivery, sleep=time.sleep)
        store.create()
        environ = environment(delivery, emulator, tmp_path)
        outbox = Outbox(store, terms_of(delivery), owner="test", random=random.random)
        for number in range(60):
            put(outbox, an_alert(number))
        crew = [start(environ)]
        try:
            wait_until(lambda: sns.calls > 5, 20)
            crew[0].send_signal(signal.SIGTERM)

            assert crew[0].wait(20) == 0
            statuses = Counter(str(item["status"]) for item in store.scan() if "status" in item)
            assert statuses["claimed"] == statuses["sending"] == 0
            crew.append(start(environ, "--drain"))
            assert crew[1].wait(60) == 0
        finally:
            for process in crew:
                stop_group(process, signal.SIGKILL)
        assert set(sns.accepted.values()) == {1}
        assert len(sns.accepted) == 60


@pytest.fixture(scope="module", params=["emulator", "local_dynamodb"])
def table(request: pytest.FixtureRequest) -> DynamoStore:
    address = request.getfixturevalue(request.param)
    store = store_of(settings_for(address, "", "conditions"), sleep=time.sleep)
    store.create()
    return store


def test_the_table_keeps_the_conditions_that_the_double_keeps(table: DynamoStore) -> None:
    key, other = ("a", "1"), ("a", "2")
    assert table.create() is False

    assert table.apply([Change(key, put={"n": 1, "status": "x", "is": True}, is_new=True)])
    assert not table.apply([Change(key, put={"n": 2}, is_new=True)])
    assert not table.apply([Change(other, put={"n": 2}), Change(key, put={"n": 2}, expect={"status": "y"})])
    assert table.partition("a") == [{"pk": "a", "sk": "1", "n": 1, "status": "x", "is": True}]
    assert table.apply([Change(other, put={"n": 2}, is_new=True), Change(key, remove=("is",), expect={"n": 1})])
    assert [item.get("is") for item in table.partition("a")] == [None, None]
    counted = [table.apply([Change(("pace", "1"), add={"sent": 1}, below={"sent": 2})]) for _ in range(4)]
    assert counted == [True, True, False, False]
    assert not table.apply([Change(("b", "1"), put={"n": 1}, expect={"n": 0})]), "an absent item expects nothing"


def test_the_queue_gives_what_is_due_the_oldest_first(table: DynamoStore) -> None:
    for number, due_ms in enumerate([30, 10, 20, 99]):
        table.apply([Change(("due", str(number)), put={"queue": "q", "due_ms": due_ms})])
    table.apply([Change(("due", "1"), remove=("queue", "due_ms"))])

    assert [item["due_ms"] for item in table.due("q", 50, 10)] == [20, 30]
    assert [item["due_ms"] for item in table.due("q", 50, 1)] == [20]
