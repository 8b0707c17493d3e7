"""From bars to indicators: right by definition, blind to the future, the same however long the history is."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.indicators.certify import relative_errors
from lakehouse.indicators.compute import NAMES, Indicators, indicators_of
from lakehouse.indicators.series import IN_PRICES, Series, Splits
from lakehouse.indicators.warmth import exponential, needed_bars, wilder
from tests.unit.definitions import definitions
from tests.unit.walks import STANDARD, walk, without_prices

HISTORY = needed_bars(STANDARD)
seeds = st.integers(0, 2**32 - 1)


def of(series: Series, **splits: Splits) -> Indicators:
    return indicators_of(series, "1m", STANDARD, **splits)


@pytest.fixture(scope="module")
def long_walk() -> tuple[Series, Indicators, dict[str, np.ndarray]]:
    series = walk(7, 4000)
    return series, of(series), {name: one.to_numpy() for name, one in definitions(series, STANDARD).items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_warm_value_is_what_its_definition_says(
    name: str, long_walk: tuple[Series, Indicators, dict[str, np.ndarray]]
) -> None:
    series, found, expected = long_walk

    warm = found.is_warm(name)
    errors = relative_errors(name, found.values[name], expected[name], series)

    assert warm.sum() > 2900
    assert np.max(errors[warm]) < 1e-9


@settings(max_examples=25)
@given(seeds, st.integers(1, 2500), st.sampled_from([0.0, 0.3, 0.8]), st.sampled_from([0.0001, 0.001, 0.01]))
def test_what_is_warm_after_a_cold_start_is_warm_in_a_long_run_and_the_same(
    seed: int, start: int, still: float, step: float
) -> None:
    series = walk(seed, 4000, still=still, step=step)
    chosen = slice(start, start + HISTORY + 60)

    long, cold = of(series), of(series.take(chosen))

    for name in NAMES:
        warm = cold.is_warm(name)
        assert long.is_warm(name)[chosen][warm].all(), name
        errors = relative_errors(name, cold.values[name], long.values[name][chosen], series.take(chosen))
        assert np.max(errors[warm], initial=0.0) < 1e-9, name


def test_after_the_promised_history_every_value_of_a_moving_price_is_warm() -> None:
    series = walk(3, HISTORY)

    found = of(series)

    assert [name for name in NAMES if not found.is_warm(name)[-1]] == []


@pytest.mark.parametrize(
    "name",
    [
        "sma_fast", "bollinger_upper", "stochastic_k", "stochastic_d", "mfi", "cci", "roc", "momentum", "volatility",
        "realised_volatility", "parkinson", "trade_rate", "money_flow", "drawdown", "beta", "channel_high",
        "relative_volume",
    ],
)  # fmt: skip
def test_a_window_that_is_not_full_has_no_value(
    name: str, long_walk: tuple[Series, Indicators, dict[str, np.ndarray]]
) -> None:
    _, found, _ = long_walk

    np.testing.assert_array_equal(np.isfinite(found.values[name]), found.is_warm(name))


def test_a_smoothed_value_is_not_warm_a_bar_before_its_seed_is_forgotten() -> None:
    series = walk(3, HISTORY)

    found = of(series)

    first = {name: int(np.flatnonzero(found.is_warm(name))[0]) + 1 for name in ("ema_slow", "rsi", "atr", "sma_long")}
    assert first == {"ema_slow": exponential(26), "rsi": wilder(14), "atr": wilder(14), "sma_long": 200}
    assert (1 - 2 / 27) ** (exponential(26) - 26) <= 1e-13 < (1 - 2 / 27) ** (exponential(26) - 27)


@settings(max_examples=20)
@given(seeds, st.integers(1, 1500))
def test_nothing_looks_ahead(seed: int, end: int) -> None:
    series = walk(seed, 1500, still=0.2)
    scrambled = walk(seed + 1, 1500)
    mixed = Series(
        *(
            np.concatenate(
                [getattr(one, field.name)[part] for one, part in ((series, slice(end)), (scrambled, slice(end, None)))]
            )
            for field in fields(Series)
        )
    )

    known, later = of(series.take(slice(end))), of(mixed)

    for name in NAMES:
        np.testing.assert_array_equal(known.values[name], later.values[name][:end], err_msg=name)
    np.testing.assert_array_equal(known.warm, later.warm[:end])


@settings(max_examples=20)
@given(seeds, st.floats(0.0, 0.6))
def test_bars_without_prices_poison_nothing(seed: int, share: float) -> None:
    series = walk(seed, 1200)
    gone = np.random.default_rng(seed).random(1200) < share

    found, rest = of(without_prices(series, gone)), of(series.take(~gone))

    for name in set(NAMES) - {"trade_rate", "session_vwap"}:
        assert np.isnan(found.values[name][gone]).all(), name
        np.testing.assert_array_equal(found.values[name][~gone], rest.values[name], err_msg=name)
        np.testing.assert_array_equal(found.is_warm(name)[~gone], rest.is_warm(name), err_msg=name)
    np.testing.assert_array_equal(found.values["trade_rate"], of(series).values["trade_rate"])


def test_one_bar_without_prices_does_not_make_every_later_rsi_zero() -> None:
    gone = np.zeros(1000, bool)
    gone[500] = True

    found = of(without_prices(walk(5, 1000), gone))

    assert np.isnan(found.values["rsi"][500])
    assert (found.values["rsi"][501:] > 1).all()
    assert found.is_warm("rsi")[501:].all()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 14, 15, 27, 28, 60])
def test_a_short_series_has_few_values_and_no_error(count: int) -> None:
    found = of(walk(1, count))

    assert {len(found.values[name]) for name in NAMES} == {count}
    assert not found.is_warm("rsi").any()
    assert found.is_warm("sma_fast").sum() == max(count - 4, 0)


def test_bars_of_which_none_has_prices_have_a_rate_of_prints_and_nothing_else() -> None:
    series = replace(walk(1, 30), vwap_volume=np.zeros(30))

    found = of(without_prices(series, np.ones(30, bool)))

    assert {name for name in NAMES if np.isfinite(found.values[name]).any()} == {"trade_rate"}


@settings(max_examples=15)
@given(seeds, st.sampled_from([2.0, 7.0, 20.0, 0.1, 1.5]), st.integers(1, 3))
def test_a_split_is_no_crash_and_values_are_in_the_shares_of_their_own_day(seed: int, ratio: float, days: int) -> None:
    whole = walk(seed, 1560)
    split_day = int(whole.day[0]) + days
    shares = np.where(whole.day < split_day, ratio, 1.0)
    traded = replace(
        whole,
        **{name: np.round(getattr(whole, name) * shares, 6) for name in ("high", "low", "close")},
        **{name: getattr(whole, name) / shares for name in ("volume", "vwap_volume")},
    )

    found, expected = of(traded, splits=Splits.of([(split_day, ratio)])), of(whole)

    for name in NAMES:
        scale = shares if name in (*IN_PRICES, "session_vwap") else 1 / shares if name == "obv" else 1.0
        np.testing.assert_allclose(
            found.values[name], expected.values[name] * scale, rtol=1e-9, atol=1e-9 * np.max(shares), err_msg=name
        )
    np.testing.assert_array_equal(found.warm, expected.warm)


@settings(max_examples=10)
@given(seeds, st.sampled_from([2.0, 7.0, 0.05, 1.5]))
def test_a_later_split_changes_no_row_before_it_by_more_than_rounding(seed: int, ratio: float) -> None:
    series = walk(seed, 1560)
    split_day = int(series.day[0]) + 3
    before = series.day < split_day

    at_the_time, long_after = of(series.take(before)), of(series, splits=Splits.of([(split_day, ratio)]))

    for name in NAMES:
        expected = at_the_time.values[name]
        np.testing.assert_allclose(long_after.values[name][before], expected, rtol=1e-9, atol=1e-9, err_msg=name)
    np.testing.assert_array_equal(long_after.warm[before], at_the_time.warm)


def test_a_split_to_come_changes_nothing_before_it() -> None:
    series = walk(2, 800)
    later = Splits.of([(int(series.day[-1]) + 1, 4.0)])

    found, plain = of(series, splits=later), of(series)

    for name in NAMES:
        np.testing.assert_array_equal(found.values[name], plain.values[name])


def test_units_multiply_over_the_splits_before_and_after_a_day() -> None:
    splits = Splits.of([(30, 0.5), (10, 2.0), (20, 7.0)])
    days = np.array([9, 10, 19, 20, 29, 30])

    prices, shares = splits.units(days, 30)
    known, _ = splits.units(days, 29)

    assert prices.tolist() == [2.0, 4.0, 4.0, 28.0, 28.0, 14.0]
    assert (shares * prices).tolist() == [28.0] * 6
    assert known.tolist() == [1.0, 2.0, 2.0, 14.0, 14.0, 14.0]


@pytest.mark.parametrize(
    ("ratio", "new", "old"), [(7.0, 7, 1), (0.333333333, 1, 3), (1.5, 3, 2), (1.00273, 1.00273, 1), (0.04, 1, 25)]
)
def test_a_ratio_is_two_whole_numbers_where_such_are_meant(ratio: float, new: float, old: float) -> None:
    found = Splits.of([(1, ratio)])

    assert (found.new.tolist(), found.old.tolist()) == ([new], [old])


def test_sums_with_an_origin_begin_anew_and_are_not_warm_where_the_origin_may_be_missing() -> None:
    series = walk(4, 900, per_day=300)

    found = of(series)

    first = np.array([0, 300, 600])
    np.testing.assert_array_equal(found.values["obv"][first], series.volume[first])
    np.testing.assert_allclose(found.values["session_vwap"][first], series.close[first], rtol=1e-4)
    for name in ("obv", "session_vwap"):
        assert (~found.is_warm(name)[:300]).all() and found.is_warm(name)[300:].all()


def test_daily_balance_begins_with_the_calendar_year_and_a_daily_vwap_is_its_own_bars() -> None:
    series = walk(4, 900, per_day=1)

    found = indicators_of(series, "1d", STANDARD)

    years = series.day.astype("datetime64[D]").astype("datetime64[Y]")
    begins = np.flatnonzero(np.diff(years.astype(int))) + 1
    np.testing.assert_array_equal(found.values["obv"][begins], series.volume[begins])
    assert (found.is_warm("session_vwap") == (series.volume > 0)).all()
    assert found.is_warm("obv")[begins[0] :].all() and not found.is_warm("obv")[: begins[0]].any()


def test_a_vendors_bars_have_a_vwap_of_typical_prices_and_no_rate_of_prints() -> None:
    series = walk(6, 800)
    nothing = np.zeros(800)
    vendor = replace(series, trades=np.full(800, np.nan), notional=nothing, vwap_volume=nothing)

    found = of(vendor)

    typical = (series.high + series.low + series.close) / 3
    own = series.day == series.day[500]
    expected = np.cumsum((typical * series.volume)[own]) / np.cumsum(series.volume[own])
    np.testing.assert_allclose(found.values["session_vwap"][own], expected, rtol=1e-12)
    assert np.isnan(found.values["trade_rate"]).all()
    np.testing.assert_array_equal(found.values["rsi"], of(series).values["rsi"])


def test_beta_is_one_against_itself_two_where_moves_double_and_nothing_without_an_index() -> None:
    series = walk(8, 300)
    itself = replace(series, index_close=series.close)
    half = replace(series, index_close=np.sqrt(series.close))
    none = replace(series, index_close=np.full(300, np.nan))

    betas = [of(one).values["beta"] for one in (itself, half, none)]

    np.testing.assert_allclose(betas[0][60:], 1.0, rtol=1e-12)
    np.testing.assert_allclose(betas[1][60:], 2.0, rtol=1e-9)
    assert np.isnan(betas[2]).all()


def test_prices_that_stand_still_have_no_width_no_volatility_and_an_rsi_that_is_not_warm() -> None:
    series = walk(9, 3000)
    still = np.arange(3000) >= 1000
    flat = replace(series, **{name: np.where(still, 99.37, getattr(series, name)) for name in ("high", "low", "close")})

    found = of(flat)

    assert (found.values["bollinger_upper"] - found.values["bollinger_lower"])[1100:].max() < 1e-9
    assert found.values["volatility"][1100:].max() == 0.0
    assert not found.is_warm("rsi")[2000:].any()
    assert not found.is_warm("adx")[2000:].any()
    assert found.is_warm("sma_long")[2000:].all()
    assert (found.values["cci"][1100:] == 0).all()
