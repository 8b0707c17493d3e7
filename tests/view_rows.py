"""Prints with cancels and corrections, bars, a split and a listing: the rows that the views are tested on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from lakehouse.reference.calendar import Row, TradingDays, sessions_for
from lakehouse.reference.lean import LeanFiles, corporate_actions_from, instruments_from
from lakehouse.tables.gold import BARS

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
HALF_DAY = date(2015, 12, 24)


def event(trade_id: str, kind: str = "trade", ref: str | None = None, *, after: int = 0, eligibility: int = 15) -> Row:
    """A row of silver.trades; `after` is the second in which it was received."""
    return {
        "session_date": DAY, "trade_id": trade_id, "kind": kind, "ref_session_date": DAY if ref else None,
        "ref_trade_id": ref, "symbol": "X", "instrument_id": "X-1", "feed": "sim", "venue": None, "traded_at": NOON,
        "received_at": NOON + timedelta(seconds=after), "session": "regular", "price": Decimal(10), "size": Decimal(1),
        "conditions": None, "eligibility": eligibility, "ord": 1, "batch": 1, "bronze_ref": "f/0/0", "position": 0,
    }  # fmt: skip


def cancel(trade_id: str, ref: str, after: int) -> Row:
    return event(trade_id, "cancel", ref, after=after)


def correct(trade_id: str, ref: str, after: int) -> Row:
    return event(trade_id, "correct", ref, after=after)


STORIES: dict[str, tuple[list[Row], list[str]]] = {
    "a cancel": ([event("t"), cancel("x", "t", 1)], []),
    "two cancels": ([event("t"), cancel("x", "t", 1), cancel("y", "t", 2)], []),
    "a cancel before its trade": ([cancel("x", "t", 0), event("t", after=9)], []),
    "a correction": ([event("t"), correct("c", "t", 1)], ["c"]),
    "two corrections of one print": ([event("t"), correct("c", "t", 2), correct("d", "t", 1)], ["c"]),
    "two corrections at once": ([event("t"), correct("c", "t", 1), correct("d", "t", 1)], ["d"]),
    "a correction, then a cancel": ([event("t"), correct("c", "t", 1), cancel("x", "t", 2)], []),
    "a cancel, then a correction": ([event("t"), cancel("x", "t", 1), correct("c", "t", 2)], ["c"]),
    "a chain": ([event("t"), correct("c", "t", 1), correct("d", "c", 2)], ["d"]),
    "a cancelled correction": ([event("t"), correct("c", "t", 1), cancel("x", "c", 2)], []),
    "of another date": ([event("t"), {**cancel("x", "t", 1), "ref_session_date": date(2026, 3, 3)}], ["t"]),
}


def within(story: str, row: Row) -> Row:
    ref = row["ref_trade_id"]
    return {**row, "trade_id": f"{story}/{row['trade_id']}", "ref_trade_id": ref and f"{story}/{ref}"}


def bar(start: datetime, minutes: int, close: float | None, **changes: Any) -> Row:
    """A row of gold.bars; the price is the same all through it."""
    price = None if close is None else Decimal(str(close))
    row: Row = dict.fromkeys(BARS.column_names)
    row |= dict.fromkeys(("notional", "vwap_volume", "first_volume"), Decimal(0))
    row |= dict.fromkeys(("late_prints", "cancelled_prints", "corrected_prints", "revision", "first_trades"), 0)
    row |= dict.fromkeys(("open", "high", "low", "close"), price)
    row |= {
        "instrument_id": "X-1", "interval": f"{minutes}m", "bar_start": start, "session_date": start.date(),
        "bar_end": start + timedelta(minutes=minutes), "session": "regular", "symbol": "X", "volume": Decimal(100),
        "trades": 1, "source": "built", "updated_at": start,
    }  # fmt: skip
    row |= changes
    return {**row, "final_at": row["bar_end"] + timedelta(seconds=10)}


def apples_split() -> list[Row]:
    """Apple's seven for one of 2014-06-09 among its corporate actions."""
    files = LeanFiles(
        {"aapl": "19980102,aapl\n20501231,aapl"},
        {"aapl": "19980102,0.9,0.03571430,1\n20140606,0.9011818,0.03571430,645.57\n20501231,0.9011818,0.25,94.97"},
    )
    return corporate_actions_from(files, TradingDays.of(sessions_for("XNYS", date(1998, 1, 1), date(2014, 12, 31))))


def a_dividend_without_a_factor() -> Row:
    """Three dollars of Apple's on the day of that split, as a source that knows no prices tells of them."""
    split = next(row for row in apples_split() if row["action"] == "split")
    return {**split, "action": "dividend", "ratio": None, "amount": Decimal(3), "price_factor": None}


def bars_around_the_split() -> list[Row]:
    """Apple's daily bars of the Friday before it and the Monday of it."""
    apple = {"instrument_id": "AAPL-19980102", "interval": "1d", "symbol": "AAPL"}
    return [
        bar(datetime(2014, 6, 6, 14, tzinfo=UTC), 390, 645.57, volume=Decimal(12_497_800), **apple),
        bar(datetime(2014, 6, 9, 14, tzinfo=UTC), 390, 93.70, volume=Decimal(75_414_997), **apple),
    ]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2015-12-{text}+00:00")


def around_christmas() -> list[Row]:
    """The sessions from the half day before Christmas 2015 to the Monday after."""
    return sessions_for("XNYS", HALF_DAY, date(2015, 12, 28))


def apples_listing() -> Row:
    """Apple's, with its filer."""
    return {
        **listing(), "instrument_id": "AAPL-19980102", "ticker": "AAPL", "valid_from": date(1998, 1, 2),
        "cik": 320193, "cik_from": date(1994, 1, 26), "sector": "technology",
    }  # fmt: skip


def listing() -> Row:
    """X-1, the instrument of bars and prints here."""
    files = LeanFiles({"x": "20151224,x\n20501231,x"}, {})
    return {**instruments_from(files, TradingDays.of(around_christmas()))[0], "instrument_id": "X-1"}
