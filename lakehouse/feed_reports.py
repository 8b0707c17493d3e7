"""Rows of gold.feed_health and gold.completeness for one date, and how they replace what was judged before."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from lakehouse.completeness import Scorecard, Tolerance, Witnessed, lost_numbers, scorecard
from lakehouse.feed_evidence import (
    Hours,
    Told,
    arrivals,
    hours_of,
    numbers_seen,
    vendor_volumes,
    volumes,
)
from lakehouse.feed_health import Rates, judge_session, usual_rates
from lakehouse.lake import Lake
from lakehouse.reference.calendar import EPOCH, SESSION_CODES, SessionArrays, day_number
from lakehouse.tables import Table

Row = dict[str, Any]
MILLIONTHS = Decimal("0.000001")


def usual_of(lake: Lake, feed: str, hours: Hours, sessions: SessionArrays, how_many: int) -> dict[str, Rates]:
    """Usual prints a minute of each symbol, from the sessions before this one in which the feed delivered anything."""
    regular = sessions.session == SESSION_CODES["regular"]
    earlier = sessions.session_day[regular & (sessions.session_day < day_number(hours.day))][-how_many:]
    past = [hours_of(sessions, EPOCH + timedelta(days=number)) for number in earlier.tolist()]
    held = [one for one in past if one is not None]
    found = arrivals(lake, feed, held)
    counts = [(one.minutes, counted) for one, counted in zip(held, found, strict=True) if counted]
    return usual_rates(by_symbol(counts, hours.minutes), hours.minutes)


def by_symbol(counts: list[tuple[int, dict[str, NDArray[np.int64]]]], minutes: int) -> dict[str, NDArray[np.float64]]:
    """Sessions' counts as one table a symbol, a row each: NaN past the end of a shorter session, 0 where it was silent.

    Sessions before a symbol's first print are left out: it was not watched yet.
    """
    tables: dict[str, list[NDArray[np.float64]]] = {}
    for length, found in counts:
        for symbol in {*tables, *found}:
            row = np.full(minutes, np.nan)
            row[: min(length, minutes)] = found.get(symbol, np.zeros(length))[:minutes]
            tables.setdefault(symbol, []).append(row)
    return {symbol: np.vstack(rows) for symbol, rows in tables.items()}


def health_rows(
    lake: Lake,
    feed: str,
    hours: Hours,
    usual: dict[str, Rates],
    alive: NDArray[np.bool_],
    symbols: set[str],
    *,
    mute_prints: float,
    now: datetime,
) -> list[Row]:
    """Stretches of one session, for the symbols that are watched or that printed."""
    if not hours.minutes:
        return []
    (found,) = arrivals(lake, feed, [hours])
    watched = {one: found.get(one, np.zeros(hours.minutes, np.int64)) for one in {*symbols, *found}}
    opens = datetime.fromtimestamp(hours.opens_ms / 1000, UTC)
    common = {"feed": feed, "session_date": hours.day, "session": "regular", "checked_at": now}
    return [
        {
            **common, "symbol": one.symbol, "since": opens + timedelta(minutes=one.first),
            "until": opens + timedelta(minutes=one.first + one.minutes), "state": one.state, "prints": one.prints,
            "usual_prints": one.usual, "reason": one.reason,
        }
        for one in judge_session(watched, usual, alive, mute_prints=mute_prints)
    ]  # fmt: skip


def completeness_rows(
    lake: Lake, feed: str, hours: Hours, words: Told, vendor: DataFrame, *, tolerance: Tolerance, now: datetime
) -> list[Row]:
    """Scorecards of one session, for the symbols that are watched or that printed."""
    ours, prints = volumes(lake, feed, hours)
    theirs = vendor_volumes(vendor, hours)
    runs = {run for spans in words.numbers.values() for run in spans}
    seen = numbers_seen(lake, runs, hours.day)
    rows = []
    for symbol in sorted({*words.symbols, *prints}):
        spans = words.numbers.get(symbol)
        card = scorecard(
            symbol,
            prints.get(symbol, 0),
            ours.get(symbol, {}),
            theirs.get(symbol, Witnessed()),
            hours.minutes,
            lost_prints=lost_numbers(seen.get(symbol, {}), spans) if spans else None,
            tolerance=tolerance,
        )
        rows.append({"feed": feed, "session_date": hours.day, "checked_at": now, **_as_row(card)})
    return rows


def _as_row(card: Scorecard) -> Row:
    names = ("symbol", "prints", "lost_prints", "reference", "verdict", "coverage")
    shares = {name: getattr(card, name) * MILLIONTHS for name in ("volume", "reference_volume", "short_volume")}
    return {
        **{name: getattr(card, name) for name in names},
        **shares,
        "compared": card.minutes,
        "short": card.short_minutes,
    }


def replace_date(lake: Lake, table: Table, feed: str, day: date, rows: list[Row]) -> None:
    """Put rows in the place of everything a table says of one feed and date, in one commit."""
    values = [tuple(row[name] for name in table.column_names) for row in rows]
    frame = lake.spark.createDataFrame(values, table.schema)
    lake.require_columns(table, frame)
    of_date = f"feed = '{quoted(feed)}' AND session_date = DATE '{day}'"
    frame.write.format("delta").mode("overwrite").option("replaceWhere", of_date).save(lake.path(table))


def quoted(text: str) -> str:
    """A text as it may stand between quotes in SQL."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
