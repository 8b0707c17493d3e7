"""From rows of gold.bars to rows of gold.indicators and gold.signals, without Spark."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.indicators.compute import NAMES, indicators_of
from lakehouse.indicators.rows import BAR_COLUMNS, INDICATORS_SCHEMA, SIGNALS_SCHEMA, Plan, indicator_rows, signal_rows
from lakehouse.indicators.series import Series, doubles, series_of
from lakehouse.indicators.warmth import needed_bars
from lakehouse.tables.gold import INDICATOR_VALUES, INDICATORS, WARM_ORDER
from lakehouse.vendor import BARS_SCHEMA
from tests.unit.walks import FILE, STANDARD, walk, without_prices

NOW = datetime(2026, 1, 5, tzinfo=UTC)
ALWAYS = Plan(FILE, date.min, date.max, NOW)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bars_table(series: Series, instrument_id: str = "X-1", interval: str = "1m") -> pa.Table:
    """Rows as gold.bars has them, decimals included."""
    count = len(series.close)
    amounts = {name: getattr(series, name) for name in ("high", "low", "close", "volume", "notional", "vwap_volume")}
    columns = {
        "instrument_id": [instrument_id] * count, "interval": [interval] * count,
        "bar_start": [EPOCH + timedelta(milliseconds=int(one)) for one in series.start_ms],
        "bar_end": [EPOCH + timedelta(milliseconds=int(one)) for one in series.end_ms],
        "session_date": [date(1970, 1, 1) + timedelta(days=int(one)) for one in series.day],
        "session": ["regular"] * count, "symbol": ["X"] * count, "source": ["built"] * count,
        "trades": series.trades.astype(int),
        **{
            name: [None if np.isnan(one) else Decimal(repr(float(one))).quantize(Decimal("1e-6")) for one in values]
            for name, values in amounts.items()
        },
    }  # fmt: skip
    return pa.table({name: pa.array(columns[name], BARS_SCHEMA.field(name).type) for name in BAR_COLUMNS})


@pytest.fixture(scope="module")
def bars() -> tuple[Series, pa.Table]:
    gone = np.zeros(1100, bool)
    gone[1000] = True
    series = without_prices(replace(walk(3, 1100), index_close=np.full(1100, np.nan)), gone)
    return series, bars_table(series)


def test_rows_have_the_declared_shape_whatever_the_order_of_the_bars(bars: tuple[Series, pa.Table]) -> None:
    series, table = bars
    shuffled = table.take(np.random.default_rng(1).permutation(len(series.close)))

    rows = indicator_rows(shuffled, ALWAYS)

    assert rows.schema == INDICATORS_SCHEMA
    assert rows["bar_start"].to_pylist() == table["bar_start"].to_pylist()
    expected = indicators_of(series, "1m", STANDARD)
    for name in NAMES:
        np.testing.assert_array_equal(
            rows[name].to_numpy(), np.where(np.isfinite(expected.values[name]), expected.values[name], np.nan)
        )
    np.testing.assert_array_equal(rows["warm"].to_numpy(), expected.warm)
    assert set(rows["parameter_set"].to_pylist()) == {"standard@1"} and rows["computed_at"][0].as_py() == NOW


def test_what_is_not_there_is_null_and_never_nan(bars: tuple[Series, pa.Table]) -> None:
    rows = indicator_rows(bars[1], ALWAYS)

    assert rows["close"][1000].as_py() is None and rows["rsi"][1000].as_py() is None
    assert rows["rsi"][1001].as_py() > 0
    assert rows["beta"].null_count == rows.num_rows
    for name in NAMES:
        assert np.isfinite(rows[name].drop_null().to_numpy()).all()


def test_only_the_wanted_dates_become_rows_and_those_before_are_history(bars: tuple[Series, pa.Table]) -> None:
    series, table = bars
    last = date(1970, 1, 1) + timedelta(days=int(series.day[-1]))
    plan = replace(ALWAYS, first=last, last=last)

    rows, whole = indicator_rows(table, plan), indicator_rows(table, ALWAYS)

    assert set(rows["session_date"].to_pylist()) == {last}
    assert rows == whole.filter(pa.array(series.day == series.day[-1]))
    signals = signal_rows(table, plan)
    assert signals.schema == SIGNALS_SCHEMA
    assert set(signals["session_date"].to_pylist()) == {last}


def test_signals_are_rows_with_the_bar_that_caused_them(bars: tuple[Series, pa.Table]) -> None:
    rows = signal_rows(bars[1], ALWAYS)

    assert rows.num_rows > 5
    starts = set(bars[1]["bar_start"].to_pylist())
    assert {row["bar_start"] for row in rows.to_pylist()} <= starts
    assert len({(row["bar_start"], row["rule"]) for row in rows.to_pylist()}) == rows.num_rows


def test_bars_without_any_signal_are_no_row() -> None:
    assert signal_rows(bars_table(walk(1, 5)), ALWAYS).num_rows == 0


def test_the_bits_of_warm_are_in_the_order_the_table_declares() -> None:
    bits = dict(one.split(" ") for one in WARM_ORDER.split(", "))

    assert list(bits) == [name for name, _ in INDICATOR_VALUES] == list(NAMES)
    assert [int(one) for one in bits.values()] == [1 << bit for bit in range(len(NAMES))]
    assert len(NAMES) < 63
    (comment,) = [column.comment for column in INDICATORS.columns if column.name == "warm"]
    assert "rsi 512" in comment


def test_decimals_become_the_nearest_doubles() -> None:
    texts = ["0.1", "129.580001", "999999999999.999999", None, "0", "123456789012345678.123456"]
    column = pa.chunked_array([pa.array([one if one is None else Decimal(one) for one in texts], pa.decimal128(28, 6))])

    found = doubles(column.slice(0))
    later = doubles(column.slice(1))

    for place, one in enumerate(texts):
        assert np.isnan(found[place]) if one is None else found[place] == pytest.approx(float(one), rel=2e-16)
    assert found[0] == 0.1 and found[1] == 129.580001
    np.testing.assert_array_equal(later, found[1:])


def test_a_vendors_count_of_prints_is_not_known(bars: tuple[Series, pa.Table]) -> None:
    table = bars[1].slice(0, 20)
    at = table.schema.get_field_index("source")

    found = series_of(table.set_column(at, "source", pa.array(["vendor"] * 20)))

    assert np.isnan(found.trades).all()
    assert found.close.tolist() == bars[0].close[:20].tolist()


def test_a_plan_reaches_back_as_far_as_values_and_switches_remember() -> None:
    assert ALWAYS.history == needed_bars(STANDARD) + STANDARD.signals.memory
    assert replace(ALWAYS, sets={"Y-1": "standard"}).set_of("Y-1") == ALWAYS.set_of("X-1") == "standard"
