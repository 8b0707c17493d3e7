"""Row h: from a price jump that was acknowledged to its alert at the receiver, by the fast lane and by Spark."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import CACHE
from benchmarks.harness import FAILED, Result, Run, Trial, begun, limit
from benchmarks.hosts import HOUSE
from benchmarks.jumps import HOOK, Jump, Receiver, feed, receiving, rules_for, waits
from benchmarks.latency_row import process_group, wait_for_start
from benchmarks.processes import tree_cpu_seconds
from lakehouse.settings import DeliverySettings
from serving.delivery.connect import store_of
from streaming.emulators import LOCAL_KEY, create_stream, kinesis_emulator, local_client

STREAM, TABLE, SHARDS, SYMBOLS = "jumps", "jump-alerts", 2, [f"Z{rank:04d}" for rank in range(20)]
FLOOR_SECONDS, AIM_SECONDS = 1.0, 0.3
LAST_SECONDS = 600.0  # at 10,000 trades/s on two processors Spark falls behind by minutes
FAST, SPARK = "fast lane", "stream and detect, in Spark"
LANES = {FAST: ("fast-lane", "deliver"), SPARK: ("stream", "detect", "deliver")}
STARTING_SECONDS = 8.0  # two imports and a compiled kernel; a jump before that would count as a wait
TITLE = "price jump: PutRecords acknowledged to the alert at the receiver"
NOTE = (
    "The same rule (2 % within 3 s, twenty symbols) over the same kind of feed, one lane after the other: `tickhouse "
    "fast-lane` against `tickhouse stream` and `tickhouse detect`; both deliver by `tickhouse deliver` to a webhook. "
    "Every jump that was put in must come out, once, under its key, and nothing else may. Emulated Kinesis and "
    "DynamoDB, the producer and the receiver share the machine's processors with the jobs."
)


@dataclass(frozen=True)
class Delivered:
    """What one lane did: seconds of each jump of the measured stretch, in order of length, and processors in use."""

    seconds: list[float]
    processors: float


def trial(*, rate: int, seconds: int, warm_up: int) -> Trial:
    """The row: so many trades a second, after a warm-up that is left out."""

    def run(call: Run) -> Result:
        result = begun("h", TITLE, NOTE)
        try:
            found = {lane: measure(call, lane, rate, seconds, warm_up) for lane in LANES}
        except Exception as error:  # noqa: BLE001 - a row that fails is a result, the other rows still run
            result.status, result.detail = FAILED, [str(error).replace(f"{Path.cwd()}/", "")]
            return result
        middle, nearly_all = (_share(found[FAST].seconds, share) for share in (0.5, 0.99))
        result.verdicts.append(
            limit(f"p99 of the fast lane at {rate:,} trades/s", nearly_all, FLOOR_SECONDS, AIM_SECONDS, " s")
        )
        result.detail += [_told(lane, rate, one) for lane, one in found.items()]
        times = _share(found[SPARK].seconds, 0.5) / middle
        result.detail.append(f"by the median the fast lane is {times:.0f} times sooner")
        return result

    return Trial("h", TITLE, run)


def _told(lane: str, rate: int, one: Delivered) -> str:
    middle, nearly_all, most = (_share(one.seconds, share) for share in (0.5, 0.99, 1.0))
    return (
        f"{lane}, {rate:,} trades/s, {len(one.seconds)} jumps: p50 {middle:.3f} s, p99 {nearly_all:.3f} s, "
        f"most {most:.3f} s; processors in use {one.processors:.2f}"
    )


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def measure(call: Run, lane: str, rate: int, seconds: int, warm_up: int) -> Delivered:
    """One lane over a stream of its own; refuses a jump that did not come, came twice, or was none."""
    home = (CACHE / f"jumps-{os.getpid()}-{LANES[lane][0]}").absolute()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    call(HOUSE, "benchmarks.latency_row:prepare", {"lake": str(home / "lake")})
    with kinesis_emulator() as address, receiving() as receiver, ExitStack() as jobs:
        create_stream(local_client(address), STREAM, SHARDS)
        keys: Any = {"access_key": LOCAL_KEY, "secret_key": LOCAL_KEY}
        store_of(DeliverySettings(table=TABLE, endpoint=address, **keys), sleep=time.sleep).create()
        environ = _environ(home, address, receiver)
        started = []
        for job in LANES[lane]:
            command = [sys.executable, "-m", "jobs", job]
            started.append(jobs.enter_context(process_group(command, home / f"{job}.log", environ)))
        if lane == SPARK:
            wait_for_start(home / "logs" / "stream.jsonl", started[0])
        time.sleep(STARTING_SECONDS)
        before, begun_at = [tree_cpu_seconds(job.pid) for job in started], time.monotonic()
        acknowledged = feed(local_client(address), STREAM, SYMBOLS, rate=rate, seconds=warm_up + seconds)
        took = time.monotonic() - begun_at
        processors = sum(tree_cpu_seconds(job.pid) - cpu for job, cpu in zip(started, before, strict=True)) / took
        receiver.wait_for(len(acknowledged), LAST_SECONDS)
        if ended := [job.args for job in started if job.poll() is not None]:
            raise RuntimeError(f"{lane}: {ended} ended while it was measured; what it printed is in {home.name}")
    _require_same(lane, receiver, acknowledged)
    late = {jump: at for jump, at in acknowledged.items() if at >= begun_at + warm_up}
    return Delivered(waits(receiver, late), processors)


def _require_same(lane: str, receiver: Receiver, acknowledged: dict[Jump, float]) -> None:
    twice = [jump for jump, times in receiver.came.items() if len(times) > 1]
    missing, invented = acknowledged.keys() - receiver.came.keys(), receiver.came.keys() - acknowledged.keys()
    if twice or missing or invented:
        raise RuntimeError(
            f"{lane}: of {len(acknowledged)} jumps {len(missing)} did not come ({sorted(missing)[:3]}), {len(twice)} "
            f"came twice ({twice[:3]}), and {len(invented)} alerts were of no jump ({sorted(invented)[:3]})"
        )


def _environ(home: Path, address: str, receiver: Receiver) -> dict[str, str]:
    rules = home / "alerts.yaml"
    rules.write_text(rules_for(SYMBOLS), encoding="utf-8")
    given = {
        **{f"PATHS__{name.upper()}": home / name for name in ("checkpoints", "landing", "archive", "logs")},
        "PATHS__WAREHOUSE": home / "lake", "ALERTS__RULES": rules, "SOURCE__KIND": "kinesis",
        "SOURCE__KINESIS__STREAM": STREAM, "SOURCE__KINESIS__ENDPOINT": address, "DELIVERY__ENDPOINT": address,
        "DELIVERY__TABLE": TABLE, "FAST_LANE__LOOK_BACK_MINUTES": "1",
        "DETECT__IDLE_SECONDS": "5",  # the last jumps would wait a minute for prints that do not come
        **{f"{section}__{key}": LOCAL_KEY for section in ("SOURCE__KINESIS", "DELIVERY")
           for key in ("ACCESS_KEY", "SECRET_KEY")},
    }  # fmt: skip
    return {**os.environ, **{f"TICKHOUSE__{name}": str(value) for name, value in given.items()}, HOOK: receiver.url}
