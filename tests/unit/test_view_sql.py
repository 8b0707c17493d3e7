"""The view files outside Spark: the same text in DuckDB, against a plain Python reading of the decisions."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse.reference.calendar import Row
from lakehouse.reference.universe import UNIVERSE, universe_on
from lakehouse.tables import ALL_TABLES
from lakehouse.views import DUCKDB, SPARK, TRINO, VIEWS, trino_views, view_name, view_sql

NAMES = {view_name(table): view_name(table) for table in ALL_TABLES} | {view.name: view.name for view in VIEWS}
DAY = date(2026, 3, 2)
START = datetime(2026, 3, 2, 15, tzinfo=UTC)


class Event(NamedTuple):
    """One row of silver.trades, as far as cancels and corrections go. `ref` is the place of what it refers to."""

    kind: str
    ref: int | None
    received: int
    order: int


EVENT = st.one_of(
    st.builds(Event, st.just("trade"), st.none(), st.integers(0, 3), st.integers(0, 2)),
    st.builds(Event, st.sampled_from(["cancel", "correct"]), st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)),
)


def living(events: list[Event]) -> set[int]:
    """DECISIONS 4, read aloud: the places of the prints that stand."""

    def word(at: int) -> tuple[int, int, str]:
        return events[at].received, events[at].order, f"t{at}"

    standing = set()
    for at, event in enumerate(events):
        about = [other for other, one in enumerate(events) if one.ref == at]
        rivals = [other for other, one in enumerate(events) if event.ref is not None and one.ref == event.ref]
        has_the_last_word = event.kind != "correct" or all(word(other) <= word(at) for other in rivals)
        if event.kind != "cancel" and not about and has_the_last_word:
            standing.add(at)
    return standing


def database() -> duckdb.DuckDBPyConnection:
    lake = duckdb.connect()
    lake.execute("SET TimeZone = 'UTC'")
    return lake


TRADE = Event("trade", None, 0, 0)


@given(st.lists(EVENT, min_size=2, max_size=7))
@settings(max_examples=50, deadline=None)
@example([TRADE, Event("correct", 0, 1, 0), Event("correct", 0, 2, 0)])
@example([TRADE, Event("correct", 0, 2, 0), Event("correct", 0, 1, 0)])
@example([TRADE, Event("correct", 0, 1, 1), Event("correct", 0, 1, 0)])
@example([TRADE, Event("correct", 0, 1, 0), Event("correct", 0, 1, 0)])
def test_current_trades_are_the_prints_the_decisions_leave_standing(events: list[Event]) -> None:
    with database() as lake:
        lake.execute("""CREATE TABLE silver_trades (session_date DATE, trade_id VARCHAR, kind VARCHAR,
            ref_session_date DATE, ref_trade_id VARCHAR, symbol VARCHAR, instrument_id VARCHAR, feed VARCHAR,
            venue VARCHAR, traded_at TIMESTAMP, received_at TIMESTAMP, session VARCHAR, price DECIMAL(18,6),
            size DECIMAL(18,6), conditions VARCHAR, eligibility INT, ord BIGINT)""")
        for at, one in enumerate(events):
            lake.execute(
                "INSERT INTO silver_trades VALUES "
                "(?, ?, ?, ?, ?, 'X', 'X-1', 'sim', NULL, ?, ?, 'regular', 1, 1, NULL, 15, ?)",
                [DAY, f"t{at}", one.kind, DAY if one.ref is not None else None,
                 None if one.ref is None else f"t{one.ref}", START, START + timedelta(seconds=one.received), one.order],
            )  # fmt: skip
        for view in VIEWS[:2]:
            lake.execute(f"CREATE VIEW {view.name} AS {view_sql(view, NAMES, SPARK)}")

        found = {row[0] for row in lake.execute("SELECT trade_id FROM silver_current_trades").fetchall()}

    assert found == {f"t{at}" for at in living(events)}


@pytest.fixture
def bars() -> duckdb.DuckDBPyConnection:
    """Daily bars around a 7:1 and a later 4:1 split, with a dividend between them."""
    lake = database()
    lake.execute("""CREATE TABLE gold_bars (instrument_id VARCHAR, "interval" VARCHAR, bar_start TIMESTAMP,
        bar_end TIMESTAMP, session_date DATE, session VARCHAR, symbol VARCHAR, open DECIMAL(18,6), high DECIMAL(18,6),
        low DECIMAL(18,6), close DECIMAL(18,6), volume DECIMAL(28,6), vwap DOUBLE, trades BIGINT, source VARCHAR,
        final_at TIMESTAMP)""")
    closes = {date(2014, 6, 6): 645.57, date(2014, 6, 9): 93.70, date(2020, 8, 28): 499.23, date(2020, 8, 31): 129.04}
    for day, close in closes.items():
        values = ["A-1", "1d", day, day, day, "regular", "A", close, close, close, close, 1000, close, 1, "built", day]
        lake.execute(f"INSERT INTO gold_bars VALUES ({', '.join('?' * len(values))})", values)
    lake.execute("""CREATE TABLE silver_corporate_actions (instrument_id VARCHAR, action VARCHAR, effective_date DATE,
        ratio DECIMAL(18,9), amount DECIMAL(18,6), price_factor DOUBLE, announced_at TIMESTAMP, known_from TIMESTAMP,
        origin VARCHAR)""")
    for action, day, ratio, factor in (
        ("split", date(2014, 6, 9), 7, 1 / 7), ("dividend", date(2015, 2, 5), None, 0.5),
        ("split", date(2020, 8, 31), 4, 0.25),
    ):  # fmt: skip
        values = ["A-1", action, day, ratio, factor, datetime(day.year, day.month, day.day, 8)]  # noqa: DTZ001
        names = "instrument_id, action, effective_date, ratio, price_factor, known_from"
        lake.execute(f"INSERT INTO silver_corporate_actions ({names}) VALUES (?, ?, ?, ?, ?, ?)", values)
    priced = next(view for view in VIEWS if view.name == "silver_priced_actions")
    lake.execute(f"CREATE VIEW {priced.name} AS {view_sql(priced, NAMES, SPARK)}")
    return lake


def adjusted(lake: duckdb.DuckDBPyConnection, name: str, as_of: date) -> list[tuple[Any, ...]]:
    view = next(view for view in VIEWS if view.name == name)
    select = view_sql(view, NAMES, SPARK, as_of=f"DATE '{as_of}'")
    return lake.execute(f"SELECT close, volume FROM ({select}) ORDER BY session_date").fetchall()


def test_prices_and_volumes_are_restated_together_for_every_later_split(bars: duckdb.DuckDBPyConnection) -> None:
    found = adjusted(bars, "gold_bars_adjusted", date(2021, 1, 4))

    assert found == [
        (Decimal("23.056071"), 28_000), (Decimal("23.425"), 4_000),
        (Decimal("124.8075"), 4_000), (Decimal("129.04"), 1_000),
    ]  # fmt: skip


def test_a_reader_of_the_past_does_not_know_the_splits_to_come(bars: duckdb.DuckDBPyConnection) -> None:
    before, on_the_day = (adjusted(bars, "gold_bars_adjusted", day) for day in (date(2014, 6, 8), date(2014, 6, 9)))

    assert [row[1] for row in before] == [1_000] * 4
    assert [row[1] for row in on_the_day] == [7_000, 1_000, 1_000, 1_000]


def test_a_split_that_became_known_late_counts_from_then_on(bars: duckdb.DuckDBPyConnection) -> None:
    bars.execute("UPDATE silver_corporate_actions SET known_from = TIMESTAMP '2020-09-02 08:00' WHERE ratio = 4")

    found = [adjusted(bars, "gold_bars_adjusted", day)[0][1] for day in (date(2020, 9, 1), date(2020, 9, 2))]

    assert found == [7_000, 28_000]


def test_total_return_takes_dividends_off_the_prices_but_not_the_volumes(bars: duckdb.DuckDBPyConnection) -> None:
    found = adjusted(bars, "gold_bars_total_return", date(2021, 1, 4))

    assert found[0] == (Decimal("11.528036"), 28_000)
    assert found[1] == (Decimal("11.7125"), 4_000)
    assert found[2] == (Decimal("124.8075"), 4_000)


@pytest.mark.parametrize(
    ("day", "amount", "expected"),
    [
        (date(2015, 2, 5), "9.37", 1 - 9.37 / 93.70),  # the last close before it, four months earlier
        (date(2014, 6, 9), "64.557", 0.9), (date(2014, 6, 6), "1", None), (date(2015, 2, 5), "93.70", None),
    ],
)  # fmt: skip
def test_a_dividend_without_a_factor_is_priced_by_the_close_before_it(
    bars: duckdb.DuckDBPyConnection, day: date, amount: str, expected: float | None
) -> None:
    bars.execute("UPDATE silver_corporate_actions SET price_factor = NULL, amount = ?, effective_date = ? "
                 "WHERE action = 'dividend'", [Decimal(amount), day])  # fmt: skip

    factors = bars.execute("SELECT action, price_factor FROM silver_priced_actions ORDER BY effective_date").fetchall()

    assert sorted(factor for action, factor in factors if action == "split") == [1 / 7, 0.25]
    (factor,) = [factor for action, factor in factors if action == "dividend"]
    assert factor == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_total_return_takes_a_dividend_without_a_factor_off_too(bars: duckdb.DuckDBPyConnection) -> None:
    before = adjusted(bars, "gold_bars_adjusted", date(2021, 1, 4))
    bars.execute("UPDATE silver_corporate_actions SET price_factor = NULL, amount = 9.37 WHERE action = 'dividend'")

    found = adjusted(bars, "gold_bars_total_return", date(2021, 1, 4))

    assert [row[1] for row in found] == [row[1] for row in before]
    assert [float(row[0]) for row in found] == pytest.approx(
        [float(row[0]) * factor for row, factor in zip(before, (0.9, 0.9, 1, 1), strict=True)], abs=1e-6
    )


LISTED = st.builds(
    lambda first, length, cik_from, cik: {
        "valid_from": DAY + timedelta(days=first),
        "valid_to": None if length is None else DAY + timedelta(days=first + length),
        "cik_from": None if cik is None or cik_from is None else DAY + timedelta(days=cik_from),
        "cik": cik, "sector": cik and "finance",
    },
    st.integers(-5, 5), st.none() | st.integers(0, 4), st.none() | st.integers(-5, 5), st.none() | st.integers(1, 3),
)  # fmt: skip


@given(st.lists(LISTED, max_size=6))
@settings(max_examples=40, deadline=None)
def test_the_universe_in_sql_is_that_of_the_function_on_every_day(listed: list[Row]) -> None:
    names = ("exchange", "currency", "name")
    rows = [
        {"instrument_id": f"I-{at}", "ticker": f"T{at % 2}", **dict.fromkeys(names), **row}
        for at, row in enumerate(listed)
    ]
    view = next(view for view in VIEWS if view.name == "silver_universe")
    with database() as lake:
        lake.execute("""CREATE TABLE silver_instruments (instrument_id VARCHAR, ticker VARCHAR, exchange VARCHAR,
            currency VARCHAR, name VARCHAR, valid_from DATE, valid_to DATE, cik_from DATE, cik BIGINT,
            sector VARCHAR)""")
        for row in rows:
            marks = ", ".join("?" * len(row))
            lake.execute(f"INSERT INTO silver_instruments ({', '.join(row)}) VALUES ({marks})", list(row.values()))
        for day in (DAY + timedelta(days=ahead) for ahead in range(-6, 12)):
            select = view_sql(view, NAMES, SPARK, as_of=f"DATE '{day}'")
            found = lake.execute(f"SELECT * FROM ({select}) ORDER BY ticker, instrument_id").fetchall()

            assert [dict(zip(UNIVERSE, row, strict=True)) for row in found] == universe_on(rows, day)


@pytest.mark.parametrize("engine", [SPARK, TRINO, DUCKDB])
def test_every_placeholder_has_a_value_in_every_engine(engine: dict[str, str]) -> None:
    for view in VIEWS:
        text = view_sql(view, {name: f"db.{name}" for name in NAMES}, engine)

        assert "{" not in text and "}" not in text
        assert "db." in text


def test_views_for_trino_read_tables_and_the_views_created_before_them() -> None:
    created: set[str] = set()
    for name, select in trino_views({view: f"lake.{view}" for view in map(view_name, ALL_TABLES)}, "views").items():
        assert set(re.findall(r"\bviews\.(\w+)", select)) <= created
        assert (f"lake.{name}" in select) == (name in map(view_name, ALL_TABLES))
        created.add(name)

    assert created >= {"gold_fundamentals", "silver_facts", "gold_bars_filled"}
