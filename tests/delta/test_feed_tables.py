"""gold.feed_health and gold.completeness from a lake: sick feeds are named, a lost print is counted."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import Row

from jobs.feed_health import judge_date
from lakehouse.feed_evidence import hours_of
from lakehouse.lake import Lake
from lakehouse.reference.calendar import SessionArrays, exchange_zone, session_arrays, sessions_for
from lakehouse.reference.load import reference_frame
from lakehouse.settings import Settings
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.gold import BARS, COMPLETENESS, FEED_HEALTH
from lakehouse.tables.silver import QUARANTINE, SESSIONS, TRADES
from lakehouse.vendor import LINE, Known, minute_bars, vendor_frame
from streaming.feeds.status import GAP, MINUTE, STARTED, status

DAY = date(2026, 11, 27)  # the half day after Thanksgiving
BEFORE = [date(2026, 11, 24), date(2026, 11, 25)]
RUN = "fh19d0a1b2c3d4"
LATER = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def sessions() -> SessionArrays:
    return session_arrays(sessions_for("XNYS", date(2026, 11, 2), date(2026, 12, 4)))


def opening(sessions: SessionArrays, day: date) -> int:
    hours = hours_of(sessions, day)
    assert hours is not None
    return hours.opens_ms


def trade(day: date, opens: int, symbol: str, minute: int, number: int, second: int = 7) -> tuple[Any, ...]:
    at = datetime.fromtimestamp(opens / 1000 + minute * 60 + second, UTC)
    row = {
        "session_date": day, "trade_id": f"{RUN}-{symbol}-{number}", "kind": "trade", "symbol": symbol,
        "instrument_id": f"{symbol}-1", "feed": "finnhub", "traded_at": at, "received_at": at, "session": "regular",
        "price": Decimal("10"), "size": Decimal("100"), "eligibility": 15, "ord": number, "batch": 0,
        "bronze_ref": "s/h/1", "position": 0,
    }  # fmt: skip
    return tuple(row.get(name) for name in TRADES.column_names)


def session_of(day: date, opens: int, minutes: int, numbers: dict[str, int], *, mute: range = range(0)) -> list[Any]:
    """Two prints a minute of A and one of B, numbered on from where `numbers` stands; B is mute in some minutes."""
    rows = []
    for minute in range(minutes):
        for symbol, second in (("A", 7), ("A", 30), ("B", 40)):
            if symbol == "B" and minute in mute:
                continue
            rows.append(trade(day, opens, symbol, minute, numbers[symbol], second))
            numbers[symbol] += 1
    return rows


def bronze(frames: list[Any], at: datetime) -> list[tuple[Any, ...]]:
    return [("s", "h", f"{number:06d}", at, None, frame.data) for number, frame in enumerate(frames)]


@pytest.fixture
def told(lake: Lake, sessions: SessionArrays) -> tuple[Lake, dict[str, int]]:
    """Three sessions of a feed; on the half day B is mute for an hour, and the feed is down for ten minutes."""
    lake.append(
        SESSIONS, reference_frame(lake.spark, SESSIONS, sessions_for("XNYS", date(2026, 11, 2), date(2026, 12, 4)))
    )
    numbers = {"A": 0, "B": 0}
    rows = [row for day in BEFORE for row in session_of(day, opening(sessions, day), 390, numbers)]
    opens, before = opening(sessions, DAY), dict(numbers)
    today = session_of(DAY, opens, 210, numbers, mute=range(60, 120))
    down = range(150, 160)
    today = [
        row
        for row in today
        if (row[TRADES.column_names.index("traded_at")].timestamp() * 1000 - opens) // 60_000 not in down
    ]
    lake.append(TRADES, lake.spark.createDataFrame(rows + today, TRADES.schema))
    minutes = [
        status("finnhub", MINUTE, opens + (at + 1) * 60_000, run=RUN, frames=0 if at in down else 3, next={},
               **{"from": opens + at * 60_000, "until": opens + (at + 1) * 60_000})
        for at in range(1, 209)
    ]  # fmt: skip
    edges = [
        status("finnhub", MINUTE, opens, run=RUN, frames=1, next=before, **{"from": opens - 60_000, "until": opens}),
        status("finnhub", MINUTE, opens + 60_000, run=RUN, frames=3, next={},
               **{"from": opens, "until": opens + 60_000}),
        status("finnhub", MINUTE, opens + 210 * 60_000, run=RUN, frames=3, next=numbers,
               **{"from": opens + 209 * 60_000, "until": opens + 210 * 60_000}),
        status("finnhub", GAP, opens + 160 * 60_000, reason="closed", frames=0, prints=0,
               **{"from": opens + 150 * 60_000, "until": opens + 160 * 60_000}),
        status("finnhub", STARTED, opens - 3_600_000, run=RUN + "0", symbols=["A", "B", "C"]),
    ]  # fmt: skip
    arrived = datetime.fromtimestamp(opens / 1000, UTC)
    lake.append(MARKET_EVENTS, lake.spark.createDataFrame(bronze([*edges, *minutes], arrived), MARKET_EVENTS.schema))
    return lake, {"lost_in_the_gap": 10}


def stretches(rows: list[Row], symbol: str) -> list[tuple[str, int]]:
    mine = sorted((row for row in rows if row["symbol"] == symbol), key=lambda row: row["since"])
    return [(row["state"], round((row["until"] - row["since"]).total_seconds() / 60)) for row in mine]


@pytest.mark.itest
def test_a_session_is_judged_by_minute_and_number_and_judging_it_again_changes_nothing(
    told: tuple[Lake, dict[str, int]], settings: Settings
) -> None:
    lake, _ = told
    for _ in range(2):
        judge_date(lake, settings, "finnhub", DAY, LATER)

    health = lake.read(FEED_HEALTH).collect()
    assert stretches(health, "A") == [("live", 150), ("feed_down", 10), ("live", 50)]
    assert stretches(health, "B") == [
        ("live", 60), ("symbol_mute", 60), ("live", 30), ("feed_down", 10), ("live", 50),
    ]  # fmt: skip
    assert [state for state, _ in stretches(health, "C")] == ["market_quiet", "feed_down", "market_quiet"]
    cards = {row["symbol"]: row for row in lake.read(COMPLETENESS).collect()}
    assert {symbol: row["lost_prints"] for symbol, row in cards.items()} == {"A": 20, "B": 10, "C": 0}
    assert {symbol: row["verdict"] for symbol, row in cards.items()} == {"A": "short", "B": "short", "C": "unknown"}
    assert judge_date(lake, settings, "finnhub", date(2026, 11, 26), LATER) == ([], [])


@pytest.mark.itest
def test_prints_missing_against_a_vendors_minutes_are_found_and_refused_prints_are_not_lost(
    told: tuple[Lake, dict[str, int]], settings: Settings, sessions: SessionArrays
) -> None:
    lake, _ = told
    opens = opening(sessions, DAY)
    lost = [f"{RUN}-A-{780 * 2 + number}" for number in range(300, 320)]
    refused = {"raw": json.dumps({"id": lost[0], "p": 0}), "bronze_ref": "s/h/9", "position": 0, "reasons": "BAD_PRICE",
               "arrived_at": LATER, "rules_version": 1, "batch": 0, "symbol": "A"}  # fmt: skip
    row = tuple(refused.get(name) for name in QUARANTINE.column_names)
    lake.append(QUARANTINE, lake.spark.createDataFrame([row], QUARANTINE.schema))
    midnight = opens - 34_200_000
    lines = [
        (str(opens + at * 60_000 - midnight), 1, 1, 1, 1, 200 if at not in range(150, 160) else 0) for at in range(210)
    ]
    table = pa.table({name: list(column) for name, column in zip(LINE, zip(*lines, strict=True), strict=True)})
    listing = {"ticker": "A", "valid_from": date(2000, 1, 3), "valid_to": None, "instrument_id": "A-1"}
    known = Known([listing], sessions, exchange_zone("XNYS"), LATER)
    lake.append(BARS, vendor_frame(lake.spark, [minute_bars("A", DAY, table, known)]))

    judge_date(lake, settings, "finnhub", DAY, LATER)
    whole = {row["symbol"]: row for row in lake.read(COMPLETENESS).collect()}["A"]
    assert (whole["reference"], whole["short"], whole["coverage"], whole["lost_prints"]) == ("1m", 0, 1.0, 19)

    silver = lake.read(TRADES).where("symbol = 'A' AND session_date = DATE '2026-11-27'").limit(4).collect()
    gone = ", ".join(f"'{row['trade_id']}'" for row in silver)
    lake.spark.sql(f"ALTER TABLE delta.`{lake.path(TRADES)}` SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    lake.delta(TRADES).delete(f"trade_id IN ({gone})")
    judge_date(lake, settings, "finnhub", DAY, LATER + timedelta(hours=1))
    short = {row["symbol"]: row for row in lake.read(COMPLETENESS).collect()}["A"]

    assert (short["verdict"], short["lost_prints"], short["short_volume"]) == ("short", 23, Decimal(400))
    assert 2 <= short["short"] <= 4
    assert np.isclose(short["coverage"], 1 - 400 / 40_000)
