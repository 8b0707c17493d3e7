"""Row e: from a PutRecords that was acknowledged to the first committed version of gold.bars that holds the print."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from benchmarks import hops
from benchmarks.data import CACHE, strict_schema
from benchmarks.harness import FAILED, Result, Run, Trial, begun, limit
from benchmarks.hosts import HOUSE, Place
from benchmarks.lakes import template
from benchmarks.load import PER_RECORD
from benchmarks.market import EXCHANGE, Market
from benchmarks.processes import live_heap_bytes, tree, tree_cpu_seconds, tree_memory_bytes
from lakehouse.lake import Lake
from lakehouse.tables.silver import SESSIONS
from streaming.emulators import LOCAL_KEY, create_stream, kinesis_emulator, local_client, stop_group

STREAM, SHARDS = "bench", 4
LIMITS = {1_000: (5.0, 2.0), 10_000: (15.0, 3.0)}  # trades a second: floor and aim of the 99th percentile, in seconds
FLAT, SAMPLE_SECONDS, START_SECONDS, LAST_SECONDS = 1.5, 5.0, 120.0, 30.0
HELD = 0.95  # of the wanted rate: a producer that falls further behind measures the emulator
MARKET = asdict(Market(1))
TITLE = "latency: PutRecords acknowledged to the first committed gold.bars version that holds the print"
NOTE = (
    "One driver runs `python -m jobs stream` with the settings of conf/local.yaml on an emulated Kinesis of four "
    "shards. A version counts as readable when delta-rs, opening the table anew, sees it. The "
    "emulator, the producer and the watcher share the machine's processors with the driver."
)


@dataclass
class Outcome:
    """What one run left: its files, the measured stretch, CPU seconds in it by part, the driver's memory in samples,
    and what lived in its heap before and after.
    """

    watched: hops.Watched
    since_ns: int = 0
    until_ns: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)
    live: list[int] = field(default_factory=list)


def trial(runs: Sequence[tuple[int, int]], *, warm_up: int) -> Trial:
    """The row: runs at so many trades a second for so many seconds, after a warm-up that is left out."""

    def run(call: Run) -> Result:
        result = begun("e", TITLE, NOTE)
        try:
            for rate, seconds in runs:
                _judge(result, rate, seconds, measure(call, rate, seconds, warm_up))
        except Exception as error:  # noqa: BLE001 - a row that fails is a result, the other rows still run
            said = str(error).replace(f"{Path.cwd()}/", "")
            result.status, result.detail = FAILED, [*result.detail, said]
        return result

    return Trial("e", TITLE, run)


def _judge(result: Result, rate: int, seconds: int, outcome: Outcome) -> None:
    with hops.opened(outcome.watched) as db:
        found = hops.summary(db, outcome.since_ns, outcome.until_ns)
        behind = hops.backlog(db, outcome.since_ns, outcome.until_ns)
    total, acknowledged = found["hops"][hops.HOPS[-1]], found["records"] * PER_RECORD
    if acknowledged < HELD * rate * seconds:
        result.status = FAILED
        result.detail.append(
            f"{rate:,}/s: only {acknowledged / seconds:,.0f}/s were acknowledged: the emulator held it up"
        )
        return
    if found["missing"] or not total:
        result.status = FAILED
        result.detail.append(f"{rate:,}/s: {found['missing']} of {found['records']} records never came to gold.bars")
        return
    floor, aim = LIMITS[rate]
    result.verdicts.append(limit(f"p99 at {rate:,} trades/s", total[1], floor, aim, " s"))
    fifth = max(len(behind) // 5, 1)
    growth = median(behind[-fifth:]) / max(median(behind[:fifth]), 1)
    result.verdicts.append(limit(f"backlog at {rate:,} trades/s, last fifth to first", growth, FLAT, FLAT, "x"))
    cpu = ", ".join(f"{part} {used / seconds:.2f}" for part, used in outcome.cpu.items())
    result.detail += [
        f"{rate:,} trades/s for {seconds} s, {acknowledged:,} acknowledged: seconds to p50 / p99 / most",
        *(f"  {hop}: {' / '.join(f'{one:.2f}' for one in values)}" for hop, values in found["hops"].items()),
        f"  processors in use: {cpu}; driver's memory {max(outcome.memory) / 2**30:.2f} GiB at most",
    ]


def measure(call: Run, rate: int, seconds: int, warm_up: int) -> Outcome:
    """One run: emulator, job, watcher and producer, each a process; what they left."""
    home = (CACHE / f"latency-{os.getpid()}-{rate}").absolute()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    call(HOUSE, "benchmarks.latency_row:prepare", {"lake": str(home / "lake")})
    stop, outcome = home / "stop", Outcome(hops.Watched(home / "lake", home / "acks.parquet", home / "versions.jsonl"))
    tables = [str(home / "lake" / layer / name) for name, layer in hops.TABLES.items()]
    with kinesis_emulator() as address:
        emulator = tree(os.getpid())[1:]
        create_stream(local_client(address), STREAM, SHARDS)
        command = [sys.executable, "-m", "jobs", "stream", *_settings(home, address)]
        with process_group(command, home / "job.log") as job:
            wait_for_start(home / "logs" / "stream.jsonl", job)
            watcher = [sys.executable, "-m", "benchmarks.watch", str(outcome.watched.versions), str(stop), *tables]
            producer = [sys.executable, "-m", "benchmarks.load", address, STREAM, str(rate), str(warm_up + seconds)]
            with (
                process_group(watcher, home / "watch.log"),
                process_group([*producer, str(outcome.watched.acks)], home / "load.log") as load,
            ):
                parts = {"driver": [job.pid], "emulator": emulator, "producer": [load.pid]}
                _observe(outcome, parts, job, load, warm_up, seconds)
                time.sleep(LAST_SECONDS)
                stop.touch()
    return outcome


def prepare(place: Place, *, lake: str) -> dict[str, Any]:
    """A lake that knows the market's symbols, and whose exchange is open all day today, yesterday and tomorrow."""
    shutil.copytree(template(place, Market(**MARKET)), lake)
    zone = ZoneInfo("America/New_York")
    today = datetime.now(zone).date()
    days = [today + timedelta(days=shift) for shift in (-1, 0, 1)]
    rows: dict[str, list[object]] = {
        "exchange": [EXCHANGE] * 3, "session_date": list(days), "session": ["regular"] * 3,
        "opens_at": [_midnight(day, zone) for day in days],
        "closes_at": [_midnight(day + timedelta(days=1), zone) for day in days],
        "is_half_day": [False] * 3, "sequence": [2] * 3,
    }  # fmt: skip
    sessions = place.spark.createDataFrame(pa.table(rows, strict_schema(SESSIONS)))
    Lake(place.spark, lake).append(SESSIONS, sessions)
    return {}


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), zone).astimezone(UTC)


def _settings(home: Path, address: str) -> list[str]:
    given = {
        "paths.warehouse": home / "lake", "paths.checkpoints": home / "checkpoints", "paths.landing": home / "landing",
        "paths.archive": home / "archive", "paths.logs": home / "logs", "source.kind": "kinesis",
        "source.kinesis.stream": STREAM, "source.kinesis.region": "us-east-1", "source.kinesis.endpoint": address,
        "source.kinesis.access_key": LOCAL_KEY, "source.kinesis.secret_key": LOCAL_KEY,
    }  # fmt: skip
    return [word for name, value in given.items() for word in ("--set", f"{name}={value}")]


@contextmanager
def process_group(
    command: list[str], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process group that is asked to end with the block, and killed if it does not."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ, start_new_session=True)
    try:
        yield process
    finally:
        stop_group(process, signal.SIGTERM, patience=60)


def wait_for_start(log: Path, job: subprocess.Popen[bytes]) -> None:
    """Until the job's own log says that all three queries run."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and job.poll() is None:
        if log.exists() and log.read_text(encoding="utf-8").count('"event": "started"') >= 3:
            return
        time.sleep(0.5)
    raise RuntimeError(
        f"the stream job did not start within {START_SECONDS:.0f} s; its output is in {log.parent.parent.name}/job.log"
    )


def _observe(
    outcome: Outcome, parts: dict[str, list[int]], job: subprocess.Popen[bytes], load: subprocess.Popen[bytes],
    warm_up: int, seconds: int,
) -> None:  # fmt: skip
    """Leave the warm-up out, then sample memory until the measured stretch is over, and take CPU seconds over it."""
    time.sleep(warm_up)
    outcome.live.append(live_heap_bytes(job.pid))
    before = {part: sum(tree_cpu_seconds(pid) for pid in pids) for part, pids in parts.items()}
    outcome.since_ns = time.time_ns()
    outcome.until_ns = outcome.since_ns + seconds * 10**9
    while time.time_ns() < outcome.until_ns:
        if job.poll() is not None:
            raise RuntimeError(f"the stream job ended with exit code {job.returncode} while it was measured")
        outcome.memory.append(tree_memory_bytes(job.pid))
        time.sleep(min(SAMPLE_SECONDS, max(outcome.until_ns - time.time_ns(), 0) / 1e9))
    outcome.cpu = {part: sum(tree_cpu_seconds(pid) for pid in pids) - before[part] for part, pids in parts.items()}
    outcome.live.append(live_heap_bytes(job.pid))
    load.wait(timeout=seconds)
