"""Bars and prints against their past: each score against a plain definition, and no look into the future."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lakehouse.anomalies.judge import judge_bars
from lakehouse.anomalies.jumps import critical_value, jump_statistics
from lakehouse.anomalies.market import market_move, market_moves, residuals
from lakehouse.anomalies.prints import is_bad_print, print_scores
from lakehouse.anomalies.rules import (
    FILING,
    GAP,
    HALT,
    JUMP,
    MINUTE_MS,
    NEWS,
    PRINT,
    SECTOR,
    SPIKE,
    SPLIT,
    UNEXPLAINED,
    VOLUME,
    AnomalyRules,
    Bars,
    Flag,
    Known,
)
from lakehouse.anomalies.seasonal import seasonal_scores

Floats = NDArray[np.float64]
RULES = AnomalyRules()
NAN = float("nan")
BARS_A_SESSION = 60
FIRST = 19_800


def market_of(seed: int, sessions: int = 8) -> Bars:
    """Quiet minutes of one instrument: a walk of 0.05 % a minute, volumes of some thousand shares, busy at the open."""
    dice = np.random.default_rng(seed)
    count = sessions * BARS_A_SESSION
    session = FIRST + np.repeat(np.arange(sessions), BARS_A_SESSION)
    opens = session * 86_400_000 + 14 * 3_600_000
    start = opens + np.tile(np.arange(BARS_A_SESSION), sessions) * MINUTE_MS
    steps = dice.normal(0, 0.0005, count) * np.where(start == opens, 4, 1)
    close = 100 * np.exp(np.cumsum(steps))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(np.where(start == opens, dice.normal(0, 0.0005, count), 0))
    wick = np.exp(np.abs(dice.normal(0, 0.0002, (2, count))))
    high, low = np.maximum(open_, close) * wick[0], np.minimum(open_, close) / wick[1]
    volume = np.round(np.exp(dice.normal(8, 0.4, count)) * np.where(start == opens, 6, 1))
    prices, trades = (open_, high, low, close), np.ceil(volume / 100.0)
    unknown, middle = np.full(count, NAN), (open_ + close) / 2
    return Bars("1m", session, opens, start, start + MINUTE_MS, *prices, volume, unknown, trades, middle)


def moved(bars: Bars, row: int, factor: float) -> Bars:
    """The same bars with every price from one row on times a factor."""
    later = np.where(np.arange(len(bars)) >= row, factor, 1.0)
    before = np.where(np.arange(len(bars)) > row, factor, 1.0)
    open_, close = bars.open * before, bars.close * later
    high = np.maximum(bars.high * before, np.maximum(open_, close))
    low = np.minimum(bars.low * before, np.minimum(open_, close))
    return replace(bars, open=open_, high=high, low=low, close=close)


def without(bars: Bars, rows: range) -> Bars:
    """The same bars without some of them."""
    kept = np.setdiff1d(np.arange(len(bars)), np.array(rows))
    names = [name for name in vars(bars) if name != "interval"]
    return replace(bars, **{name: getattr(bars, name)[kept] for name in names})


def of_kind(flags: list[Flag], kind: str) -> list[Flag]:
    return [one for one in flags if one.kind == kind]


def test_quiet_sessions_have_no_anomaly() -> None:
    assert [flag for seed in range(5) for flag in judge_bars(market_of(seed), RULES)] == []


def test_a_jump_is_flagged_once_when_the_next_bar_has_confirmed_it() -> None:
    bars, row = moved(market_of(1), 400, 1.05), 400

    (flag,) = of_kind(judge_bars(bars, RULES), JUMP)

    assert (flag.row, flag.reason, flag.decided_ms) == (row, UNEXPLAINED, bars.end_ms[row + 1])
    assert flag.score > flag.evidence["critical"] > 0  # type: ignore[operator]
    assert flag.evidence["move_pct"] == pytest.approx(5.0, abs=0.3)


def test_a_close_that_is_gone_one_bar_later_was_a_print_and_the_way_back_is_no_jump() -> None:
    bars = market_of(2)
    close = bars.close.copy()
    close[400] *= 1.08

    flags = judge_bars(replace(bars, close=close, high=np.maximum(bars.high, close)), RULES)

    assert {(one.row, one.reason) for one in flags if one.kind != SPIKE} == {(400, PRINT)}


def test_a_high_nothing_explains_is_a_print() -> None:
    bars = market_of(3)
    high = bars.high.copy()
    high[400] *= 100

    (flag,) = judge_bars(replace(bars, high=high), RULES)

    assert (flag.row, flag.kind, flag.reason) == (400, SPIKE, PRINT)


def test_a_jump_after_an_unusual_silence_is_a_halt() -> None:
    flags = judge_bars(without(moved(market_of(4), 400, 0.94), range(380, 400)), RULES)

    assert {one.reason for one in flags if one.kind == JUMP} == {HALT}


def test_a_move_the_whole_market_makes_is_no_jump_and_named_a_sector_move() -> None:
    bars = moved(market_of(5), 400, 1.04)
    market = np.full(len(bars), 0.0)
    market[400] = math.log(1.04)

    flags = judge_bars(replace(bars, market=market), RULES)

    assert of_kind(flags, JUMP) == []
    assert {(one.row, one.reason) for one in flags} == {(400, SECTOR)}


@pytest.mark.parametrize(("known", "reason"), [("filings_ms", FILING), ("news_ms", NEWS)])
def test_a_jump_with_a_filing_or_news_just_before_it_is_called_after_it(known: str, reason: str) -> None:
    bars = moved(market_of(6), 400, 1.05)
    told = Known(**{known: (int(bars.start_ms[400]) - 60_000,)})
    old = Known(**{known: (int(bars.start_ms[400]) - 3_600_000,)})
    later = Known(**{known: (int(bars.end_ms[400]),)})

    assert {one.reason for one in judge_bars(bars, RULES, told)} == {reason}
    assert {one.reason for one in judge_bars(bars, RULES, old)} == {UNEXPLAINED}
    assert {one.reason for one in judge_bars(bars, RULES, later)} == {UNEXPLAINED}


def test_a_split_is_named_and_is_neither_a_crash_nor_a_surge_of_volume() -> None:
    bars = market_of(7)
    row = 7 * BARS_A_SESSION
    is_after = bars.session >= bars.session[row]
    prices = {
        name: np.where(is_after, getattr(bars, name) / 4, getattr(bars, name))
        for name in ("open", "high", "low", "close")
    }
    split = replace(bars, **prices, volume=np.where(is_after, bars.volume * 4, bars.volume))

    flags = judge_bars(split, RULES, Known(splits={int(bars.session[row]): 4.0}))

    assert [(one.row, one.kind, one.reason) for one in flags] == [(row, GAP, SPLIT)]


def test_a_fall_over_night_that_no_split_explains_is_a_gap() -> None:
    bars = market_of(8)
    row = 7 * BARS_A_SESSION
    is_after = bars.session >= bars.session[row]
    prices = {
        name: np.where(is_after, getattr(bars, name) / 2, getattr(bars, name))
        for name in ("open", "high", "low", "close")
    }

    (flag,) = judge_bars(replace(bars, **prices), RULES)

    assert (flag.row, flag.kind, flag.reason) == (row, GAP, UNEXPLAINED)


def test_a_surge_of_volume_is_one_only_against_its_own_minute() -> None:
    bars = market_of(9)
    volume = bars.volume.copy()
    volume[400] *= 200

    (flag,) = judge_bars(replace(bars, volume=volume), RULES)

    assert (flag.row, flag.kind, flag.reason) == (400, VOLUME, UNEXPLAINED)


def test_an_opening_stays_quiet_while_too_few_openings_are_known() -> None:
    bars = moved(market_of(10, sessions=3), 2 * BARS_A_SESSION + 2, 1.03)

    assert judge_bars(bars, RULES) == []


@settings(max_examples=15)
@given(seed=st.integers(0, 1 << 20), at=st.integers(1, 8 * BARS_A_SESSION - 1))
def test_flags_decided_by_a_moment_do_not_change_with_what_comes_later(seed: int, at: int) -> None:
    dice = np.random.default_rng(seed)
    bars = market_of(seed)
    for row in dice.integers(60, len(bars), 4).tolist():
        bars = moved(bars, row, float(dice.choice([0.9, 0.95, 1.04, 1.1])))
    later = np.arange(len(bars)) >= at
    wild = np.exp(dice.normal(0, 0.2, len(bars)))
    names = ("open", "high", "low", "close", "volume")
    scrambled = replace(
        bars, **{name: np.where(later, getattr(bars, name) * wild, getattr(bars, name)) for name in names}
    )
    until = int(bars.end_ms[at - 1])

    def decided(given: Bars) -> list[Flag]:
        return [flag for flag in judge_bars(given, RULES) if flag.decided_ms <= until]

    assert decided(bars) == decided(scrambled)


def plain_seasonal(session: list[int], slot: list[int], values: list[float], sessions: int, least: int) -> list[float]:
    """Median and usual deviation of the slot over past sessions, the deviation mixed with that of whole sessions."""

    def usual(stretch: list[float]) -> tuple[float, float]:
        middle = statistics.median(stretch)
        away = [abs(one - middle) for one in stretch]
        mad = 1.4826 * statistics.median(away)
        return middle, mad if mad > 0 else 1.2533 * statistics.fmean(away)

    found = []
    for at, value in enumerate(values):
        there = {
            s for s, k, v in zip(session, slot, values, strict=True) if k == slot[at] and s < session[at] and v == v
        }
        whole = {s for s, v in zip(session, values, strict=True) if s < session[at] and v == v}
        last, last_whole = sorted(there)[-sessions:], sorted(whole)[-sessions:]
        past = [v for s, k, v in zip(session, slot, values, strict=True) if s in last and k == slot[at] and v == v]
        all_past = [v for s, v in zip(session, values, strict=True) if s in last_whole and v == v]
        if len(last) < least or value != value:
            found.append(NAN)
            continue
        (middle, spread), (_, wide) = usual(past), usual(all_past)
        unit = (len(past) * spread + 20 * wide) / (len(past) + 20)
        found.append((value - middle) / unit if unit > 0 else 0.0 if value == middle else NAN)
    return found


@settings(max_examples=60)
@given(st.data())
def test_a_seasonal_score_is_what_its_definition_says(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 60))
    session = sorted(data.draw(st.lists(st.integers(0, 9), min_size=count, max_size=count)))
    slot = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    value = st.one_of(st.integers(-9, 9).map(float), st.just(NAN))
    values = data.draw(st.lists(value, min_size=count, max_size=count))
    sessions, least = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))

    found = seasonal_scores(
        np.array(session), np.array(slot), np.array(values), sessions=sessions, least_sessions=least
    ).score

    assert found.tolist() == pytest.approx(plain_seasonal(session, slot, values, sessions, least), nan_ok=True)


def plainly_cut(returns: list[float]) -> list[float]:
    """Sizes of returns, none over four times the fading mean of those before it, once ten are known."""
    found, mean = list[float](), 0.0
    for seen, value in enumerate(map(abs, returns)):
        found.append(min(value, 4 * mean) if seen >= 10 and mean > 0 else value)
        mean += max(1 / (seen + 1), 1 / 100) * ((min(value, 4 * mean) if mean > 0 else value) - mean)
    return found


@given(
    returns=st.lists(st.integers(-50, 50).map(float), max_size=40), window=st.integers(2, 12), least=st.integers(1, 12)
)
def test_a_jump_statistic_is_a_return_over_the_bipower_volatility_before_it(
    returns: list[float], window: int, least: int
) -> None:
    expected = []
    cut = plainly_cut(returns)
    for at, value in enumerate(returns):
        before = cut[max(at - window, 0) : at]
        products = [abs(one) * abs(other) for one, other in pairwise(before)]
        if len(products) < max(min(least, window - 1), 1):
            expected.append(NAN)
            continue
        sigma = math.sqrt(statistics.fmean(products))
        expected.append(value / sigma if sigma > 0 else 0.0 if value == 0 else NAN)

    assert jump_statistics(np.array(returns), windows=(window,), least=least).tolist() == pytest.approx(
        expected, nan_ok=True
    )


def test_the_critical_value_is_that_of_lee_and_mykland() -> None:
    # n = 390 one-minute returns at 1 %: C_n + S_n x 4.6001, by hand.
    c, root = math.sqrt(2 / math.pi), math.sqrt(2 * math.log(390))
    by_hand = root / c - (math.log(math.pi) + math.log(math.log(390))) / (2 * c * root) + 4.6001 / (c * root)

    assert critical_value(390, 0.01) == pytest.approx(by_hand, abs=1e-4)
    assert critical_value(390, 0.001) > critical_value(390, 0.01)


def test_returns_without_a_jump_seldom_pass_the_critical_value() -> None:
    returns = np.random.default_rng(11).normal(0, 0.001, 390 * 300)

    statistic = jump_statistics(returns, windows=(270,), least=30)

    sessions = np.abs(np.where(np.isnan(statistic), 0, statistic)).reshape(300, 390).max(axis=1)
    assert (sessions > critical_value(390, 0.01)).mean() < 0.04


def plain_prints(prices: list[float], neighbours: int, least_share: float) -> list[float]:
    found, before = [], list[float]()
    for price in prices:
        if not math.isfinite(price):
            found.append(NAN)
            continue
        last = before[-neighbours:]
        if len(last) < min(9, neighbours):
            found.append(NAN)
        else:
            middle = statistics.median(last)
            usual = max(1.4826 * statistics.median_low(abs(one - middle) for one in last), least_share * middle, 0.01)
            found.append((price - middle) / usual)
        before.append(price)
    return found


@given(
    prices=st.lists(st.one_of(st.integers(1, 300).map(lambda cents: cents / 4), st.just(NAN)), max_size=60),
    neighbours=st.integers(1, 15),
)
def test_a_print_score_is_its_distance_from_the_median_of_the_prints_before_it(
    prices: list[float], neighbours: int
) -> None:
    found = print_scores(np.array(prices, np.float64), neighbours=neighbours, least_share=0.001)

    assert found.tolist() == pytest.approx(plain_prints(prices, neighbours, 0.001), nan_ok=True)


def test_bad_prints_are_alone_and_many_that_agree_are_a_move() -> None:
    scores = np.array([0, 9, 0, -9, -9, 0, NAN, 8, 8, 8, 8, 8, -8, 0])

    assert np.flatnonzero(is_bad_print(scores)).tolist() == [1, 3, 4, 7, 8, 9, 12]


@given(st.lists(st.tuples(st.integers(0, 4), st.one_of(st.integers(-9, 9).map(float), st.just(NAN))), max_size=40))
def test_the_market_moves_by_the_median_of_its_moment(rows: list[tuple[int, float]]) -> None:
    moments, moves = np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.float64)
    expected = []
    for moment, _ in rows:
        known = [move for other, move in rows if other == moment and move == move]
        expected.append(statistics.median(known) if len(known) >= 5 else NAN)

    assert market_moves(moments, moves).tolist() == pytest.approx(expected, nan_ok=True)


def test_a_residual_is_the_move_without_the_market_where_the_market_is_known() -> None:
    assert residuals(np.array([0.3, 0.3, NAN]), np.array([0.1, NAN, 0.1])).tolist() == pytest.approx(
        [0.2, 0.3, NAN], nan_ok=True
    )
    assert math.isnan(market_move(np.array([1.0, 2.0, NAN, 3.0, 4.0])))
