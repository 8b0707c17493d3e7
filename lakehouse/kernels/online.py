"""One series in, the surprise of each point out, in one pass and by what came before the point only. Arrays only.

A point is looked at in several ways (EXPERTS). Each says how far out the point is in units of its own usual deviation;
how rare that is, it learns from its own past: beyond a threshold that few points pass, the logarithm of the deviation
is taken to fall off exponentially. The surprises of all are added up as powers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels.compiling import inlined, kernel

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

# What looks at a point: the distance from the fast and the slow level, from the usual value at this time of day and of
# week, the step from the point before, the mean of recent distances from the slow level and from the usual value, and
# how restless the series is now against how restless it used to be.
FAST, SLOW, DAY, WEEK, STEP, DRIFT, SEASONAL_DRIFT, RESTLESS = range(8)
EXPERTS = 8

# Parameters: rates (1 / length of memory in points), the tail, and the weight of each expert from WEIGHTS on.
(
    FAST_RATE, SLOW_RATE, SHORT_RATE, SEASON_RATE, TAIL_SHARE, TAIL_RATE, POWER, WARM_POINTS, WARM_DAYS, WARM_WEEKS,
    WEIGHTS,
) = range(11)  # fmt: skip
PARAMETERS = WEIGHTS + EXPERTS

# State: levels and deviations, short means, then the tail of each expert (threshold, its scale, mean excess).
(
    COUNT, FIRST_SECOND, LAST_VALUE, FAST_LEVEL, FAST_SPREAD, SLOW_LEVEL, SLOW_SPREAD, STEP_SPREAD, SHORT_MEAN,
    SHORT_SEASONAL, SHORT_SPREAD, DAY_SPREAD, WEEK_SPREAD, TAILS,
) = range(14)  # fmt: skip
THRESHOLD, SCALE, EXCESS, SEEN = range(4)
TAIL_WIDTH = 4
FAR = TAILS + EXPERTS * TAIL_WIDTH  # how far out the last point was, by expert
STATE = FAR + EXPERTS

# Seasons: level, deviation and count of each part of the day, then of each part of the week.
DAY_PARTS, WEEK_PARTS = 48, 168
LEVEL, SPREAD, POINTS = range(3)
DAY_SECONDS, WEEK_SECONDS = 86_400, 604_800

WIDEST = 4.0  # a point moves a level or a deviation by no more than if it lay this many deviations out
FARTHEST = 1e6
LEAST_BEYOND = 1e-9  # less is rounding: a shifted series must not be judged otherwise
LEAST_SHARE = 0.02  # a deviation counts as no smaller than this share of the slow one
NEIGHBOURS = 8.0  # a part of the day with few points is trusted like so many points of the whole day
LN10 = math.log(10.0)


@inlined
def _rate(rate: float, count: float) -> float:
    return max(rate, 1.0 / (count + 1.0))


@inlined
def _clipped(value: float, most: float) -> float:
    return min(max(value, -most), most)


@inlined
def _wider(spread: float, distance: float, rate: float) -> float:
    """The mean deviation with one more point in it; far ones count as WIDEST times the mean."""
    if spread == 0.0:
        return rate * distance
    return spread + rate * (min(distance, WIDEST * spread) - spread)


@inlined
def _far(distance: float, spread: float, least: float) -> float:
    unit = max(spread, least)
    if distance == 0.0:
        return 0.0
    return FARTHEST if unit * FARTHEST <= distance else distance / unit


@inlined
def _surprise(state: Floats, expert: int, far: float, share: float, rate: float, warm: float) -> float:
    """How rare a deviation is, as -log10 of its probability; 0 where it is not rare. Learns from it afterwards."""
    tail = state[TAILS + expert * TAIL_WIDTH : TAILS + (expert + 1) * TAIL_WIDTH]
    value = math.log1p(far)
    if tail[SEEN] == 0.0:
        tail[THRESHOLD] = value
    beyond = value - tail[THRESHOLD]
    found = 0.0
    if beyond > LEAST_BEYOND and tail[SEEN] >= warm and tail[EXCESS] > 0.0:
        found = -math.log10(share) + beyond / (tail[EXCESS] * LN10)
    step = _rate(rate, tail[SEEN] * 0.1)
    tail[SCALE] += _rate(rate, tail[SEEN]) * (min(abs(beyond), 2.0) - tail[SCALE])
    if beyond > LEAST_BEYOND:
        most = WIDEST * tail[EXCESS] if tail[EXCESS] > 0.0 else beyond
        tail[EXCESS] += _rate(rate / share, tail[SEEN] * share) * (min(beyond, most) - tail[EXCESS])
        tail[THRESHOLD] += step * tail[SCALE] * 2.0 * (1.0 - share)
    else:
        tail[THRESHOLD] -= step * tail[SCALE] * 2.0 * share
    tail[SEEN] += 1.0
    return found


@inlined
def _seasonal(part: Floats, value: float, rate: float) -> float:
    """The distance of a point from the usual value of its part of a season, which then takes the point in."""
    if part[POINTS] == 0.0:
        part[LEVEL] = value
    distance = value - part[LEVEL]
    taken = _rate(rate, part[POINTS])
    part[SPREAD] = _wider(part[SPREAD], abs(distance), taken)
    part[LEVEL] += taken * _clipped(distance, WIDEST * part[SPREAD])
    part[POINTS] += 1.0
    return distance


@inlined
def _trusted(spread: float, count: float, whole: float) -> float:
    return (count * spread + NEIGHBOURS * whole) / (count + NEIGHBOURS)


@inlined
def _seasons(
    second: int, value: float, least: float, rate: float, state: Floats, days: Floats, weeks: Floats, far: Floats
) -> None:
    """Distances from the usual value of this part of the day and of the week, with their signs."""
    day = days[(second % DAY_SECONDS) * DAY_PARTS // DAY_SECONDS]
    spread = _trusted(day[SPREAD], day[POINTS], state[DAY_SPREAD])
    distance = _seasonal(day, value, rate)
    far[DAY] = math.copysign(_far(abs(distance), spread, least), distance)
    state[DAY_SPREAD] = _wider(state[DAY_SPREAD], abs(distance), _rate(rate / DAY_PARTS, state[COUNT]))
    week = weeks[(second % WEEK_SECONDS) * WEEK_PARTS // WEEK_SECONDS]
    spread = _trusted(week[SPREAD], week[POINTS], state[WEEK_SPREAD])
    distance = _seasonal(week, value, rate)
    far[WEEK] = math.copysign(_far(abs(distance), spread, least), distance)
    state[WEEK_SPREAD] = _wider(state[WEEK_SPREAD], abs(distance), _rate(rate / DAY_PARTS, state[COUNT]))


@inlined
def _levels(value: float, least: float, given: Floats, state: Floats, far: Floats) -> None:
    """Distances from the fast and the slow level and from the point before, with their signs."""
    count = state[COUNT]
    rate, distance = _rate(given[FAST_RATE], count), value - state[FAST_LEVEL]
    far[FAST] = math.copysign(_far(abs(distance), state[FAST_SPREAD], least), distance)
    state[FAST_SPREAD] = _wider(state[FAST_SPREAD], abs(distance), rate)
    state[FAST_LEVEL] += rate * _clipped(distance, WIDEST * state[FAST_SPREAD])
    rate, distance = _rate(given[SLOW_RATE], count), value - state[SLOW_LEVEL]
    far[SLOW] = math.copysign(_far(abs(distance), state[SLOW_SPREAD], least), distance)
    state[SLOW_SPREAD] = _wider(state[SLOW_SPREAD], abs(distance), rate)
    state[SLOW_LEVEL] += rate * _clipped(distance, WIDEST * state[SLOW_SPREAD])
    step, short = abs(value - state[LAST_VALUE]), _rate(given[SHORT_RATE], count)
    far[STEP] = _far(step, state[STEP_SPREAD], least)
    state[STEP_SPREAD] = _wider(state[STEP_SPREAD], step, rate)
    state[SHORT_SPREAD] += short * (min(step, 4.0 * WIDEST * state[STEP_SPREAD]) - state[SHORT_SPREAD])
    ratio = _far(state[SHORT_SPREAD], state[STEP_SPREAD], least)
    far[RESTLESS] = abs(math.log((ratio + 0.1) / 1.1))
    state[LAST_VALUE] = value


@inlined
def _drifts(knows_day: bool, knows_week: bool, short: float, state: Floats, far: Floats) -> None:
    """Recent distances, far ones cut, in the mean: from the slow level, and from the best season that is known."""
    usual = far[WEEK] if knows_week else far[DAY] if knows_day else far[SLOW]
    state[SHORT_MEAN] += short * (_clipped(far[SLOW], WIDEST) - state[SHORT_MEAN])
    state[SHORT_SEASONAL] += short * (_clipped(usual, WIDEST) - state[SHORT_SEASONAL])
    far[DRIFT], far[SEASONAL_DRIFT] = state[SHORT_MEAN], state[SHORT_SEASONAL]


@kernel
def _point(second: int, value: float, given: Floats, state: Floats, days: Floats, weeks: Floats) -> float:
    """The surprise of one point, which is learnt from afterwards."""
    far = state[FAR : FAR + EXPERTS]
    if state[COUNT] == 0.0:
        state[FIRST_SECOND] = second
        state[LAST_VALUE] = state[FAST_LEVEL] = state[SLOW_LEVEL] = value
    elapsed = second - state[FIRST_SECOND]
    knows_day = elapsed >= given[WARM_DAYS] * DAY_SECONDS
    knows_week = elapsed >= given[WARM_WEEKS] * WEEK_SECONDS
    least = LEAST_SHARE * state[SLOW_SPREAD]
    _levels(value, least, given, state, far)
    _seasons(second, value, least, given[SEASON_RATE], state, days, weeks, far)
    _drifts(knows_day, knows_week, _rate(given[SHORT_RATE], state[COUNT]), state, far)
    state[COUNT] += 1.0
    total, power = 0.0, given[POWER]
    for expert in range(EXPERTS):
        weight = given[WEIGHTS + expert]
        if weight == 0.0 or (expert == DAY and not knows_day) or (expert == WEEK and not knows_week):
            continue
        found = _surprise(state, expert, abs(far[expert]), given[TAIL_SHARE], given[TAIL_RATE], given[WARM_POINTS])
        if found > 0.0:
            total += (weight * found) ** power
    return total ** (1.0 / power) if total > 0.0 else 0.0


@kernel
def surprises(
    seconds: Longs, values: Floats, given: Floats, state: Floats, days: Floats, weeks: Floats, out: Floats
) -> None:
    """The surprise of each point of a series; what is no number is not judged (NaN) and teaches nothing."""
    for at in range(len(values)):
        if math.isfinite(values[at]):
            out[at] = _point(seconds[at], values[at], given, state, days, weeks)
        else:
            out[at] = math.nan
