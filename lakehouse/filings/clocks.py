"""Which clock an acceptance time was written in: Eastern, or UTC as the Z at its end says.

What speaks against a reading, each rule with what it rests on (17 CFR 232.12 and 232.13; measured in the SEC's
submissions files of AAPL, MSFT, NVDA and TSM, 4,015 filings, and in 1,017 filings of the Data Sets of 2010, whose times
are Eastern):

- `hours`, before 06:00: EDGAR is closed then. All of the 1,017 lie between 06:01 and 21:59. That it is closed on
  weekends and holidays as well tells nothing more: both readings fall on one of these, or one lies before 06:00.
- `filing_date`, before 17:30 yet dated later: what comes before 17:30 is dated that day. None of the 1,017 is dated
  later; two are dated earlier (the SEC may adjust a date), so an earlier date proves nothing.
- `hours`, after 22:15, and `filing_date`, after 17:45 yet dated the same day, unless the form keeps its date until
  22:00: a transmission that began in time and took long can do that, so these count for less. Usually it takes up to
  4 minutes (the 1,017) or 11 (the four files), which the quarter of an hour covers; on 2020-07-30 it took MSFT's 10-K
  over three hours and AAPL's 8-K over one.

What the SEC itself makes (orders of effect, letters, scanned paper) keeps none of these rules and proves nothing.

A file, or at least a stretch of it, speaks one clock: of the filings that can only be read by one, AAPL's 114 are all
Eastern, and MSFT's 15, NVDA's 124 and TSM's 7 are all UTC. Left out in turn, each day's are told rightly by the others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import IntEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
EASTERN, UTC_TIME = "eastern", "utc"
HOURS, FILING_DATE, DATA_SETS = "hours", "filing_date", "datasets"

OPENS, SAME_DAY_UNTIL, CLOSES = time(6), time(17, 30), time(22)
LONG_TRANSMISSION = timedelta(minutes=15)
EVENING_FORMS = frozenset(
    {"3", "4", "5", "144", "SC 13D", "SC 13G", "SCHEDULE 13D", "SCHEDULE 13G", "SC 14N", "SCHEDULE 14N", "POS 462B"}
)
EVENING_SUFFIX = "MEF"  # registration statements under rule 462(b): S-1MEF, S-3MEF and their like
MADE_BY_THE_SEC = ("0000000000-", "99999999")
DAYS_A_SIDE = 3
DAYS_OF_LONG_TRANSMISSIONS = 3


class Weight(IntEnum):
    """How much speaks against a reading."""

    NOTHING = 0
    UNLIKELY = 1  # only a transmission that took unusually long can explain it
    IMPOSSIBLE = 2


class Objection(NamedTuple):
    """What speaks against reading an acceptance time by some clock."""

    weight: Weight
    basis: str


@dataclass(frozen=True, slots=True)
class Vote:
    """The one clock that a filing speaks for, on what basis, and whether nothing can explain the other clock."""

    clock: str
    basis: str
    is_firm: bool
    filed_date: date


def vote_of(accession: str, form: str, filed_date: date, *, eastern: datetime, utc: datetime) -> Vote | None:
    """The clock a filing speaks for. `eastern` and `utc` are New York's wall time if the text is of that clock."""
    if accession.startswith(MADE_BY_THE_SEC):
        return None
    against_eastern, against_utc = _objection(eastern, form, filed_date), _objection(utc, form, filed_date)
    if against_eastern.weight == against_utc.weight:
        return None
    clock = UTC_TIME if against_eastern.weight > against_utc.weight else EASTERN
    objection = max(against_eastern, against_utc, key=lambda one: one.weight)
    return Vote(clock, objection.basis, objection.weight is Weight.IMPOSSIBLE, filed_date)


class Votes:
    """The votes of one company's filings, by the day they were filed."""

    def __init__(self, votes: Iterable[Vote]) -> None:
        self._of_day: dict[date, set[Vote]] = {}
        for vote in votes:
            self._of_day.setdefault(vote.filed_date, set()).add(vote)
        self._days = sorted(self._of_day)

    def clock_near(self, day: date) -> str | None:
        """The clock agreed on by the votes of a day, of the three days with votes before it and the three after it."""
        first, last = bisect_left(self._days, day), bisect_right(self._days, day)
        near = self._days[max(first - DAYS_A_SIDE, 0) : last + DAYS_A_SIDE]
        return clock_among([vote for one in near for vote in self._of_day[one]])


def clock_among(neighbours: Collection[Vote]) -> str | None:
    """The clock that filings agree on, if they do.

    Votes that a long transmission can explain, all of which are for UTC, count where none is for Eastern, and by
    themselves only from three different days: reading Eastern time as UTC would let a filing be known too early.
    """
    is_eastern = any(vote.clock == EASTERN for vote in neighbours)
    is_firmly_utc = any(vote.clock == UTC_TIME and vote.is_firm for vote in neighbours)
    if is_eastern:
        return None if is_firmly_utc else EASTERN
    different_days = {vote.filed_date for vote in neighbours}
    return UTC_TIME if is_firmly_utc or len(different_days) >= DAYS_OF_LONG_TRANSMISSIONS else None


def keeps_its_date_in_the_evening(form: str) -> bool:
    """Whether a form that comes after 17:30 is still dated that day."""
    plain = form.removesuffix("/A")
    return plain in EVENING_FORMS or plain.endswith(EVENING_SUFFIX)


def _objection(wall: datetime, form: str, filed_date: date) -> Objection:
    day, at = wall.date(), wall.time()
    if at < OPENS:
        return Objection(Weight.IMPOSSIBLE, HOURS)
    if at < SAME_DAY_UNTIL and filed_date > day:
        return Objection(Weight.IMPOSSIBLE, FILING_DATE)
    began = wall - LONG_TRANSMISSION
    if began.time() > CLOSES:
        return Objection(Weight.UNLIKELY, HOURS)
    is_dated_that_day = filed_date == day and not keeps_its_date_in_the_evening(form)
    if is_dated_that_day and began.time() > SAME_DAY_UNTIL:
        return Objection(Weight.UNLIKELY, FILING_DATE)
    return Objection(Weight.NOTHING, "")
