"""Row f: 50 M trades and one hour of stream, each against itself: the last tenth as fast as the first, memory flat."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import hops
from benchmarks.data import ADDS, bronze_files
from benchmarks.harness import FAILED, Result, Run, Trial, begun, limit
from benchmarks.hosts import HOUSE, Place
from benchmarks.lakes import fresh_lake
from benchmarks.latency_row import measure
from benchmarks.market import Market
from benchmarks.processes import measured, tree_memory_bytes
from jobs.stream import stream_until

SLOWER, FATTER = 1.2, 1.2
WARM_UP_SECONDS, SAMPLE_SECONDS = 60, 5.0
BULK = "50 M trades from bronze to silver and bars, last tenth against the first"
HOUR = "one hour of stream, last tenth against the first"
BULK_NOTE = (
    "`tickhouse stream --drain`, refine and then bars, in micro-batches of one bronze file; the first batch of each "
    "query is left out. Memory is that of the driver, its JVM and its Python workers."
)
HOUR_NOTE = "As row e, for an hour."


def bulk_trial(market: dict[str, Any]) -> Trial:
    """A large market drained in many micro-batches."""

    def run(call: Run) -> Result:
        result = begun("f1", BULK, BULK_NOTE)
        try:
            found = call(HOUSE, "benchmarks.soak:drain", {"market": market})
        except Exception as error:  # noqa: BLE001 - a row that fails is a result
            result.status, result.detail = FAILED, [str(error)]
            return result
        for query, seconds in found["batches"].items():
            result.verdicts.append(limit(f"batch time of {query}", growth(seconds), SLOWER, SLOWER, "x"))
        result.verdicts.append(limit("memory of the driver's tree", growth(found["memory"]), FATTER, FATTER, "x"))
        result.runs = {"ours": [{name: found[name] for name in ("wall", "cpu", "events")}]}
        return result

    return Trial("f1", BULK, run)


def drain(place: Place, *, market: dict[str, Any]) -> dict[str, Any]:
    """Refine and bars until bronze is read; seconds of every batch by query, and memory in samples."""
    given = Market(**market)
    fresh, spark = fresh_lake(place, "soak", given), place.spark
    adds = json.loads((bronze_files(given) / ADDS).read_text(encoding="utf-8"))
    cap = f"{int(max(add['size'] for add in adds) * 0.8) // 1024}k"
    settings = fresh.model_copy(update={"stream": fresh.stream.model_copy(update={"max_bytes_per_trigger": cap})})
    done, memory = threading.Event(), list[int]()
    sampler = threading.Thread(target=_sample, args=(memory, done), daemon=True)
    sampler.start()
    with measured() as taken:
        stream_until(spark, settings, threading.Event(), drain=True, queries=("refine", "bars"))
    done.set()
    sampler.join()
    batches = batch_seconds(Path(settings.paths.logs) / "stream.jsonl")
    return {"wall": taken.wall, "cpu": taken.cpu, "events": given.trades, "batches": batches, "memory": memory}


def _sample(memory: list[int], done: threading.Event) -> None:
    while not done.wait(SAMPLE_SECONDS):
        memory.append(tree_memory_bytes(os.getpid()))


def batch_seconds(log: Path) -> dict[str, list[float]]:
    """Seconds of every batch that had rows, by query, from the listener's log."""
    found: dict[str, list[float]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry.get("event") == "batch" and entry["rows"]:
            found.setdefault(entry["query"], []).append(entry["milliseconds"]["triggerExecution"] / 1000)
    return found


def growth(values: Sequence[float]) -> float:
    """The median of the last tenth over that of the first, the very first value left out."""
    steady = values[1:]
    tenth = max(len(steady) // 10, 1)
    return median(steady[-tenth:]) / median(steady[:tenth])


def hour_trial(*, rate: int, seconds: int) -> Trial:
    """A live stream at a steady rate."""

    def run(call: Run) -> Result:
        result = begun("f2", HOUR, HOUR_NOTE)
        try:
            outcome = measure(call, rate, seconds, WARM_UP_SECONDS)
        except Exception as error:  # noqa: BLE001 - a row that fails is a result
            result.status, result.detail = FAILED, [str(error)]
            return result
        tenth = (outcome.until_ns - outcome.since_ns) // 10
        with hops.opened(outcome.watched) as db:
            first = hops.summary(db, outcome.since_ns, outcome.since_ns + tenth)
            last = hops.summary(db, outcome.until_ns - tenth, outcome.until_ns)
        for place, name in ((0, "p50"), (1, "p99")):
            before, after = (one["hops"][hops.HOPS[-1]][place] for one in (first, last))
            result.verdicts.append(
                limit(f"{name} of latency at {rate:,} trades/s", after / before, SLOWER, SLOWER, "x")
            )
            result.detail.append(f"{name}: {before:.2f} s in the first tenth, {after:.2f} s in the last")
        result.verdicts.append(limit("memory of the driver's tree", growth(outcome.memory), FATTER, FATTER, "x"))
        return result

    return Trial("f2", HOUR, run)
