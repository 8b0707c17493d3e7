"""What others think of a company, as known at each session: analysts, and how people speak of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lakehouse.fundamentals.amounts import SINCE_EVER, Amount, Doubles, Longs, Mask, Texts
from lakehouse.fundamentals.arrays import NEVER
from lakehouse.fundamentals.inputs import DAY_US
from lakehouse.fundamentals.known import Sessions, constant
from lakehouse.fundamentals.per_share import Splits, new_shares_per_old

RECOMMENDATION_DAYS, TARGET_DAYS, MOOD_DAYS = 120, 180, 7  # older ones are stale
CHANGE_DAYS = 30
YEAR_AHEAD_DAYS = 380
WINDOW_DAYS, LEAST_DAYS = 90, 20
# What makes a deviation the usual one of a normal distribution, from the median and from the mean absolute deviation.
MEDIAN_TO_USUAL, MEAN_TO_USUAL = 1.4826, 1.2533


@dataclass(frozen=True, eq=False)
class Observations:
    """One value a day, or a fiscal period by its last day, in versions; the version known last counts."""

    days: Longs
    known_us: Longs
    values: Doubles

    @classmethod
    def none(cls) -> Self:
        """No observations at all."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))

    def in_order(self, *keys: NDArray[np.generic]) -> Self:
        """The observations ordered by keys, the first counting most, then by value; what is no number is NaN."""
        values = np.where(np.isfinite(self.values), self.values, np.nan)
        order = np.lexsort((values, *reversed(keys)))
        return type(self)(self.days[order], self.known_us[order], values[order])


@dataclass(frozen=True, eq=False)
class Opinions:
    """What is known of one company besides its filings; `currency` is that of price targets and estimates.

    `estimates` are diluted earnings per share of whole fiscal years; `sentiment` and `mentions` have one value a day.
    """

    currency: str
    recommendations: Observations = field(default_factory=Observations.none)
    targets: Observations = field(default_factory=Observations.none)
    estimates: Observations = field(default_factory=Observations.none)
    sentiment: Observations = field(default_factory=Observations.none)
    mentions: Observations = field(default_factory=Observations.none)


def mean_recommendation(strong_sell: Longs, sell: Longs, hold: Longs, buy: Longs, strong_buy: Longs) -> Doubles:
    """The mean of counts of recommendations, from 1 (strong sell) to 5 (strong buy); NaN where nobody recommends."""
    counts = np.array([strong_sell, sell, hold, buy, strong_buy], float)
    analysts = counts.sum(axis=0)
    found: Doubles = np.where(analysts > 0, np.arange(1.0, 6.0) @ counts / np.maximum(analysts, 1.0), np.nan)
    return found


def opinion_amounts(opinions: Opinions, sessions: Sessions, splits: Splits, texts: Texts) -> Mapping[str, Amount]:
    """The amounts that measures of opinions use."""
    earlier = replace(sessions, days=sessions.days - CHANGE_DAYS, as_of_us=sessions.as_of_us - CHANGE_DAYS * DAY_US)
    recommendations = opinions.recommendations
    return {
        "recommendation": _newest("recommendation", recommendations, sessions, RECOMMENDATION_DAYS, texts),
        "recommendation_30_days_ago": _newest(
            "recommendation_30_days_ago", recommendations, earlier, RECOMMENDATION_DAYS, texts
        ),
        "price_target": _price_target(opinions, sessions, splits, texts),
        "eps_estimate": _estimate(opinions, sessions, splits, texts),
        "sentiment": _score("sentiment", opinions.sentiment, sessions, texts),
        "mentions": _score("mentions", opinions.mentions, sessions, texts),
    }


def _places_of_newest(known: Observations, as_of_us: Longs) -> Longs:
    """Of observations by since when they are known: the place of the newest day's newest version; -1 for none."""
    if not len(known.days):
        return np.full(len(as_of_us), -1)
    is_newest = known.days >= np.maximum.accumulate(known.days)
    places = np.maximum.accumulate(np.where(is_newest, np.arange(len(known.days)), -1))
    return np.append(places, -1)[np.searchsorted(known.known_us, as_of_us, side="right") - 1]


def _at(name: str, known: Observations, places: Longs, texts: Texts) -> Amount:
    """Observations by place as an amount, missing where the place is -1."""
    amount = replace(
        constant(name, len(places), texts),
        values=np.append(known.values, np.nan)[places],
        known_us=np.append(known.known_us, SINCE_EVER)[places],
    )
    return amount.refused(places < 0, f"missing:{name}").refused(~np.isfinite(amount.values), f"no_value:{name}")


def _newest(name: str, observed: Observations, sessions: Sessions, most_days: int, texts: Texts) -> Amount:
    known = observed.in_order(observed.known_us, observed.days)
    places = _places_of_newest(known, sessions.as_of_us)
    is_stale = (places >= 0) & (np.append(known.days, 0)[places] < sessions.days - most_days)
    amount = _at(name, known, places, texts)
    return amount.refused(is_stale, f"stale:{name}")


def _price_target(opinions: Opinions, sessions: Sessions, splits: Splits, texts: Texts) -> Amount:
    """The newest price target, in shares of the session."""
    target = _newest("price_target", opinions.targets, sessions, TARGET_DAYS, texts)
    return _in_shares_of_sessions(target, opinions, sessions, splits)


def _estimate(opinions: Opinions, sessions: Sessions, splits: Splits, texts: Texts) -> Amount:
    """Estimated earnings per share of the first fiscal year that has not ended, in shares of the session."""
    observed = opinions.estimates
    known = observed.in_order(observed.days, observed.known_us)
    places = np.full(len(sessions.days), -1)
    for end in np.unique(known.days):
        first, last = np.searchsorted(known.days, [end, end + 1])
        newest = first + np.searchsorted(known.known_us[first:last], sessions.as_of_us, side="right") - 1
        is_ahead = (end > sessions.days) & (end <= sessions.days + YEAR_AHEAD_DAYS)
        places = np.where((places < 0) & is_ahead & (newest >= first), newest, places)
    estimate = _at("eps_estimate", known, places, texts)
    is_stale = estimate.known_us // DAY_US < sessions.days - TARGET_DAYS
    return _in_shares_of_sessions(estimate.refused(is_stale, "stale:eps_estimate"), opinions, sessions, splits)


def _in_shares_of_sessions(amount: Amount, opinions: Opinions, sessions: Sessions, splits: Splits) -> Amount:
    """An opinion per share counts in the shares of the day on which it became known."""
    new, known_us = new_shares_per_old(splits, amount.known_us // DAY_US, sessions.days, sessions.as_of_us)
    return replace(
        amount,
        values=amount.values / new,
        known_us=np.maximum(amount.known_us, known_us),
        currency=np.full_like(amount.currency, amount.texts.code(opinions.currency)),
    ).finite()


def _score(name: str, observed: Observations, sessions: Sessions, texts: Texts) -> Amount:
    """The newest day's value against the days before it, in usual deviations from their median."""
    newest = _newest(name, observed, sessions, MOOD_DAYS, texts)
    known = observed.in_order(observed.known_us, observed.days)
    places = _places_of_newest(known, sessions.as_of_us)
    day = np.append(known.days, np.int64(0))[places]
    window, window_known_us = _window(observed, day, sessions.as_of_us)
    count = np.isfinite(window).sum(axis=1)
    center = _median(window)
    away = np.abs(window - center[:, None])
    spread = MEDIAN_TO_USUAL * _median(away)
    mean_away = np.where(np.isfinite(away), away, 0.0).sum(axis=1) / np.maximum(count, 1)
    spread = np.where(spread > 0, spread, MEAN_TO_USUAL * mean_away)  # most days alike: few values, but not all, differ
    score = (newest.values - center) / np.where(spread > 0, spread, 1.0)
    amount = newest.refused(count < LEAST_DAYS, f"too_few:{name}").refused(~(spread > 0), f"no_spread:{name}")
    amount = replace(
        amount,
        values=np.where(amount.has_value, score, np.nan),
        known_us=np.maximum(amount.known_us, window_known_us),
    )
    return amount.finite()


def _window(observed: Observations, day: Longs, as_of_us: Longs) -> tuple[Doubles, Longs]:
    """For each session a row of the values of the days before a day, as known then, NaN for none; and since when."""
    rows = observed.in_order(observed.days, observed.known_us)
    if not len(rows.days):
        return np.full((len(day), 0), np.nan), np.full(len(day), SINCE_EVER)
    replaced_us = np.full(len(rows.days), NEVER)  # since when a newer version of the same day is known
    has_newer = rows.days[:-1] == rows.days[1:]
    replaced_us[:-1][has_newer] = rows.known_us[1:][has_newer]
    first, last = np.searchsorted(rows.days, day - WINDOW_DAYS), np.searchsorted(rows.days, day)
    width = int(np.max(last - first, initial=0))
    places = first[:, None] + np.arange(width)
    inside: Mask = places < last[:, None]
    places = np.where(inside, places, 0)
    is_known = inside & (rows.known_us[places] <= as_of_us[:, None]) & (replaced_us[places] > as_of_us[:, None])
    known_us = np.where(is_known, rows.known_us[places], SINCE_EVER).max(axis=1, initial=SINCE_EVER)
    return np.where(is_known, rows.values[places], np.nan), known_us


def _median(rows: Doubles) -> Doubles:
    """The median of each row's values, NaN where it has none."""
    ordered = np.sort(np.column_stack([rows, np.full(len(rows), np.nan)]), axis=1)  # NaN goes last
    count = np.isfinite(rows).sum(axis=1)
    line = np.arange(len(rows))
    found: Doubles = (ordered[line, (count - 1) // 2] + ordered[line, count // 2]) / 2.0
    return found
