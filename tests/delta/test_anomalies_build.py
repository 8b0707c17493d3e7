"""gold.anomalies by days: what the pure judgement says of the bars in the lake, once, whatever is repeated."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from jobs.anomalies import build
from lakehouse.anomalies.build import build_day, days_with_bars
from lakehouse.anomalies.judge import judge_bars
from lakehouse.anomalies.market import market_moves
from lakehouse.anomalies.moves import moves_of
from lakehouse.anomalies.rules import AnomalyRules, Bars
from lakehouse.clock import system_clock
from lakehouse.errors import LeaseError
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.calendar import SessionArrays
from lakehouse.settings import Settings
from lakehouse.tables.gold import ANOMALIES, BARS
from lakehouse.tables.silver import SESSIONS as SESSIONS_TABLE
from tests.unit.test_anomaly_bars import BARS_A_SESSION, FIRST, market_of, moved

RULES, SESSIONS = AnomalyRules(), 7
NAMES = [f"I-{letter}" for letter in "ABCDEF"]
LAST = date(1970, 1, 1) + timedelta(days=FIRST + SESSIONS - 1)
MICRO = Decimal("0.000001")


def arrays() -> SessionArrays:
    days = FIRST + np.arange(SESSIONS)
    opens = days * 86_400_000 + 14 * 3_600_000
    return SessionArrays(days, np.ones(SESSIONS, np.int8), opens, opens + BARS_A_SESSION * 60_000)


def row_of(name: str, bars: Bars, at: int) -> dict[str, Any]:
    start, end = (datetime.fromtimestamp(int(one[at]) / 1000, UTC) for one in (bars.start_ms, bars.end_ms))
    prices = {key: Decimal(float(getattr(bars, key)[at])).quantize(MICRO) for key in ("open", "high", "low", "close")}
    volume = Decimal(float(bars.volume[at])).quantize(MICRO)
    zeros = dict.fromkeys(("late_prints", "cancelled_prints", "corrected_prints", "revision"), 0)
    return {
        **dict.fromkeys(BARS.column_names), **prices, **zeros, "instrument_id": name, "interval": bars.interval,
        "bar_start": start, "bar_end": end, "session_date": start.date(), "session": "regular", "symbol": name[2:],
        "volume": volume, "notional": volume, "vwap_volume": volume, "trades": 10, "first_volume": volume,
        "first_trades": 10, "final_at": end, "source": "built", "updated_at": end,
    }  # fmt: skip


@pytest.fixture
def markets(lake: Lake) -> dict[str, Bars]:
    """Six instruments, one of which jumps on the last date, in the lake."""
    found = {name: market_of(seed, SESSIONS) for seed, name in enumerate(NAMES)}
    found["I-A"] = moved(found["I-A"], (SESSIONS - 1) * BARS_A_SESSION + 30, 1.06)
    rows = [row_of(name, bars, at) for name, bars in found.items() for at in range(len(bars))]
    lake.append(BARS, lake.spark.createDataFrame(rows, BARS.schema))
    return found


def expected(markets: dict[str, Bars]) -> set[tuple[object, ...]]:
    moments = np.concatenate([bars.start_ms for bars in markets.values()])
    moves = np.concatenate([moves_of(bars)[0] for bars in markets.values()])
    market = np.split(market_moves(moments, moves), len(markets))
    return {
        (name, int(bars.start_ms[flag.row]), flag.kind, flag.decided_ms, flag.reason)
        for (name, bars), shared in zip(markets.items(), market, strict=True)
        for flag in judge_bars(replace(bars, market=shared), RULES, first_session=FIRST + SESSIONS - 1)
    }


def rows_in(lake: Lake) -> list[dict[str, Any]]:
    columns = ("*", "unix_millis(bar_start) AS start_ms", "unix_millis(decided_at) AS decided_ms")
    return [row.asDict() for row in lake.read(ANOMALIES).selectExpr(*columns).collect()]


def test_a_date_holds_what_the_judgement_says_and_a_repeat_changes_nothing(
    lake: Lake, markets: dict[str, Bars]
) -> None:
    days = days_with_bars(lake)

    counted = [build_day(lake, LAST, days, arrays(), RULES, tasks=1) for _ in range(2)]

    rows = rows_in(lake)
    found = {(row["instrument_id"], row["start_ms"], row["kind"], row["decided_ms"], row["reason"]) for row in rows}
    assert found == expected(markets)
    assert counted == [len(rows)] * 2
    assert {(row["instrument_id"], row["kind"]) for row in rows} >= {("I-A", "jump"), ("I-A", "residual")}
    assert {row["session_date"] for row in rows} == {LAST}
    assert all(json.loads(row["evidence"])["move_pct"] for row in rows)


def test_a_date_is_replaced_and_others_are_left_alone(lake: Lake, markets: dict[str, Bars]) -> None:
    days = days_with_bars(lake)
    build_day(lake, LAST, days, arrays(), RULES, tasks=1)
    before = rows_in(lake)

    build_day(lake, days[-2], days, arrays(), RULES, tasks=1)

    assert rows_in(lake) == before
    assert days == sorted({LAST - timedelta(days=back) for back in range(SESSIONS)})


def test_a_dry_run_names_the_dates_and_judges_none(lake: Lake, settings: Settings, markets: dict[str, Bars]) -> None:
    found = build(lake, settings, LAST - timedelta(days=1), date.max, dry_run=True)

    assert found == {LAST - timedelta(days=1): 0, LAST: 0}
    assert rows_in(lake) == []


def test_a_second_writer_of_the_table_is_refused(lake: Lake, settings: Settings, markets: dict[str, Bars]) -> None:
    calendar = [
        {
            "exchange": "XNYS",
            "session_date": LAST,
            "session": "regular",
            "opens_at": at,
            "closes_at": at + timedelta(hours=6),
            "is_half_day": False,
            "sequence": 1,
        }
        for at in [datetime(2024, 1, 2, 14, tzinfo=UTC)]
    ]
    lake.append(SESSIONS_TABLE, lake.spark.createDataFrame(calendar, SESSIONS_TABLE.schema))

    with (
        lease(lake.files, lake.root, "detect", purpose="another", seconds=30, clock=system_clock),
        pytest.raises(LeaseError, match="another"),
    ):
        build(lake, settings, LAST, LAST)

    assert rows_in(lake) == []
