"""Row f: 50 M trades and one hour of stream, each against itself: the last tenth as fast as the first, memory flat."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from deltalake import DeltaTable

from benchmarks import hops
from benchmarks.data import ADDS, bronze_files
from benchmarks.harness import FAILED, Result, Run, Trial, begun, limit
from benchmarks.hosts import HOUSE, Place
from benchmarks.lakes import fresh_lake, path_of
from benchmarks.latency_row import measure
from benchmarks.market import Market
from benchmarks.processes import live_heap_bytes, measured, tree_memory_bytes
from jobs.stream import stream_until
from lakehouse.settings import Settings
from lakehouse.tables.silver import TRADES

SLOWER, FATTER = 1.2, 1.2
WARM_UP_SECONDS, SAMPLE_SECONDS = 60, 5.0
BULK = "50 M trades from bronze to silver and bars, last tenth against the first"
HOUR = "one hour of stream, last tenth against the first"
BULK_NOTE = (
    "Refine and bars of `tickhouse stream` side by side, in micro-batches of one file; the first batch of each query "
    "is left out. Memory is that of the driver, its JVM and its Python workers; a heap grows to its limit by and by. "
    "What lives in it is what a full collection leaves: after a tenth of the files, and at the end."
)
HOUR_NOTE = "As row e, for an hour. What lives in the heap is what a full collection leaves, before and after the hour."


def bulk_trial(market: dict[str, Any]) -> Trial:
    """A large market drained in many micro-batches."""

    def run(call: Run) -> Result:
        result = begun("f1", BULK, BULK_NOTE)
        try:
            found = call(HOUSE, "benchmarks.soak:drain", {"market": market})
            grown = {f"time a row of {query}": growth(seconds) for query, seconds in found["batches"].items()}
            grown["memory of the driver's tree"] = growth(found["memory"])
            grown |= _live(found["live"])
        except Exception as error:  # noqa: BLE001 - a row that fails is a result
            result.status, result.detail = FAILED, [str(error)]
            return result
        result.verdicts = [limit(name, value, SLOWER, SLOWER, "x") for name, value in grown.items()]
        result.runs = {"ours": [{name: found[name] for name in ("wall", "cpu", "events")}]}
        return result

    return Trial("f1", BULK, run)


def drain(place: Place, *, market: dict[str, Any]) -> dict[str, Any]:
    """Refine and bars until bronze is in bars; seconds a row of every batch by query, and memory in samples."""
    given = Market(**market)
    fresh, spark = fresh_lake(place, "soak", given), place.spark
    adds = json.loads((bronze_files(given) / ADDS).read_text(encoding="utf-8"))
    cap = f"{int(max(add['size'] for add in adds) * 0.8) // 1024}k"
    caps = {"max_bytes_per_trigger": cap, "refine_bytes_per_trigger": cap}
    settings = fresh.model_copy(update={"stream": fresh.stream.model_copy(update=caps)})
    done, memory, live = threading.Event(), list[int](), list[int]()
    besides = [
        threading.Thread(target=_sample, args=(memory, done), daemon=True),
        threading.Thread(target=_end_when_read, args=(settings, len(adds), live, done), daemon=True),
    ]
    for one in besides:
        one.start()
    try:
        with measured() as taken:
            stream_until(spark, settings, done, drain=False, queries=("refine", "bars"))
    finally:
        done.set()
    for one in besides:
        one.join()
    batches = seconds_a_row(log_of(settings))
    samples = {"memory": memory, "live": live}
    return {"wall": taken.wall, "cpu": taken.cpu, "events": given.trades, "batches": batches, **samples}


def _end_when_read(settings: Settings, files: int, live: list[int], done: threading.Event) -> None:
    """Set `done` once refine has read so many files of bronze, and bars every row it made of them; `live` is what the
    heap holds after a tenth of them, and then.
    """
    while not done.wait(SAMPLE_SECONDS):
        batches = entries_of(log_of(settings))
        refined = sum(entry["query"] == "refine" for entry in batches)
        if not live and refined >= files / 10:
            live.append(live_heap_bytes(os.getpid()))
        if refined == files:
            rows = DeltaTable(path_of(settings, TRADES)).to_pyarrow_dataset().count_rows()
            if sum(entry["rows"] for entry in batches if entry["query"] == "bars") == rows:
                live.append(live_heap_bytes(os.getpid()))
                done.set()


def _live(live: Sequence[int]) -> dict[str, float]:
    """How what lives in the heap has grown; nothing where no `jcmd` could tell."""
    return {"what lives in the driver's heap": live[-1] / live[0]} if len(live) > 1 and all(live) else {}


def _sample(memory: list[int], done: threading.Event) -> None:
    while not done.wait(SAMPLE_SECONDS):
        memory.append(tree_memory_bytes(os.getpid()))


def log_of(settings: Settings) -> Path:
    """The listener's log."""
    return Path(settings.paths.logs) / "stream.jsonl"


def entries_of(log: Path) -> list[dict[str, Any]]:
    """The lines of the listener's log about batches that had rows."""
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()  # the last line may be half written
    return [entry for line in lines if (entry := json.loads(line)).get("event") == "batch" and entry["rows"]]


def seconds_a_row(log: Path) -> dict[str, list[float]]:
    """Of every batch that had rows, by query: its seconds over its rows. Bars take in what has come meanwhile, so its
    batches are of different sizes.
    """
    found: dict[str, list[float]] = {}
    for entry in entries_of(log):
        seconds = entry["milliseconds"]["triggerExecution"] / 1000
        found.setdefault(entry["query"], []).append(seconds / entry["rows"])
    return found


def growth(values: Sequence[float]) -> float:
    """The median of the last tenth over that of the first, the very first value left out."""
    steady = values[1:]
    if not steady:
        raise ValueError(f"{len(values)} values say nothing about growth; there must be two at least.")
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
        grown = {"memory of the driver's tree": growth(outcome.memory), **_live(outcome.live)}
        result.verdicts += [limit(name, value, FATTER, FATTER, "x") for name, value in grown.items()]
        megabytes = ", then ".join(f"{one / 2**20:,.0f} MiB" for one in outcome.live)
        result.detail.append(f"lives in the driver's heap: {megabytes}")
        return result

    return Trial("f2", HOUR, run)
