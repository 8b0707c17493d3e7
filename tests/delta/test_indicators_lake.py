"""`tickhouse indicators build` on a lake: once or twice, whole or in parts, the tables say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

from jobs.indicators import build_all
from lakehouse.clock import system_clock
from lakehouse.errors import LeaseError
from lakehouse.indicators.build import bars_with_history, build, read_plan
from lakehouse.indicators.compute import NAMES
from lakehouse.indicators.rows import BAR_COLUMNS, Plan
from lakehouse.indicators.series import Series
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.load import reference_frame
from lakehouse.settings import Settings
from lakehouse.tables import Table
from lakehouse.tables.gold import BARS, INDICATORS, SIGNALS
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS
from lakehouse.vendor import BARS_SCHEMA
from tests.unit.test_indicator_rows import bars_table
from tests.unit.walks import FILE, walk

pytestmark = pytest.mark.itest

NOW = datetime(2026, 1, 5, tzinfo=UTC)
EPOCH = date(1970, 1, 1)
X, INDEX = "X-20000103", "SPY-20000103"
DAYS = [EPOCH + timedelta(days=19_000 + at) for at in range(8)]
SERIES = walk(11, 2400, per_day=300)


def gold_bars(lake: Lake, series: Series, instrument_id: str) -> DataFrame:
    """Bars of a walk as rows of gold.bars."""
    known = bars_table(series, instrument_id)
    zero = np.zeros(known.num_rows, np.int64)
    columns = {name: known[name] for name in BAR_COLUMNS}
    columns |= {"final_at": known["bar_end"], "updated_at": known["bar_end"], "open": known["close"]}
    columns |= {"symbol": pa.array([instrument_id.partition("-")[0]] * known.num_rows)}
    arrays = []
    for one in BARS_SCHEMA:
        counts = not next(column.nullable for column in BARS.columns if column.name == one.name)
        missing = pa.array(zero, pa.int64()).cast(one.type) if counts and one.name not in columns else None
        arrays.append(columns[one.name] if one.name in columns else missing or pa.nulls(known.num_rows, one.type))
    return lake.spark.createDataFrame(pa.Table.from_arrays(arrays, schema=BARS_SCHEMA), BARS.schema)


@pytest.fixture
def full(lake: Lake) -> Lake:
    """A lake with two instruments, one of them the index, and a split of the other on its fifth day."""
    after = DAYS[4] <= np.array(DAYS)[SERIES.day - 19_000]
    shares = np.where(after, 1.0, 2.0)
    traded = replace(SERIES, **{name: getattr(SERIES, name) * shares for name in ("high", "low", "close", "notional")})
    for series, instrument_id in ((traded, X), (walk(12, 2400, per_day=300), INDEX)):
        lake.append(BARS, gold_bars(lake, series, instrument_id))
    listings = [
        dict.fromkeys(INSTRUMENTS.column_names)
        | {
            "instrument_id": instrument_id, "ticker": instrument_id.partition("-")[0], "valid_from": date(2000, 1, 3),
            "exchange": "XNYS", "currency": "USD", "origin": "test", "sequence": 1,
        }
        for instrument_id in (X, INDEX)
    ]  # fmt: skip
    split = dict.fromkeys(CORPORATE_ACTIONS.column_names) | {
        "instrument_id": X, "action": "split", "effective_date": DAYS[4], "ratio": Decimal(2), "price_factor": 0.5,
        "known_from": NOW, "origin": "test", "sequence": 1,
    }  # fmt: skip
    for table, rows in ((INSTRUMENTS, listings), (CORPORATE_ACTIONS, [split])):
        lake.append(table, reference_frame(lake.spark, table, rows))
    return lake


def plan_of(lake: Lake, first: date = date.min, last: date = date.max, now: datetime = NOW) -> Plan:
    return read_plan(lake, FILE, {"watchlist.yaml": ["X"]}, first, last, now)


def contents(lake: Lake, table: Table) -> pa.Table:
    return lake.read(table).drop("computed_at").orderBy(*table.key).toArrow()


def test_building_again_or_in_parts_changes_nothing(full: Lake) -> None:
    built = build(full, plan_of(full))
    indicators, signals = contents(full, INDICATORS), contents(full, SIGNALS)
    later = NOW + timedelta(days=1)

    again = build(full, plan_of(full, now=later))
    assert (again.indicators, again.signals) == (built.indicators, built.signals) == (4800, signals.num_rows)
    assert (contents(full, INDICATORS), contents(full, SIGNALS)) == (indicators, signals)

    part = build(full, plan_of(full, DAYS[6], DAYS[6], now=later))
    assert part.indicators == 600
    assert contents(full, SIGNALS).select(SIGNALS.key) == signals.select(SIGNALS.key)
    rows = contents(full, INDICATORS)
    assert rows["warm"] == indicators["warm"]
    for name in NAMES:
        np.testing.assert_allclose(rows[name].to_numpy(), indicators[name].to_numpy(), rtol=1e-9, atol=1e-9)


def test_a_split_is_no_signal_and_beta_is_measured_against_the_index(full: Lake) -> None:
    build(full, plan_of(full))

    rows = full.read(INDICATORS).where(f"instrument_id = '{X}'")

    worst = rows.selectExpr("max(abs(roc))", "max(abs(drawdown))").collect()[0]
    assert worst[0] < 5 and worst[1] < 0.2
    assert rows.where("beta IS NOT NULL").count() == 2400 - 60
    itself = full.read(INDICATORS).where(f"instrument_id = '{INDEX}' AND beta IS NOT NULL")
    assert itself.where("abs(beta - 1) > 1e-9").isEmpty() and not itself.isEmpty()


def test_rows_of_bars_that_are_gone_go_and_other_dates_stay(full: Lake) -> None:
    build(full, plan_of(full))
    full.delta(BARS).delete(f"session_date = DATE '{DAYS[7]}' AND instrument_id = '{X}'")
    full.delta(BARS).delete(f"session_date = DATE '{DAYS[0]}'")

    build(full, plan_of(full, DAYS[7], DAYS[7]))

    counts = {
        (row["session_date"], row["instrument_id"]): row["count"]
        for row in full.read(INDICATORS).groupBy("session_date", "instrument_id").count().collect()
    }
    assert (DAYS[7], X) not in counts and counts[DAYS[7], INDEX] == 300
    assert counts[DAYS[0], X] == 300


def test_history_is_no_longer_than_what_the_range_depends_on(full: Lake) -> None:
    plan = plan_of(full, DAYS[7], DAYS[7])

    bars = bars_with_history(full, plan, full.version(BARS))

    days = -(-plan.history // 300)
    since = {
        row[0]
        for row in bars.groupBy("instrument_id").agg({"session_date": "min"}).select("min(session_date)").collect()
    }
    assert since == {DAYS[7 - days]}
    assert days < 7


def test_a_build_waits_for_nobody_who_holds_the_lease(full: Lake, settings: Settings) -> None:
    with (
        lease(full.files, full.root, "detect", purpose="detect", seconds=60, clock=system_clock),
        pytest.raises(LeaseError, match="being written by detect"),
    ):
        build_all(full, settings, FILE, DAYS[0], DAYS[7])

    assert build_all(full, settings, FILE, DAYS[0], DAYS[0]).indicators == 600


def test_an_empty_lake_builds_nothing_and_an_instrument_without_index_has_no_beta(lake: Lake) -> None:
    assert build(lake, plan_of(lake)).indicators == 0

    lake.append(BARS, gold_bars(lake, SERIES, X))
    build(lake, plan_of(lake))

    assert lake.read(INDICATORS).where("beta IS NOT NULL").isEmpty()
    assert lake.read(INDICATORS).count() == 2400
