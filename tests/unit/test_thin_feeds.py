"""Alerts on volume refuse thin feeds: prints that were missed, sessions that were short, volumes nobody vouches for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from lakehouse.alerts.observations import Bar
from lakehouse.completeness import COMPLETE, SHORT, UNKNOWN, Scorecard
from lakehouse.thin_feeds import ThinFeeds, Trust

DAY = date(2024, 3, 8)
GOOD = Scorecard("A", 10, 0, "1m", 100, 100, 0, 390, 0, COMPLETE)
BAR = Bar("A", "1m", DAY, "regular", 600_000, 1.0, 5.0)


def feeds(*cards: tuple[int, Scorecard], missed: tuple[tuple[int, int], ...] = ()) -> ThinFeeds:
    dated = [(date(2024, 3, day), card) for day, card in cards]
    return ThinFeeds(Trust(sessions=2), {"A": dated}, {("A", DAY): missed})


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (feeds((7, GOOD)), None),
        (ThinFeeds(), "nobody can vouch"),
        (feeds((7, replace(GOOD, verdict=UNKNOWN))), "nobody can vouch"),
        (feeds((6, GOOD), (7, replace(GOOD, verdict=SHORT, short_volume=50))), "1 of the last 2 sessions were short"),
        (feeds((5, replace(GOOD, verdict=SHORT)), (6, GOOD), (7, GOOD)), None),
        (feeds((8, GOOD)), "nobody can vouch"),  # today's scorecard is made when today is over
        (feeds((7, GOOD), missed=((0, 60_000),)), "missed in 1 minutes"),
        (feeds((7, GOOD), missed=((540_000, 900_000),)), "missed in 1 minutes"),
        (feeds((7, GOOD), missed=((600_000, 900_000),)), None),  # was not yet so when the bar ended
    ],
)
def test_a_volume_is_believed_only_where_its_feed_is_whole(found: ThinFeeds, why: str | None) -> None:
    refusal = found.refusal("A", DAY, BAR.end_ms)

    assert (refusal is None) if why is None else (refusal is not None and why in refusal)
    assert [bar.is_thin for bar in found.marked([BAR])] == [why is not None]
