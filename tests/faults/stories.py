"""Small stories of cancels and corrections, each on an instrument of its own, told in three batches, with the bar
they end in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tests.faults.market import MINUTE, SECOND, Record, Sent, raw_records

OPEN_MS = int(datetime(2024, 11, 27, 14, 30, tzinfo=UTC).timestamp()) * 1000
DAY = 86_400_000
ARRIVED_MS = OPEN_MS + 10 * DAY
MICROS = 1_000_000
Prices = tuple[float | None, float | None, float | None, float | None]
NOTHING: Prices = (None, None, None, None)


@dataclass(frozen=True)
class Story:
    """What happens, and the minute bar at the open as it ends: open, high, low, close, now and as first published."""

    name: str
    batches: tuple[Sequence[Sent], ...]
    now: Prices
    first: Prices
    trades: int
    cancelled: int = 0
    corrected: int = 0
    late: int = 0


def sent(identity: str, at: int, price: float, *, after: int = 5, **more: object) -> Sent:
    """A print of 100 shares `at` ms after the open of 2024-11-27, received `after` ms later."""
    one = Sent("", OPEN_MS + at, OPEN_MS + at + after, round(price * MICROS), 100 * MICROS, identity, 0, ("@",))
    return replace(one, **more)  # type: ignore[arg-type]


def cancel(identity: str, ref: str, *, after: int = 5 * MINUTE, **more: object) -> Sent:
    """A cancel of `ref`, received `after` ms after the open."""
    return sent(identity, 0, 1, after=after, kind="cancel", ref=ref, **more)


def correct(identity: str, ref: str, price: float, *, at: int = 10 * SECOND, after: int = 5 * MINUTE) -> Sent:
    """A correction of `ref`, for a print at `at` ms, received `after` ms later."""
    return sent(identity, at, price, after=after, kind="correct", ref=ref)


A, H, L, Z = sent("a", 0, 10), sent("h", 10 * SECOND, 12), sent("l", 20 * SECOND, 9), sent("z", 50 * SECOND, 11)
BASE = (A, H, L, Z)
WHOLE: Prices = (10, 12, 9, 11)
YESTERDAY = replace(sent("y", 0, 14), traded_ms=OPEN_MS - DAY, received_ms=OPEN_MS - DAY + 5)

NO_HIGH: Prices = (10, 11, 9, 11)
ONLY_A: Prices = (10, 10, 10, 10)
X, X_AGAIN = cancel("x", "h"), cancel("x2", "h", after=6 * MINUTE)
C, C_FIRST = correct("c", "h", 13), correct("c", "h", 13, after=20)
D, D_OF_C = correct("d", "h", 14, after=6 * MINUTE), correct("d", "c", 14, after=6 * MINUTE)
LATE_H, LATE_Q = replace(H, received_ms=OPEN_MS + 9 * MINUTE), sent("q", 30 * SECOND, 15, after=8 * MINUTE)
LAST_MS = 70 * SECOND  # of the grace of the minute bar

STORIES = (
    Story("cancel the high", (BASE, (X,)), NO_HIGH, WHOLE, 3, cancelled=1),
    Story("cancel the low", (BASE, (cancel("x", "l"),)), (10, 12, 10, 11), WHOLE, 3, cancelled=1),
    Story("cancel the open", (BASE, (cancel("x", "a"),)), (12, 12, 9, 11), WHOLE, 3, cancelled=1),
    Story("cancel the close", (BASE, (cancel("x", "z"),)), (10, 12, 9, 9), WHOLE, 3, cancelled=1),
    Story("cancel the only print", ((A,), (), (cancel("x", "a"),)), NOTHING, ONLY_A, 0, cancelled=1),
    Story("cancel without price", (BASE, (replace(X, is_bare=True),)), NO_HIGH, WHOLE, 3, cancelled=1),
    Story("cancel that names the date", (BASE, (cancel("x", "2024-11-27/h"),)), NO_HIGH, WHOLE, 3, cancelled=1),
    Story("cancel at once", (BASE, (cancel("x", "h", after=30 * SECOND),)), NO_HIGH, NO_HIGH, 3, cancelled=1),
    Story("cancel just in time", (BASE, (cancel("x", "h", after=LAST_MS),)), NO_HIGH, NO_HIGH, 3, cancelled=1),
    Story("cancel just too late", (BASE, (cancel("x", "h", after=LAST_MS + 1),)), NO_HIGH, WHOLE, 3, cancelled=1),
    Story("cancel in one batch with its trade", ((*BASE, X),), NO_HIGH, WHOLE, 3, cancelled=1),
    Story("cancel before its trade", ((A, L, cancel("x", "h", after=1)), (), (H, Z)), NO_HIGH, NO_HIGH, 3, cancelled=1),
    Story("cancel twice", (BASE, (X,), (X_AGAIN,)), NO_HIGH, WHOLE, 3, cancelled=1),
    Story("cancel sent again", (BASE, (X,), (X,)), NO_HIGH, WHOLE, 3, cancelled=1),
    Story("cancel of what never was", (BASE, (cancel("x", "ghost"),)), WHOLE, WHOLE, 4),
    Story("correct the high", (BASE, (C,)), (10, 13, 9, 11), WHOLE, 4, corrected=1, late=1),
    Story("correct into another bar", (BASE, (correct("c", "h", 13, at=3 * MINUTE),)), NO_HIGH, WHOLE, 3, corrected=1),
    Story("correct first", ((A, C_FIRST), (L, Z), (H,)), (10, 13, 9, 11), (10, 13, 9, 11), 4, corrected=1),
    Story("chain of corrections", (BASE, (C,), (D_OF_C,)), (10, 14, 9, 11), WHOLE, 4, corrected=2, late=2),
    Story("two corrections", (BASE, (C,), (D,)), (10, 14, 9, 11), WHOLE, 4, corrected=2, late=2),
    Story("two corrections, last word first", (BASE, (D,), (C,)), (10, 14, 9, 11), WHOLE, 4, corrected=2, late=2),
    Story("cancel of a correction", (BASE, (C,), (cancel("x", "c", after=6 * MINUTE),)), NO_HIGH, WHOLE, 3, 1, 1, 1),
    Story("cancel of what was corrected", (BASE, (C,), (X_AGAIN,)), NO_HIGH, WHOLE, 3, 2, 0, 1),
    Story("older cancel", (BASE, (C,), (cancel("x", "h", after=4 * MINUTE),)), (10, 13, 9, 11), WHOLE, 4, 0, 1, 1),
    Story("late print after a recompute", (BASE, (X,), (LATE_Q,)), (10, 15, 9, 11), WHOLE, 4, 1, 0, 1),
    Story("late print, then its cancel", ((A,), (LATE_H,), (cancel("x", "h", after=DAY),)), ONLY_A, ONLY_A, 1, 1, 0, 1),
    Story(
        "yesterday's print corrected into today",
        ((A, YESTERDAY), (correct("c", "2024-11-26/y", 13),)), (10, 13, 10, 13), ONLY_A, 2, 0, 0, 1,
    ),
)  # fmt: skip


def ticker(number: int) -> str:
    """The instrument of the story with this number."""
    return f"C{number:02d}"


def batches() -> list[pa.Table]:
    """The three batches in which all stories happen at once; ids are made unique over the stories."""
    tables = []
    for batch in range(3):
        lines = []
        for number, story in enumerate(STORIES):
            prints = story.batches[batch] if batch < len(story.batches) else ()
            body = ",".join(_own(one, number).text() for one in prints)
            lines.append(f'{{"type":"trade","feed":"sim","data":[{body}]}}'.encode())
        tables.append(raw_records([Record(ARRIVED_MS, line) for line in lines], shard=str(batch)))
    return tables


def _own(one: Sent, number: int) -> Sent:
    name = ticker(number)
    day, slash, ref = (one.ref or "").rpartition("/")
    own_ref = None if one.ref is None else f"{day}{slash}{name}-{ref}"
    return replace(one, symbol=name, trade_id=f"{name}-{one.trade_id}", ref=own_ref)


def ends(bars: pa.Table) -> dict[str, tuple[object, ...]]:
    """How each story's minute at the open ends in a table of bars, in the terms of `Story`."""
    found = {}
    for row in bars.to_pylist():
        if row["interval"] == "1m" and row["start_ms"] == OPEN_MS:
            now, first = _prices(row, ""), _prices(row, "first_")
            counts = (row["trades"], row["cancelled_prints"], row["corrected_prints"], row["late_prints"])
            found[row["symbol"]] = (now, first, *map(int, counts))
    return found


def _prices(row: dict[str, Any], prefix: str) -> tuple[float | None, ...]:
    found = (row[prefix + name] for name in ("open", "high", "low", "close"))
    return tuple(None if micros is None else int(micros) / MICROS for micros in found)


def told() -> dict[str, tuple[object, ...]]:
    """How each story must end."""
    return {
        ticker(number): (one.now, one.first, one.trades, one.cancelled, one.corrected, one.late)
        for number, one in enumerate(STORIES)
    }
