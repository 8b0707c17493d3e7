"""The bytewax rival: messages to bars of three lengths by event-time windows, with recovery, as its guide writes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import pyarrow.parquet as pq
from bytewax.connectors.files import FileSink
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main
from pydantic_core import from_json

LENGTHS = {"1s": timedelta(seconds=1), "1m": timedelta(minutes=1), "5m": timedelta(minutes=5)}
WAIT = timedelta(minutes=10)
ALIGNED = datetime(2026, 1, 1, tzinfo=UTC)
PER_BATCH = 1_000
FIRST_MS, LAST_MS = 631_152_000_000, 4_102_444_800_000


@dataclass(slots=True)
class Trade:
    """What a bar needs of one trade."""

    at: datetime
    price: float
    size: float
    order: int


@dataclass(slots=True)
class Bar:
    """A bar while it grows."""

    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0
    notional: float = 0.0
    trades: int = 0
    first: int = 1 << 63
    last: int = -1


class _Records(StatefulSourcePartition[bytes, int]):
    """The payloads of some Parquet files, from the place a snapshot remembers."""

    def __init__(self, folder: Path, resumed: int | None) -> None:
        files = sorted(folder.glob("*.parquet"))
        self._payloads = [one for file in files for one in pq.read_table(file, columns=["payload"])["payload"]]
        self._at = resumed or 0

    def next_batch(self) -> list[bytes]:
        if self._at >= len(self._payloads):
            raise StopIteration
        batch = self._payloads[self._at : self._at + PER_BATCH]
        self._at += len(batch)
        return [one.as_py() for one in batch]

    def snapshot(self) -> int:
        return self._at


@dataclass
class Records(FixedPartitionedSource[bytes, int]):
    """Bronze payloads as one partition."""

    folder: Path

    def list_parts(self) -> list[str]:
        return ["all"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> _Records:
        return _Records(self.folder, resume_state)


def bars_of(records: Path, output: Path, recovery: Path) -> Path:
    """Run the dataflow to its end; the bars lie in the file it returns, one line each."""
    recovery.mkdir(parents=True)
    init_db_dir(recovery, 1)  # type: ignore[no-untyped-call]
    output.mkdir(parents=True)
    file = output / "bars.csv"
    flow = Dataflow("bars")
    messages = op.input("records", flow, Records(records))
    trades = op.flat_map("parse", messages, parse)
    clock: win.EventClock[Trade] = win.EventClock(ts_getter=lambda trade: trade.at, wait_for_system_duration=WAIT)
    made = []
    for name, length in LENGTHS.items():
        windower = win.TumblingWindower(length=length, align_to=ALIGNED)
        bars = win.fold_window(f"bars-{name}", trades, clock, windower, Bar, fold, merge, ordered=False)
        made.append(op.map(f"lines-{name}", bars.down, _line_of(name, length)))
    op.output("file", op.merge("all", *made), FileSink(file))
    run_main(flow, recovery_config=RecoveryConfig(recovery))  # type: ignore[no-untyped-call]
    return file


def parse(payload: bytes) -> Iterable[tuple[str, Trade]]:
    """The good trades of one message, by symbol."""
    try:
        message: Any = from_json(payload)
    except ValueError:
        return
    for one in message["data"]:
        price, size, at = one["p"], one["v"], one["t"]
        if price is not None and price > 0 and size > 0 and FIRST_MS <= at < LAST_MS:
            order = at << 20 | one["seq"]
            yield one["s"], Trade(datetime.fromtimestamp(at / 1000, UTC), price, size, order)


def fold(bar: Bar, trade: Trade) -> Bar:
    """One more trade in a bar."""
    if bar.trades == 0:
        bar.high = bar.low = trade.price
    elif trade.price > bar.high:
        bar.high = trade.price
    elif trade.price < bar.low:
        bar.low = trade.price
    if trade.order < bar.first:
        bar.open, bar.first = trade.price, trade.order
    if trade.order > bar.last:
        bar.close, bar.last = trade.price, trade.order
    bar.volume += trade.size
    bar.notional += trade.price * trade.size
    bar.trades += 1
    return bar


def merge(one: Bar, other: Bar) -> Bar:
    """Tumbling windows never merge."""
    raise AssertionError(f"{one} and {other} should not meet")


def _line_of(name: str, length: timedelta) -> Any:
    def line(item: tuple[str, tuple[int, Bar]]) -> tuple[str, str]:
        symbol, (number, bar) = item
        start = int((ALIGNED + number * length).timestamp() * 1000)
        amounts = f"{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume},{bar.notional}"
        return symbol, f"I-{symbol},{name},{start},{amounts},{bar.trades}"

    return line
