"""Prints to bars: Arrow columns in, partial bars out. One implementation for the stream and for every recompute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.kernels import bars as kernel
from lakehouse.reference.calendar import SessionArrays

Longs = NDArray[np.int64]
Codes = NDArray[np.int32]

INTERVALS: dict[str, int] = {
    "1s": 1_000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "1d": 0,
}  # fmt: skip
SESSION_CODES = {"pre": 0, "regular": 1, "post": 2}
CODES = SESSION_CODES | {"none": -1}
PRINT_COLUMNS = (
    "kind", "session_date", "trade_id", "symbol", "instrument_id", "session", "traded_at", "received_at",
    "price", "size", "eligibility", "ord", "batch",
)  # fmt: skip
FATE_COLUMNS = ("dead_at", "fate")
NAMES = ("kind", "session", "symbol", "instrument_id")
NOTHING, NO_LONGS = np.empty(0, np.int32), np.empty(0, np.int64)

_INSTANT = pa.timestamp("us", "UTC")
_PRICE, _SUM = pa.decimal128(18, 6), pa.decimal128(28, 6)
PARTIAL = pa.schema(
    [
        ("instrument_id", pa.string()),
        ("interval", pa.string()),
        ("bar_start", _INSTANT),
        ("bar_end", _INSTANT),
        ("session_date", pa.date32()),
        ("session", pa.string()),
        ("symbol", pa.string()),
        *((name, _PRICE) for name in ("open", "high", "low", "close")),
        *((name, _SUM) for name in ("volume", "notional", "vwap_volume")),
        *((name, pa.int64()) for name in ("trades", "open_ord", "close_ord")),
        *((f"first_{name}", _PRICE) for name in ("open", "high", "low", "close")),
        ("first_volume", _SUM),
        *((f"first_{name}", pa.int64()) for name in ("trades", "open_ord", "close_ord")),
        *((name, pa.int64()) for name in ("late_prints", "cancelled_prints", "corrected_prints")),
        ("touched", pa.int64()),
        ("min_batch", pa.int64()),
    ]
)
_DDL = {_INSTANT: "timestamp", _PRICE: "decimal(18,6)", _SUM: "decimal(28,6)", pa.string(): "string"}
_DDL |= {pa.int64(): "bigint", pa.date32(): "date"}
PARTIAL_DDL = ", ".join(f"{field.name} {_DDL[field.type]}" for field in PARTIAL)


@dataclass(frozen=True)
class BarRules:
    """What bars depend on besides the prints; travels to the executors with the task.

    `referenced` are the keys (exchange day, trade id) some cancel or correction refers to: a bar that takes in such a
    print is marked as touched. `held` are bars already recomputed: (instrument_id, interval, start in ms, through
    batch).
    """

    sessions: SessionArrays
    grace_ms: int = 10_000
    intervals: tuple[str, ...] = tuple(INTERVALS)
    referenced: frozenset[tuple[int, str]] = frozenset()
    held: tuple[tuple[str, str, int, int], ...] = ()


def fold_batches(batches: Iterable[pa.RecordBatch], rules: BarRules) -> Iterator[pa.RecordBatch]:
    """All prints of one task in, its bars out. A task holds whole instruments, or its bars must be merged."""
    held = [batch for batch in batches if batch.num_rows]
    if held:
        yield as_plain(fold_table(pa.Table.from_batches(held), rules))


def fold_table(prints: pa.Table, rules: BarRules) -> pa.RecordBatch:
    """Rows with PRINT_COLUMNS (in a recompute FATE_COLUMNS too) to bars; cancels and sessionless prints build none.

    Names come out as dictionaries, which Parquet takes as they are; `as_plain` spells them out.
    """
    tape = _Tape.of(prints, rules)
    laid, bounds = tape.laid_out(_touched(prints, rules))
    lengths, daily = _lengths(rules)
    held_keys, held_batch = _held(rules, tape.instruments)
    out = np.empty((kernel.WIDTH, max(len(laid), 1) * len(rules.intervals)), np.int64)
    count = kernel.fold(
        laid, bounds, tape.first_key, tape.opens, tape.closes, _dead_at(prints), lengths, daily, rules.grace_ms,
        held_keys, held_batch, out,
    )  # fmt: skip
    return _partial_rows(out[:, :count], rules, tape.instruments, tape.symbols)


def as_plain(bars: pa.RecordBatch) -> pa.RecordBatch:
    """Bars with names as strings, which is how Spark takes them."""
    return bars.cast(PARTIAL)


@dataclass(frozen=True)
class _Tape:
    """Prints as numbers: what each name stands for, and when the sessions of their days open and close.

    A day key is day * 3 + kind of session; `opens` and `closes` list them from `first_key` on, -1 where the calendar
    (a corrected one, perhaps) has no such session: its prints build no bar.
    """

    batches: list[pa.RecordBatch]
    instruments: list[str]
    symbols: list[str]
    first_key: int
    opens: Longs
    closes: Longs

    @classmethod
    def of(cls, prints: pa.Table, rules: BarRules) -> _Tape:
        for name in NAMES:
            if not pa.types.is_dictionary(prints.schema.field(name).type):
                at = prints.column_names.index(name)
                prints = prints.set_column(at, name, prints[name].dictionary_encode())
        batches = [batch for batch in prints.unify_dictionaries().to_batches() if batch.num_rows]
        instruments, symbols = (
            sorted(batches[0][name].dictionary.to_pylist()) if batches else [] for name in ("instrument_id", "symbol")
        )
        spans = [pc.min_max(batch["session_date"]) for batch in batches]
        first = min((_day_of(span["min"]) for span in spans), default=0)
        last = max((_day_of(span["max"]) for span in spans), default=0)
        keys = np.arange(first * 3, last * 3 + 3, dtype=np.int64)
        opens, closes = rules.sessions.bounds(keys // 3, keys % 3)
        return cls(batches, instruments, symbols, first * 3, opens, closes)

    def laid_out(self, touched: Codes) -> tuple[Longs, Longs]:
        """The prints by instrument and kind of session, and where each such group begins."""
        placed = [self._placed(batch) for batch in self.batches]
        counts = np.zeros(len(self.instruments) * 3, np.int64)
        for group, _ in placed:
            counts += np.bincount(group[group >= 0], minlength=len(counts))
        bounds = np.concatenate([[0], np.cumsum(counts)])
        laid, slots, first = np.empty((int(bounds[-1]), kernel.PRINT_WIDTH), np.int64), bounds[:-1].copy(), 0
        for batch, (group, day_key) in zip(self.batches, placed, strict=True):
            kernel.lay_out(
                group, _codes(batch["symbol"], self.symbols), day_key, _micros_since_1970(batch["traded_at"]),
                _micros_since_1970(batch["received_at"]), _micros(batch["price"]), _micros(batch["size"]),
                batch["eligibility"].to_numpy(), batch["ord"].to_numpy(), batch["batch"].to_numpy(),
                batch["fate"].to_numpy().astype(np.int32) if "fate" in batch.schema.names else NOTHING,
                touched[first : first + batch.num_rows], first, slots, laid,
            )  # fmt: skip
            first += batch.num_rows
        return laid, bounds

    def _placed(self, batch: pa.RecordBatch) -> tuple[Codes, Codes]:
        """Group and day key of each row; the group is NO_GROUP where a row builds no bar."""
        kinds, sessions = (batch[name].dictionary.to_pylist() for name in ("kind", "session"))
        session = _looked_up(batch["session"], [CODES[name] for name in sessions])
        group = _codes(batch["instrument_id"], self.instruments) * 3 + session
        day_key = batch["session_date"].cast(pa.int32()).to_numpy() * 3 + session - self.first_key
        builds = session >= 0
        if "cancel" in kinds:
            builds &= _looked_up(batch["kind"], [name != "cancel" for name in kinds]) == 1
        builds &= self.opens[day_key] >= 0
        return np.where(builds, group, kernel.NO_GROUP).astype(np.int32), day_key.astype(np.int32)


def _day_of(day: pa.Date32Scalar) -> int:
    return int(day.cast(pa.int32()).as_py())


def _looked_up(column: pa.DictionaryArray, values: list[int]) -> Codes:
    """For each row the value of its dictionary entry."""
    found: Codes = np.array(values, np.int32)[column.indices.to_numpy()]
    return found


def _codes(column: pa.DictionaryArray, names: list[str]) -> Codes:
    """The place of each row's name in the alphabetical list of names."""
    place = {name: code for code, name in enumerate(names)}
    return _looked_up(column, [place[name] for name in column.dictionary.to_pylist()])


def _micros_since_1970(column: pa.Array) -> Longs:
    microseconds: Longs = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return microseconds


def _micros(array: pa.Array) -> Longs:
    """The low words of DECIMAL(18,6), which are its whole millionths."""
    words: Longs = np.frombuffer(array.buffers()[1], np.int64)
    return words[2 * array.offset : 2 * (array.offset + len(array)) : 2]


def _dead_at(prints: pa.Table) -> Longs:
    """When the word of each print's death was received, in ms; NEVER for the living."""
    if "dead_at" not in prints.column_names:
        return NO_LONGS
    dead_at: Longs = pc.fill_null(pc.divide(prints["dead_at"].cast(pa.int64()), 1000), kernel.NEVER).to_numpy()
    return dead_at


def _touched(prints: pa.Table, rules: BarRules) -> Codes:
    """1 for each print that died, or that some cancel or correction refers to; empty where nobody is."""
    if "fate" in prints.column_names:
        dead: Codes = (prints["fate"].to_numpy() != 0).astype(np.int32)
        return dead
    if not rules.referenced:
        return NOTHING
    suspects = pc.is_in(prints["trade_id"], value_set=pa.array(sorted({one for _, one in rules.referenced})))
    touched: Codes = suspects.to_numpy().astype(np.int32)
    for index in np.flatnonzero(touched):
        key = (_day_of(prints["session_date"][int(index)]), prints["trade_id"][int(index)].as_py())
        touched[index] = key in rules.referenced
    return touched


def _lengths(rules: BarRules) -> tuple[Longs, Longs]:
    lengths = np.array([INTERVALS[name] for name in rules.intervals], np.int64)
    return lengths, (lengths == 0).astype(np.int64)


def _held(rules: BarRules, instruments: list[str]) -> tuple[Longs, Longs]:
    """Recomputed bars as sorted keys (group, interval, start), under each session: a start lies in one only."""
    place = {name: code for code, name in enumerate(instruments)}
    rows = sorted(
        (place[instrument] * 3 + session, rules.intervals.index(interval), start, through)
        for instrument, interval, start, through in rules.held
        if instrument in place and interval in rules.intervals
        for session in range(3)
    )
    table = np.array(rows, np.int64).reshape(-1, 4)
    return np.ascontiguousarray(table[:, :3]), np.ascontiguousarray(table[:, 3])


def _decimal(high: Longs, low: Longs, kind: Any) -> pa.Array:
    """hi * 2**62 + lo as 128-bit decimals."""
    words = np.empty((len(low), 2), np.int64)
    words[:, 0] = ((high & 3) << 62) | low
    words[:, 1] = high >> 2
    return pa.Array.from_buffers(kind, len(low), [None, pa.py_buffer(words)])


def _partial_rows(
    rows: NDArray[np.int64], rules: BarRules, instruments: list[str], symbols: list[str]
) -> pa.RecordBatch:
    columns: dict[str, Any] = {
        "instrument_id": _named(rows[kernel.GROUP] // 3, instruments),
        "interval": _named(rows[kernel.INTERVAL], list(rules.intervals)),
        "bar_start": pa.array(rows[kernel.START] * 1000).cast(_INSTANT),
        "bar_end": pa.array(rows[kernel.END] * 1000).cast(_INSTANT),
        "session_date": pa.array((rows[kernel.DAY_KEY] // 3).astype(np.int32)).cast(pa.date32()),
        "session": _named(rows[kernel.GROUP] % 3, list(SESSION_CODES)),
        "symbol": _named(rows[kernel.SYMBOL], symbols),
        "volume": _decimal(rows[kernel.VOLUME_HI], rows[kernel.VOLUME_LO], _SUM),
        "notional": _decimal(rows[kernel.NOTIONAL_HI], rows[kernel.NOTIONAL_LO], _SUM),
        "vwap_volume": _decimal(rows[kernel.VWAP_VOLUME_HI], rows[kernel.VWAP_VOLUME_LO], _SUM),
        "first_volume": _decimal(rows[kernel.FIRST_VOLUME_HI], rows[kernel.FIRST_VOLUME_LO], _SUM),
        "trades": rows[kernel.TRADES],
        "first_trades": rows[kernel.FIRST_TRADES],
        "late_prints": rows[kernel.LATE],
        "cancelled_prints": rows[kernel.CANCELLED],
        "corrected_prints": rows[kernel.CORRECTED],
        "touched": rows[kernel.TOUCHED],
        "min_batch": rows[kernel.MIN_BATCH],
        **_prices(rows, "", kernel.PRICES),
        **_prices(rows, "first_", kernel.FIRST_PRICES),
    }
    return pa.record_batch({name: columns[name] for name in PARTIAL.names})


def _named(codes: Longs, names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), pa.array(names, pa.string()))


def _prices(rows: NDArray[np.int64], prefix: str, at: int) -> dict[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    for offset, name in enumerate(("open", "high", "low", "close", "open_ord", "close_ord")):
        values = rows[at + offset]
        unknown = values == kernel.ABSENT
        has_gaps = bool(unknown.any())
        if offset < 4:
            valid = pa.array(~unknown).buffers()[1] if has_gaps else None
            words = np.zeros((len(values), 2), np.int64)
            words[:, 0] = np.where(unknown, 0, values) if has_gaps else values
            found[prefix + name] = pa.Array.from_buffers(_PRICE, len(values), [valid, pa.py_buffer(words)])
        else:
            found[prefix + name] = pa.array(values, mask=unknown if has_gaps else None)
    return found
