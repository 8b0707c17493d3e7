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

INTERVALS: dict[str, int] = {
    "1s": 1_000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "1d": 0,
}  # fmt: skip
SESSION_CODES = {"pre": 0, "regular": 1, "post": 2}
PRINT_COLUMNS = (
    "kind", "session_date", "trade_id", "symbol", "instrument_id", "session", "traded_at", "received_at",
    "price", "size", "eligibility", "ord", "batch",
)  # fmt: skip
FATE_COLUMNS = ("dead_at", "fate")

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
        yield fold_table(pa.Table.from_batches(held), rules)


def fold_table(prints: pa.Table, rules: BarRules) -> pa.RecordBatch:
    """Rows with PRINT_COLUMNS (in a recompute FATE_COLUMNS too) to bars; cancels and sessionless prints build none."""
    prints = prints.filter(pc.and_(pc.not_equal(prints["kind"], "cancel"), pc.not_equal(prints["session"], "none")))
    days, session = _days(prints), _session_codes(prints)
    opens, closes = rules.sessions.bounds(days, session)
    if (opens < 0).any():  # a corrected calendar took the session away: such prints build no bar
        kept = opens >= 0
        prints, days, session = prints.filter(pa.array(kept)), days[kept], session[kept]
        opens, closes = opens[kept], closes[kept]
    instruments, instrument = _codes(prints["instrument_id"])
    symbols, symbol = _codes(prints["symbol"])
    group = instrument * 3 + session
    traded = _ms(prints["traded_at"])
    held_keys, held_batch = _held(rules, instruments)
    out = np.empty((max(len(traded), 1) * len(rules.intervals), kernel.WIDTH), np.int64)
    dead_at, fate = _fates(prints)
    lengths, daily = _lengths(rules)
    eligibility, order, batch = (prints[name].to_numpy().astype(np.int64) for name in ("eligibility", "ord", "batch"))
    count = kernel.fold(
        np.lexsort((traded, group)), group, symbol, opens, closes, traded, _ms(prints["received_at"]),
        _micros(prints["price"]), _micros(prints["size"]), eligibility, order, batch, dead_at, fate,
        _touched(prints, days, rules), lengths, daily, rules.grace_ms, held_keys, held_batch, out,
    )  # fmt: skip
    return _partial_rows(out[:count], rules, instruments, symbols, _day_of_start(opens, days))


def _ms(column: pa.ChunkedArray) -> Longs:
    milliseconds: Longs = column.cast(pa.int64()).to_numpy() // 1000
    return milliseconds


def _micros(column: pa.ChunkedArray) -> Longs:
    """The low words of DECIMAL(18,6), which are its whole millionths."""
    array = column.combine_chunks()
    words: Longs = np.frombuffer(array.buffers()[1], np.int64)
    return words[2 * array.offset : 2 * (array.offset + len(array)) : 2]


def _codes(column: pa.ChunkedArray) -> tuple[list[str], Longs]:
    """Distinct values in alphabetical order, and the place of each row's value among them."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(np.array(values, dtype=object), kind="stable")] = np.arange(len(values))
    return sorted(values), ranks[encoded.indices.to_numpy()] if len(values) else np.empty(0, np.int64)


def _days(prints: pa.Table) -> Longs:
    days: Longs = prints["session_date"].cast(pa.int32()).to_numpy().astype(np.int64)
    return days


def _session_codes(prints: pa.Table) -> Longs:
    names, place = _codes(prints["session"])
    return np.array([SESSION_CODES[name] for name in names], np.int64)[place] if names else place


def _fates(prints: pa.Table) -> tuple[Longs, Longs]:
    if "fate" not in prints.column_names:
        count = prints.num_rows
        return np.full(count, kernel.NEVER, np.int64), np.zeros(count, np.int64)
    dead_at = pc.fill_null(pc.divide(prints["dead_at"].cast(pa.int64()), 1000), kernel.NEVER)
    return dead_at.to_numpy(), prints["fate"].to_numpy().astype(np.int64)


def _touched(prints: pa.Table, days: Longs, rules: BarRules) -> Longs:
    if "fate" in prints.column_names:
        dead: Longs = (prints["fate"].to_numpy() != 0).astype(np.int64)
        return dead
    if not rules.referenced:
        return np.zeros(prints.num_rows, np.int64)
    suspects = pc.is_in(prints["trade_id"], value_set=pa.array(sorted({one for _, one in rules.referenced})))
    touched: Longs = suspects.to_numpy().astype(np.int64)
    for index in np.flatnonzero(touched):
        touched[index] = (int(days[index]), prints["trade_id"][int(index)].as_py()) in rules.referenced
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


def _day_of_start(opens: Longs, days: Longs) -> tuple[Longs, Longs]:
    """Distinct session openings in order with the exchange day of each, to name the day of a bar by its start."""
    found, first = np.unique(opens, return_index=True)
    return found, days[first]


def _decimal(high: Longs, low: Longs, kind: Any) -> pa.Array:
    """hi * 2**62 + lo as 128-bit decimals."""
    words = np.empty((len(low), 2), np.int64)
    words[:, 0] = ((high & 3) << 62) | low
    words[:, 1] = high >> 2
    return pa.Array.from_buffers(kind, len(low), [None, pa.py_buffer(words.tobytes())])


def _partial_rows(
    rows: NDArray[np.int64], rules: BarRules, instruments: list[str], symbols: list[str], openings: tuple[Longs, Longs]
) -> pa.RecordBatch:
    names = np.array(list(rules.intervals), dtype=object)
    opened, days = openings
    day = days[np.searchsorted(opened, rows[:, kernel.START], side="right") - 1]
    columns: dict[str, Any] = {
        "instrument_id": np.array(instruments, dtype=object)[rows[:, kernel.GROUP] // 3],
        "interval": names[rows[:, kernel.INTERVAL]],
        "bar_start": pa.array(rows[:, kernel.START] * 1000).cast(_INSTANT),
        "bar_end": pa.array(rows[:, kernel.END] * 1000).cast(_INSTANT),
        "session_date": pa.array(day.astype(np.int32)).cast(pa.date32()),
        "session": np.array(list(SESSION_CODES), dtype=object)[rows[:, kernel.GROUP] % 3],
        "symbol": np.array(symbols, dtype=object)[rows[:, kernel.SYMBOL]],
        "volume": _decimal(rows[:, kernel.VOLUME_HI], rows[:, kernel.VOLUME_LO], _SUM),
        "notional": _decimal(rows[:, kernel.NOTIONAL_HI], rows[:, kernel.NOTIONAL_LO], _SUM),
        "vwap_volume": _decimal(rows[:, kernel.VWAP_VOLUME_HI], rows[:, kernel.VWAP_VOLUME_LO], _SUM),
        "first_volume": _decimal(rows[:, kernel.FIRST_VOLUME_HI], rows[:, kernel.FIRST_VOLUME_LO], _SUM),
        "trades": rows[:, kernel.TRADES],
        "first_trades": rows[:, kernel.FIRST_TRADES],
        "late_prints": rows[:, kernel.LATE],
        "cancelled_prints": rows[:, kernel.CANCELLED],
        "corrected_prints": rows[:, kernel.CORRECTED],
        "touched": rows[:, kernel.TOUCHED],
        "min_batch": rows[:, kernel.MIN_BATCH],
        **_prices(rows, "", kernel.PRICES),
        **_prices(rows, "first_", kernel.FIRST_PRICES),
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in PARTIAL], schema=PARTIAL)


def _prices(rows: NDArray[np.int64], prefix: str, at: int) -> dict[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    for offset, name in enumerate(("open", "high", "low", "close", "open_ord", "close_ord")):
        values = rows[:, at + offset]
        known = values != kernel.ABSENT
        if offset < 4:
            valid = pa.array(known).buffers()[1]
            words = np.zeros((len(values), 2), np.int64)
            words[:, 0] = np.where(known, values, 0)
            found[prefix + name] = pa.Array.from_buffers(_PRICE, len(values), [valid, pa.py_buffer(words.tobytes())])
        else:
            found[prefix + name] = pa.array(values, mask=~known)
    return found
