"""What bars are made by and what they look like: intervals, rules, and the columns of a partial bar."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from lakehouse.reference.calendar import SessionArrays

INTERVALS: dict[str, int] = {
    "1s": 1_000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "1d": 0,
}  # fmt: skip
SESSION_CODES = {"pre": 0, "regular": 1, "post": 2}
PRINT_COLUMNS = (
    "kind", "session_date", "trade_id", "symbol", "instrument_id", "session", "traded_at", "received_at",
    "price", "size", "eligibility", "ord", "batch",
)  # fmt: skip
FATE_COLUMNS = ("dead_at", "fate")

INSTANT = pa.timestamp("us", "UTC")
PRICE, SUM = pa.decimal128(18, 6), pa.decimal128(28, 6)
PARTIAL = pa.schema(
    [
        ("instrument_id", pa.string()),
        ("interval", pa.string()),
        ("bar_start", INSTANT),
        ("bar_end", INSTANT),
        ("session_date", pa.date32()),
        ("session", pa.string()),
        ("symbol", pa.string()),
        *((name, PRICE) for name in ("open", "high", "low", "close")),
        *((name, SUM) for name in ("volume", "notional", "vwap_volume")),
        *((name, pa.int64()) for name in ("trades", "open_ord", "close_ord")),
        *((f"first_{name}", PRICE) for name in ("open", "high", "low", "close")),
        ("first_volume", SUM),
        *((f"first_{name}", pa.int64()) for name in ("trades", "open_ord", "close_ord")),
        *((name, pa.int64()) for name in ("late_prints", "cancelled_prints", "corrected_prints")),
        ("touched", pa.int64()),
        ("min_batch", pa.int64()),
    ]
)
_DDL = {INSTANT: "timestamp", PRICE: "decimal(18,6)", SUM: "decimal(28,6)", pa.string(): "string"}
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
