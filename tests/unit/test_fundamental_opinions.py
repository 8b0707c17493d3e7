"""Opinions as known at each session: analysts' mean and its change, targets, estimates, and how far moods are out."""

from __future__ import annotations

import json
import statistics
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.fundamentals.opinion_measures import LEAST_DAYS, Observations, Opinions, mean_recommendation
from lakehouse.fundamentals.sessions import Company
from tests.unit.fundamental_rows import Row, at, closed, measured, splits

DAY_US = 86_400_000_000


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def observed(*rows: tuple[str, str, float]) -> Observations:
    """Observations by day, instant since when they are known, and value."""
    days, known, values = zip(*rows, strict=True)
    instants = [int(at(text).timestamp()) * 1_000_000 for text in known]
    return Observations(np.array([day(one) for one in days]), np.array(instants), np.array(values))


def judged(said: Opinions, *sessions: tuple[str, float], split: tuple[str, float, str] | None = None) -> list[Row]:
    company = Company("USD", splits=splits(split), opinions=said) if split else Company("USD", opinions=said)
    return measured([], [closed(*one) for one in sessions], company)


def reason(row: Row, name: str) -> str | None:
    found: str | None = json.loads(row["reasons"]).get(name)
    return found


def test_the_mean_recommendation_of_apple_in_may_2026() -> None:
    # Finnhub's answer of 23 May 2026: 15 strong buy, 24 buy, 13 hold, 2 sell, 0 strong sell.
    found = mean_recommendation(*(np.array([count, 0]) for count in (0, 2, 13, 24, 15)))

    assert found[0] == pytest.approx((0 * 1 + 2 * 2 + 13 * 3 + 24 * 4 + 15 * 5) / 54)
    assert np.isnan(found[1])


def test_consensus_is_the_newest_known_and_its_change_that_over_30_days_as_known_then() -> None:
    said = Opinions(
        "USD",
        recommendations=observed(
            ("2026-03-01", "2026-03-02T09:00", 3.9),
            ("2026-04-01", "2026-04-02T09:00", 4.0),
            ("2026-05-01", "2026-05-02T09:00", 4.2),
            ("2026-04-01", "2026-05-10T09:00", 1.0),  # a late version of April displaces neither May nor what April was
        ),
    )

    before, may, june = judged(said, ("2026-03-20", 1.0), ("2026-05-15", 1.0), ("2026-06-05", 1.0))

    assert (before["consensus"], reason(before, "consensus_change")) == (3.9, "missing:recommendation_30_days_ago")
    assert (may["consensus"], may["consensus_known_from"]) == (4.2, at("2026-05-02T09:00"))
    assert may["consensus_change"] == pytest.approx(4.2 - 4.0)
    assert june["consensus_change"] == 0.0


def test_recommendations_grow_stale_and_nobody_is_no_consensus() -> None:
    said = Opinions(
        "USD",
        recommendations=observed(
            ("2026-01-01", "2026-01-02T09:00", 4.0), ("2026-06-01", "2026-06-02T09:00", float("nan"))
        ),
    )

    fresh, stale, nobody = judged(said, ("2026-05-01", 1.0), ("2026-05-02", 1.0), ("2026-06-03", 1.0))

    assert fresh["consensus"] == 4.0
    assert reason(stale, "consensus") == "stale:recommendation"
    assert reason(nobody, "consensus") == "no_value:recommendation"


def test_a_price_target_counts_in_the_shares_of_the_session() -> None:
    said = Opinions("USD", targets=observed(("2014-06-02", "2014-06-02T12:00", 700.0)))

    friday, monday = judged(
        said, ("2014-06-06", 645.57), ("2014-06-09", 93.70), split=("2014-06-09", 7.0, "2014-04-23")
    )

    assert friday["target_upside"] == pytest.approx(700.0 / 645.57 - 1.0)
    assert monday["target_upside"] == pytest.approx(100.0 / 93.70 - 1.0)


def test_a_target_in_another_currency_is_refused() -> None:
    said = Opinions("EUR", targets=observed(("2014-06-02", "2014-06-02T12:00", 700.0)))

    assert reason(judged(said, ("2014-06-06", 645.57))[0], "target_upside") == "currency:EUR"


def test_forward_earnings_are_those_of_the_first_year_that_has_not_ended() -> None:
    said = Opinions(
        "USD",
        estimates=observed(
            ("2014-09-27", "2014-06-01T12:00", 6.3),
            ("2014-09-27", "2014-08-01T12:00", 6.4),
            ("2015-09-26", "2014-06-01T12:00", 7.0),
            ("2017-09-30", "2014-06-01T12:00", 9.0),
        ),
    )

    june, august, october, late = judged(
        said, ("2014-06-10", 94.25), ("2014-08-04", 95.59), ("2014-09-29", 100.11), ("2014-12-29", 113.9)
    )

    assert june["pe_forward"] == pytest.approx(94.25 / 6.3)
    assert august["pe_forward"] == pytest.approx(95.59 / 6.4)
    assert october["pe_forward"] == pytest.approx(100.11 / 7.0)
    assert reason(late, "pe_forward") == "stale:eps_estimate"


def test_an_estimated_loss_and_a_year_far_ahead_are_no_forward_earnings() -> None:
    loss = Opinions("USD", estimates=observed(("2014-09-27", "2014-06-01T12:00", -0.1)))
    far = Opinions("USD", estimates=observed(("2016-09-24", "2014-06-01T12:00", 9.0)))

    assert reason(judged(loss, ("2014-06-10", 94.25))[0], "pe_forward") == "estimated_loss"
    assert reason(judged(far, ("2014-06-10", 94.25))[0], "pe_forward") == "missing:eps_estimate"


def moods(values: dict[int, float], late: int = 0) -> Observations:
    """Values by day, each known at noon of its day or some days later."""
    days = np.array(sorted(values))
    return Observations(days, (days + late) * DAY_US + DAY_US // 2, np.array([values[one] for one in days.tolist()]))


MAY = day("2026-05-15")


def test_a_mood_is_scored_against_the_days_before_it_in_usual_deviations() -> None:
    history = {MAY - ago: float(ago % 5) for ago in range(1, 41)}  # eight times 0, 1, 2, 3, 4: median 2, half within 1

    found = judged(Opinions("USD", sentiment=moods({**history, MAY: 5.0})), ("2026-05-15", 1.0))[0]

    assert found["sentiment_score"] == pytest.approx((5.0 - 2.0) / (1.4826 * 1.0))
    assert found["sentiment_score_known_from"] == at("2026-05-15T12:00")


def test_gaps_do_not_matter_but_too_few_days_do() -> None:
    sparse = {MAY - 4 * ago: float(ago % 5) for ago in range(1, 21)}
    fewer = {when: value for when, value in sparse.items() if when < MAY - 4}

    enough, lacking = (
        judged(Opinions("USD", mentions=moods({**history, MAY: 5.0})), ("2026-05-15", 1.0))[0]
        for history in (sparse, fewer)
    )

    assert enough["mention_score"] == pytest.approx(3.0 / 1.4826)
    assert (len(sparse), len(fewer)) == (LEAST_DAYS, LEAST_DAYS - 1)
    assert reason(lacking, "mention_score") == "too_few:mentions"


def test_days_before_the_window_do_not_count() -> None:
    old = {MAY - ago: 100.0 for ago in range(91, 200)}
    recent = {MAY - ago: float(ago % 5) for ago in range(1, 41)}

    with_old, without = (
        judged(Opinions("USD", mentions=moods({**history, MAY: 5.0})), ("2026-05-15", 1.0))[0]["mention_score"]
        for history in ({**old, **recent}, recent)
    )

    assert with_old == without


def test_days_all_alike_have_no_spread_and_days_mostly_alike_a_small_one() -> None:
    alike = {MAY - ago: 3.0 for ago in range(1, 41)}

    none = judged(Opinions("USD", mentions=moods({**alike, MAY: 9.0})), ("2026-05-15", 1.0))[0]
    small = judged(Opinions("USD", mentions=moods({**alike, MAY - 7: 5.0, MAY: 9.0})), ("2026-05-15", 1.0))[0]

    assert reason(none, "mention_score") == "no_spread:mentions"
    assert small["mention_score"] == pytest.approx((9.0 - 3.0) / (1.2533 * 2.0 / 40))


def test_an_old_mood_is_stale() -> None:
    history = {MAY - ago: float(ago % 5) for ago in range(41)}

    fresh, stale = judged(Opinions("USD", mentions=moods(history)), ("2026-05-22", 1.0), ("2026-05-23", 1.0))

    assert fresh["mention_score"] is not None
    assert reason(stale, "mention_score") == "stale:mentions"


values = st.integers(0, 6).map(float)
versions = st.lists(
    st.tuples(st.integers(0, 99), st.integers(0, 30), values), min_size=15, max_size=80, unique_by=lambda one: one[:2]
)


@settings(max_examples=25)
@given(found=versions, session=st.integers(30, 110))
def test_scores_are_those_of_the_versions_known_at_the_session(
    found: list[tuple[int, int, float]], session: int
) -> None:
    start = MAY
    days, late, amounts = (np.array(column) for column in zip(*found, strict=True))
    mentions = Observations(days + start, (days + start + late) * DAY_US, amounts)
    text = str(date.fromordinal(date(1970, 1, 1).toordinal() + start + session))

    row = judged(Opinions("USD", mentions=mentions), (text, 1.0))[0]

    latest: dict[int, float] = {}
    for when, wait, amount in sorted(found, key=lambda one: one[0] + one[1]):
        if when + wait <= session:
            latest[when] = amount
    newest = max(latest, default=-1)
    window = [amount for when, amount in latest.items() if newest - 90 <= when < newest]
    if newest < session - 7 or len(window) < LEAST_DAYS:
        assert row["mention_score"] is None
        return
    center = statistics.median(window)
    away = [abs(amount - center) for amount in window]
    spread = 1.4826 * statistics.median(away) or 1.2533 * statistics.fmean(away)
    if spread == 0.0:
        assert reason(row, "mention_score") == "no_spread:mentions"
    else:
        assert row["mention_score"] == pytest.approx((latest[newest] - center) / spread)
