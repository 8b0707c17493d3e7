"""The online detector against a plain reading of its rules, and what must not matter to it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lakehouse.anomalies.online import FROZEN, OnlineDetector, OnlineParameters, with_refractory

Floats = NDArray[np.float64]
STEP = 300
EAGER = replace(
    FROZEN, warm_points=20.0, warm_days=1.0, warm_weeks=1.0, weights=(1.0, 0.9, 1.1, 0.8, 1.0, 0.7, 1.2, 0.6), power=2.0
)


def series(seed: int, count: int = 1_500) -> tuple[NDArray[np.int64], Floats]:
    """A daily wave with noise, gaps in time and a few outliers."""
    dice = np.random.default_rng(seed)
    seconds = 1_400_000_000 + np.cumsum(dice.choice([STEP, STEP, STEP, 3 * STEP, 40 * STEP], count))
    values = 50 + 20 * np.sin(seconds / 86_400 * 2 * math.pi) + dice.normal(0, 2, count)
    values[dice.integers(0, count, 5)] += dice.normal(0, 60, 5)
    return seconds.astype(np.int64), values


def surprises(seconds: NDArray[np.int64], values: Floats, parameters: OnlineParameters = EAGER) -> Floats:
    return OnlineDetector(parameters).add(seconds, values)[0]


@dataclass
class Level:
    """A level and a mean deviation that follow a series, far points cut to four deviations."""

    value: float
    spread: float = 0.0
    count: int = 0

    def take(self, value: float, rate: float) -> None:
        distance = value - self.value
        self.spread = widened(self.spread, abs(distance), rate)
        self.value += rate * max(-4 * self.spread, min(4 * self.spread, distance))
        self.count += 1


def widened(spread: float, distance: float, rate: float) -> float:
    return rate * distance if spread == 0 else spread + rate * (min(distance, 4 * spread) - spread)


@dataclass
class Tail:
    """What an expert has learnt of how far out points usually are."""

    threshold: float | None = None
    scale: float = 0.0
    excess: float = 0.0
    seen: int = 0

    def surprise(self, far: float, given: OnlineParameters) -> float:
        value, share, rate = math.log1p(far), given.tail_share, 1 / given.tail_points
        if self.threshold is None:
            self.threshold = value
        beyond = value - self.threshold
        found = 0.0
        if beyond > 1e-9 and self.seen >= given.warm_points and self.excess > 0:
            found = -math.log10(share) + beyond / (self.excess * math.log(10))
        step = max(rate, 1 / (self.seen * 0.1 + 1))
        self.scale += max(rate, 1 / (self.seen + 1)) * (min(abs(beyond), 2.0) - self.scale)
        if beyond > 1e-9:
            most = 4 * self.excess if self.excess > 0 else beyond
            self.excess += max(rate / share, 1 / (self.seen * share + 1)) * (min(beyond, most) - self.excess)
            self.threshold += step * self.scale * 2 * (1 - share)
        else:
            self.threshold -= step * self.scale * 2 * share
        self.seen += 1
        return found


def far_of(distance: float, spread: float, least: float) -> float:
    unit = max(spread, least)
    if distance == 0:
        return 0.0
    return 1e6 if unit * 1e6 <= distance else distance / unit


@dataclass
class Plain:
    """The detector, one point at a time, by the names of things instead of places in arrays."""

    given: OnlineParameters
    count: int = 0
    first: int = 0
    last: float = 0.0
    fast: Level = field(default_factory=lambda: Level(0.0))
    slow: Level = field(default_factory=lambda: Level(0.0))
    parts: dict[tuple[str, int], Level] = field(default_factory=dict)
    whole: dict[str, float] = field(default_factory=lambda: {"day": 0.0, "week": 0.0})
    steps: float = 0.0
    short_steps: float = 0.0
    drift: float = 0.0
    seasonal_drift: float = 0.0
    tails: dict[str, Tail] = field(default_factory=dict)

    def surprise(self, second: int, value: float) -> float:
        given = self.given
        if self.count == 0:
            self.first, self.last, self.fast.value, self.slow.value = second, value, value, value
        since, least = second - self.first, 0.02 * self.slow.spread

        def rate(points: float) -> float:
            return max(1 / points, 1 / (self.count + 1))

        signed = {}
        for name, level, points in (("fast", self.fast, given.fast_points), ("slow", self.slow, given.slow_points)):
            distance = value - level.value
            signed[name] = math.copysign(far_of(abs(distance), level.spread, least), distance)
            level.take(value, rate(points))
        step = abs(value - self.last)
        signed["step"] = far_of(step, self.steps, least)
        self.steps, self.last = widened(self.steps, step, rate(given.slow_points)), value
        self.short_steps += rate(given.short_points) * (min(step, 16 * self.steps) - self.short_steps)
        signed["restless"] = abs(math.log((far_of(self.short_steps, self.steps, least) + 0.1) / 1.1))
        for name, length, count in (("day", 86_400, 48), ("week", 604_800, 168)):
            part = self.parts.setdefault((name, second % length * count // length), Level(value))
            spread = (part.count * part.spread + 8 * self.whole[name]) / (part.count + 8)
            distance = value - part.value
            signed[name] = math.copysign(far_of(abs(distance), spread, least), distance)
            part.take(value, max(1 / given.season_points, 1 / (part.count + 1)))
            slow = max(1 / (given.season_points * 48), 1 / (self.count + 1))
            self.whole[name] = widened(self.whole[name], abs(distance), slow)
        knows = {"day": since >= given.warm_days * 86_400, "week": since >= given.warm_weeks * 604_800}
        usual = signed["week"] if knows["week"] else signed["day"] if knows["day"] else signed["slow"]
        self.drift += rate(given.short_points) * (max(-4.0, min(4.0, signed["slow"])) - self.drift)
        self.seasonal_drift += rate(given.short_points) * (max(-4.0, min(4.0, usual)) - self.seasonal_drift)
        signed |= {"drift": self.drift, "seasonal drift": self.seasonal_drift}
        self.count += 1
        names = ("fast", "slow", "day", "week", "step", "drift", "seasonal drift", "restless")
        total = 0.0
        for name, weight in zip(names, given.weights, strict=True):
            if weight and knows.get(name, True):
                total += (
                    weight * self.tails.setdefault(name, Tail()).surprise(abs(signed[name]), given)
                ) ** given.power
        return total ** (1 / given.power)


@pytest.mark.parametrize("parameters", [EAGER, FROZEN], ids=["eager", "frozen"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_surprises_are_what_the_rules_say(seed: int, parameters: OnlineParameters) -> None:
    seconds, values = series(seed)
    plain = Plain(parameters)

    expected = [plain.surprise(second, value) for second, value in zip(seconds.tolist(), values.tolist(), strict=True)]

    assert surprises(seconds, values, parameters) == pytest.approx(np.array(expected), rel=1e-9, abs=1e-9)
    assert max(expected) > 3


@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 30), cuts=st.lists(st.integers(0, 600), max_size=6))
def test_point_by_point_or_in_pieces_a_series_is_judged_as_in_one_go(seed: int, cuts: list[int]) -> None:
    seconds, values = series(seed, 600)
    whole, flags = OnlineDetector(EAGER).add(seconds, values)
    detector, edges = OnlineDetector(EAGER), [0, *sorted(cuts), 600]

    pieces = [detector.add(seconds[a:b], values[a:b]) for a, b in pairwise(edges)]

    assert np.array_equal(np.concatenate([one for one, _ in pieces]), whole)
    assert np.array_equal(np.concatenate([one for _, one in pieces]), flags)


@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 30), at=st.integers(1, 599))
def test_what_comes_later_changes_no_earlier_surprise(seed: int, at: int) -> None:
    seconds, values = series(seed, 600)
    scrambled = values.copy()
    scrambled[at:] = np.random.default_rng(seed).permutation(values[at:]) * 1e3

    assert np.array_equal(surprises(seconds, values)[:at], surprises(seconds, scrambled)[:at])


@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 30), power=st.integers(-20, 20), shift=st.integers(-1_000, 1_000))
def test_scale_and_shift_do_not_matter(seed: int, power: int, shift: int) -> None:
    seconds, values = series(seed, 600)
    expected = surprises(seconds, values)

    assert np.array_equal(surprises(seconds, values * 2.0**power), expected)
    assert surprises(seconds, values + shift) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_a_negative_scale_turns_a_series_over_and_changes_nothing() -> None:
    seconds, values = series(4)

    assert np.array_equal(surprises(seconds, -values), surprises(seconds, values))


def test_what_is_no_number_is_not_judged_and_teaches_nothing() -> None:
    seconds, values = series(5, 600)
    holes = np.insert(values, [100, 300, 300], [math.nan, math.inf, -math.inf])
    with_holes = surprises(np.insert(seconds, [100, 300, 300], 0), holes)

    assert np.flatnonzero(np.isnan(with_holes)).tolist() == [100, 301, 302]
    assert np.array_equal(with_holes[~np.isnan(with_holes)], surprises(seconds, values))


def test_a_series_that_never_changes_is_never_surprising() -> None:
    seconds, _ = series(6)

    assert not surprises(seconds, np.full(len(seconds), 7.25)).any()


def test_a_lone_spike_in_a_long_calm_is_the_most_surprising_point() -> None:
    dice = np.random.default_rng(7)
    values = dice.normal(0, 1, 4_000)
    values[3_000] = 25.0

    found, flags = OnlineDetector().add(np.arange(4_000, dtype=np.int64) * STEP, values)

    assert int(np.argmax(found)) == 3_000
    assert flags[3_000]


@given(
    found=st.lists(st.floats(0, 10), max_size=60), threshold=st.floats(1, 9), refractory=st.integers(0, 10),
    quiet=st.integers(0, 15),
)  # fmt: skip
def test_no_flag_comes_within_the_quiet_points_after_another(
    found: list[float], threshold: float, refractory: int, quiet: int
) -> None:
    expected, left = [], quiet
    for one in found:
        expected.append(left == 0 and one >= threshold)
        left = refractory if expected[-1] else max(left - 1, 0)

    flags, rest = with_refractory(np.array(found, np.float64), threshold, refractory, quiet)

    assert flags.tolist() == expected
    assert rest == left
