"""When a filing became known: its acceptance instant, settled by evidence, and the basis it was settled on.

The SEC's `acceptanceDateTime` always ends in Z, which says UTC. In AAPL's file it is Eastern time nevertheless, in
MSFT's, NVDA's and TSM's it is UTC. Each filing is settled by the first of these bases that holds:

- `datasets`: the Data Sets state the time too, always Eastern and usually to the minute. The text agrees with it by one
  of the two clocks; where it agrees by neither, or there is no text, the Data Sets' time counts, from the end of its
  minute on.
- `hours`, `filing_date`: by the other clock, EDGAR would have been closed, or the filing would have another date. What
  only an unusually long transmission speaks against needs neighbours that agree. The rules and what they rest on stand
  in `clocks.py`.
- `neighbours`: the company's filings of that day, of three days before and of three days after it (days with filings
  that speak for a clock at all) speak for one.
- `later_of_two`: nothing settles it, so the later reading counts: known too late is never known too early.
- `filed_date_only`: there is no readable text. Known from the end of the filing date in New York.

Acceptance is when EDGAR took the filing in. What comes after 17:30 and is dated the next business day may be shown to
the public only then; that is not part of this instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.filings.clocks import (
    DATA_SETS,
    EASTERN,
    NEW_YORK,
    UTC_TIME,
    Vote,
    Votes,
    vote_of,
)
from lakehouse.filings.columns import FIRST_YEAR, LAST_YEAR
from lakehouse.filings.ordering import last_of_each
from lakehouse.filings.shapes import FILINGS, INSTANT, READ_FILINGS

NEIGHBOURS, LATER_OF_TWO, FILED_DATE_ONLY = "neighbours", "later_of_two", "filed_date_only"
MINUTE = timedelta(minutes=1)
ONE_ROW_EACH = tuple(name for name in READ_FILINGS.names if name not in ("accession", "fetched_at", "content_hash"))
BY_AGE = ("fetched_at", "content_hash", *ONE_ROW_EACH)

Settled = tuple[datetime, str]  # the instant in UTC, and the basis


@dataclass(frozen=True, slots=True)
class _Listed:
    """One filing with the text of its acceptance read by both clocks, and what the Data Sets state of it."""

    accession: str
    cik: int
    form: str
    filed_date: date
    eastern: datetime
    utc: datetime
    stated: datetime | None

    @property
    def agreed(self) -> str | None:
        """The clock by which the text says what the Data Sets say."""
        if self.stated is None:
            return None
        pairs = ((EASTERN, self.eastern), (UTC_TIME, self.utc))
        return next((clock for clock, reading in pairs if abs(reading - self.stated) < MINUTE), None)

    @property
    def vote(self) -> Vote | None:
        """The clock this filing speaks for."""
        if self.stated is not None:
            return None if self.agreed is None else Vote(self.agreed, DATA_SETS, True, self.filed_date)
        eastern, utc = (reading.astimezone(NEW_YORK).replace(tzinfo=None) for reading in (self.eastern, self.utc))
        return vote_of(self.accession, self.form, self.filed_date, eastern=eastern, utc=utc)

    def by(self, clock: str) -> datetime:
        """The instant, read by a clock."""
        return self.eastern if clock == EASTERN else self.utc


def settled(filings: pa.Table) -> pa.Table:
    """One row per accession with `known_from` and `known_basis`. In: READ_FILINGS, out: FILINGS, by accession.

    Takes the filings of submissions documents together with those of the Data Sets, in any order and number; neighbours
    are found among these, so a company's whole list should be given. Of rows about one accession a company's own list
    counts before the Data Sets, then the one fetched later, then the higher content hash.
    """
    texts = filings["accepted_text"].to_pylist()
    is_stated = pa.array([_is_stated(text) for text in texts], pa.bool_())
    stated = last_of_each(filings.filter(is_stated), ("accession",), BY_AGE)
    listed = last_of_each(filings.filter(pc.invert(is_stated)), ("accession",), BY_AGE)
    times = {
        accession: _from_new_york(datetime.fromisoformat(text))
        for accession, text in zip(stated["accession"].to_pylist(), stated["accepted_text"].to_pylist(), strict=True)
    }
    only_stated = stated.filter(pc.invert(pc.is_in(stated["accession"], listed["accession"])))
    rows = pa.concat_tables([listed, only_stated]).sort_by("accession")
    known = _known(rows, times)
    columns = {name: rows[name] for name in rows.column_names} | {
        "known_from": pa.array([known[one][0] for one in rows["accession"].to_pylist()], INSTANT),
        "known_basis": pa.array([known[one][1] for one in rows["accession"].to_pylist()], pa.string()),
    }
    return pa.Table.from_arrays([columns[name] for name in FILINGS.names], schema=FILINGS)


@lru_cache(maxsize=1 << 16)
def end_of_day(day: date) -> datetime:
    """The midnight after a date in New York, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), NEW_YORK).astimezone(UTC)


def _known(rows: pa.Table, times: dict[str, datetime]) -> dict[str, Settled]:
    names = ("accession", "cik", "form", "filed_date", "accepted_text")
    known: dict[str, Settled] = {}
    listed = []
    for accession, cik, form, filed_date, text in zip(*(rows[name].to_pylist() for name in names), strict=True):
        wall = _wall(text)
        if wall is not None:
            readings = (_from_new_york(wall), wall.replace(tzinfo=UTC))
            listed.append(_Listed(accession, cik, form, filed_date, *readings, times.get(accession)))
        elif accession in times:
            known[accession] = _end_of_minute(times[accession]), DATA_SETS
        else:
            known[accession] = end_of_day(filed_date), FILED_DATE_ONLY
    listed.sort(key=lambda one: one.cik)
    for _, of_company in groupby(listed, key=lambda one: one.cik):
        known.update(_settled_together(list(of_company)))
    return known


def _settled_together(listed: Sequence[_Listed]) -> Iterable[tuple[str, Settled]]:
    """The filings of one company."""
    own = [one.vote for one in listed]
    votes = Votes(vote for vote in own if vote is not None)
    for one, vote in zip(listed, own, strict=True):
        yield one.accession, _settled_alone(one, vote, votes)


def _settled_alone(one: _Listed, own: Vote | None, votes: Votes) -> Settled:
    if one.stated is not None and own is None:
        return _end_of_minute(one.stated), DATA_SETS
    if own is not None and own.is_firm:
        return one.by(own.clock), own.basis
    clock = votes.clock_near(one.filed_date)
    if clock is None:
        return max(one.eastern, one.utc), LATER_OF_TWO
    return one.by(clock), own.basis if own is not None and own.clock == clock else NEIGHBOURS


def _is_stated(text: str | None) -> bool:
    """Whether a text is a wall time of the Data Sets, which is Eastern: it has no Z at its end."""
    return text is not None and _plain_time(text) is not None


def _wall(text: str | None) -> datetime | None:
    """The digits of an acceptance time that ends in Z."""
    if text is None or not text.endswith("Z"):
        return None
    return _plain_time(text.removesuffix("Z"))


def _plain_time(text: str) -> datetime | None:
    """A date and a time without a zone; None where a text is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    is_sane = moment.tzinfo is None and ":" in text and FIRST_YEAR <= moment.year <= LAST_YEAR
    return moment if is_sane else None


def _from_new_york(wall: datetime) -> datetime:
    """A wall time of New York in UTC; the later instant where the clock showed it twice or never."""
    return max(wall.replace(tzinfo=NEW_YORK, fold=fold).astimezone(UTC) for fold in (0, 1))


def _end_of_minute(moment: datetime) -> datetime:
    return moment if moment.second or moment.microsecond else moment + MINUTE
