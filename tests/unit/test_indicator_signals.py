"""Signals: one for a crossing, none for a wobble, dated with the bar that caused it, never from what is not warm."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.indicators.compute import NAMES, Indicators, indicators_of
from lakehouse.indicators.series import Series
from lakehouse.indicators.signals import RULES, SWITCHES, Signal, signals_of
from lakehouse.indicators.warmth import needed_bars
from tests.unit.walks import STANDARD, walk

LEVELS = STANDARD.signals
EVERYTHING = (1 << len(NAMES)) - 1


def told(warm: list[bool] | None = None, **values: list[float]) -> list[Signal]:
    """The signals of bars that have only these values, all warm unless said."""
    count = len(next(iter(values.values())))
    series = walk(1, count)
    if "close" in values:
        series = replace(series, close=np.array(values.pop("close"), float))
    known = {name: np.array(values.get(name, [np.nan] * count), float) for name in NAMES}
    bits = np.where(np.array(warm if warm is not None else [True] * count), EVERYTHING, 0)
    return signals_of(series, Indicators(known, bits), LEVELS)


def of(series: Series) -> list[Signal]:
    return signals_of(series, indicators_of(series, "1m", STANDARD), LEVELS)


def places(signals: list[Signal]) -> list[tuple[int, str]]:
    return [(one.place, one.rule) for one in signals]


def test_averages_that_cross_are_golden_upwards_and_death_downwards_at_the_bar_that_crosses() -> None:
    spread = [-1.0, -0.5, 0.05, 0.2, 0.9, 0.05, -0.05, -0.2]
    flat = [1.0] * len(spread)

    found = told(sma_fast=[100 + one for one in spread], sma_medium=[100.0] * len(spread), atr=flat)

    assert [(one.place, one.rule, one.direction) for one in found] == [
        (3, "golden_cross", "up"), (7, "death_cross", "down"),
    ]  # fmt: skip
    assert (found[0].level, found[1].level) == (0.1, -0.1)
    assert found[0].value == pytest.approx(0.2)


def test_a_wobble_about_one_level_is_one_signal() -> None:
    found = told(rsi=[60.0, 71.0, 69.0, 71.0, 66.0, 72.0, 64.0, 66.0, 70.5])

    assert places(found) == [(1, "rsi_overbought"), (8, "rsi_overbought")]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"rsi": [50.0, 29.0, 33.0, 28.0]}, [(1, "rsi_oversold", "down")]),
        (
            {"close": [10.0, 12.1], "bollinger_lower": [8.0, 8.0], "bollinger_upper": [12.0, 12.0]},
            [(1, "band_above", "up")],
        ),
        (
            {"close": [10.0, 7.9], "bollinger_lower": [8.0, 8.0], "bollinger_upper": [12.0, 12.0]},
            [(1, "band_below", "down")],
        ),
        ({"close": [9.0, 12.1], "channel_low": [8.0, 8.0], "channel_high": [12.0, 12.0]}, [(1, "breakout_up", "up")]),
        (
            {"close": [11.0, 7.9], "channel_low": [8.0, 8.0], "channel_high": [12.0, 12.0]},
            [(1, "breakout_down", "down")],
        ),
        ({"relative_volume": [1.0, 2.9, 3.1]}, [(2, "volume_surge", "up")]),
        (
            {
                "macd": [0.0] * 3, "macd_signal": [0.0] * 3, "macd_histogram": [-0.1, 0.1, -0.1], "atr": [1.0] * 3,
            },
            [(1, "macd_up", "up"), (2, "macd_down", "down")],
        ),
    ],
)  # fmt: skip
def test_each_rule_speaks_of_its_own_crossing(
    values: dict[str, list[float]], expected: list[tuple[int, str, str]]
) -> None:
    found = told(**values)

    assert [(one.place, one.rule, one.direction) for one in found] == expected


def test_a_close_at_the_highest_high_is_no_breakout() -> None:
    assert told(close=[9.0, 12.0], channel_low=[8.0, 8.0], channel_high=[12.0, 12.0]) == []


def test_nothing_is_said_of_values_that_are_not_warm_or_not_there() -> None:
    rsi = [60.0, 71.0, 60.0, 71.0, 60.0, np.nan, 71.0]
    warm = [False, True, True, True, True, True, True]

    assert places(told(warm, rsi=rsi)) == [(3, "rsi_overbought"), (6, "rsi_overbought")]
    assert told([False] * 7, rsi=rsi) == []


def test_the_first_side_a_history_shows_is_no_crossing() -> None:
    assert told(rsi=[75.0, 76.0, 68.0]) == []


def test_a_switch_forgets_its_side_after_its_memory() -> None:
    between = [67.0] * (LEVELS.memory - 1)

    assert places(told(rsi=[60.0, *between, 71.0])) == [(LEVELS.memory, "rsi_overbought")]
    assert told(rsi=[60.0, 67.0, *between, 71.0]) == []


def test_evidence_is_plain_json_that_says_what_was_measured_and_where_it_stood_before() -> None:
    (found,) = told(close=[10.0, 11.0, 12.5], bollinger_lower=[8.0] * 3, bollinger_upper=[12.0] * 3)

    evidence = json.loads(found.evidence)

    assert evidence["close"] == 12.5 and evidence["bollinger_upper"] == 12.0
    assert evidence["was"] == pytest.approx(0.75) and evidence["was_at"].endswith("Z")
    assert evidence["measured"] == "place of the close between the bands"
    assert found.value == pytest.approx(1.125)


def test_every_rule_has_levels_and_a_name_of_its_own() -> None:
    assert len(set(RULES)) == len(RULES) == 11
    assert {switch.levels for switch in SWITCHES} == set(type(LEVELS).model_fields) - {"memory"}


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(0, 1200), st.sampled_from([0.0, 0.4]))
def test_a_cold_start_with_the_promised_history_tells_the_same_signals(seed: int, start: int, still: float) -> None:
    series = walk(seed, 3200, still=still, step=0.002)
    history = needed_bars(STANDARD) + LEVELS.memory

    cold = [replace_place(one, start) for one in of(series.take(slice(start, None)))]
    long = of(series)

    settled = start + history
    assert compared(cold, settled) == compared(long, settled)
    assert compared(long, settled) != []


def replace_place(one: Signal, by: int) -> Signal:
    return replace(one, place=one.place + by)


def compared(signals: list[Signal], since: int) -> list[tuple[int, str, str, float]]:
    return [(one.place, one.rule, one.direction, round(one.value, 6)) for one in signals if one.place >= since]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_crosses_alternate_and_signals_come_in_order_of_time(seed: int) -> None:
    found = of(walk(seed, 2500, step=0.002))

    crosses = [one.rule for one in found if one.rule in ("golden_cross", "death_cross")]
    assert all(one != other for one, other in pairwise(crosses))
    assert [one.place for one in found] == sorted(one.place for one in found)
    assert {one.rule for one in found} <= set(RULES)
    for one in found:
        json.loads(one.evidence)
