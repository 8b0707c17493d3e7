"""Windows that carry no error: the kernels against plain numpy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.indicators.measures import (
    before,
    running_sums,
    window_deviations,
    window_means,
    window_slopes,
    window_spreads,
    window_sums,
)

amounts = st.lists(st.floats(0.01, 1e6), max_size=40).map(lambda found: np.array(found, float))
periods = st.integers(2, 12)


def windows(values: np.ndarray, period: int) -> list[np.ndarray | None]:
    return [values[at - period + 1 : at + 1] if at >= period - 1 else None for at in range(len(values))]


@settings(max_examples=60)
@given(amounts, periods)
def test_windows_are_what_numpy_says_of_each_by_itself(values: np.ndarray, period: int) -> None:
    each = windows(values, period)
    none = np.nan

    for found, expected in (
        (window_sums(values, period), [none if one is None else one.sum() for one in each]),
        (window_means(values, period), [none if one is None else one.mean() for one in each]),
        (window_deviations(values, period, 0), [none if one is None else one.std() for one in each]),
        (window_deviations(values, period, 1), [none if one is None else one.std(ddof=1) for one in each]),
        (window_spreads(values, period), [none if one is None else np.abs(one - one.mean()).mean() for one in each]),
    ):
        np.testing.assert_allclose(found, np.array(expected, float), rtol=1e-9, atol=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), periods, st.integers(0, 40))
def test_a_slope_is_that_of_least_squares(seed: int, period: int, count: int) -> None:
    dice = np.random.default_rng(seed)
    x, y = dice.normal(size=(2, count))

    found = window_slopes(y, x, period)

    for at in range(count):
        part = slice(at - period + 1, at + 1)
        if at < period - 1:
            assert np.isnan(found[at])
        else:
            assert found[at] == pytest.approx(np.cov(x[part], y[part])[0, 1] / np.var(x[part], ddof=1), rel=1e-6)


def test_a_value_a_trillion_times_larger_leaves_no_trace_once_it_is_out_of_the_window() -> None:
    values = np.concatenate([np.full(5, 0.1), [1e12], np.full(10, 0.1)])

    found = window_sums(values, 3)

    exact = float(3 * Fraction(0.1))
    assert found[-8:].tolist() == pytest.approx([exact] * 8, rel=1e-15)
    assert window_deviations(values, 3, 0)[-1] < 1e-16


def test_a_running_sum_begins_where_it_is_told_to() -> None:
    values, begins = np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, False])

    assert running_sums(values, begins).tolist() == [1.0, 3.0, 3.0, 7.0]
    assert before(np.array([1.0, 2.0]))[1] == 1.0 and np.isnan(before(np.array([1.0, 2.0]))[0])
    assert len(before(np.empty(0))) == 0


def test_one_missing_value_is_missing_in_its_own_windows_only() -> None:
    values = np.arange(10.0)
    values[4] = np.nan

    assert np.isnan(window_sums(values, 3)).nonzero()[0].tolist() == [0, 1, 4, 5, 6]


@settings(max_examples=60)
@given(
    st.lists(st.one_of(st.integers(-(10**15), 10**15), st.integers(0, 1000)), max_size=40),
    periods,
    st.sampled_from([1.0, 0.5]),
    st.sampled_from([None, np.nan, np.inf]),
)
def test_sums_of_whole_numbers_are_the_exact_ones_wherever_a_double_can_hold_them(
    amounts: list[int], period: int, unit: float, hole: float | None
) -> None:
    values = np.array(amounts, float) * unit
    if hole is not None and len(values) > 3:
        values[3] = hole

    found = window_sums(values, period)

    for at, window in enumerate(windows(values, period)):
        if window is None:
            assert np.isnan(found[at])
        elif np.isfinite(window).all():
            exact = sum(Fraction(value) for value in window.tolist())
            if abs(exact) < 2**53:
                assert found[at] == pytest.approx(float(exact), rel=1e-12, abs=1.0)
            if np.abs(values[np.isfinite(values)]).max(initial=0) * period < 2**53 and hole is None:
                assert Fraction(float(found[at])) == exact
        else:
            assert not np.isfinite(found[at])
