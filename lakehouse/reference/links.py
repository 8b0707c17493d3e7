"""Listings linked to filers of the SEC: by a ticker that both carried on one day, and by nothing else. Pure.

A document shows that a filer carried a ticker when the document was fetched. Whatever instrument carried it on that day
is the filer's; earlier and later tickers of the instrument are, where the filer filed in their time. Where documents
name two filers nothing is linked, and what the watchlist says stands. What was done, and what was not, is told in
`evidence`. The rows depend on the set of documents alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from lakehouse.reference.calendar import Row
from lakehouse.reference.sectors import SectorsFile
from lakehouse.reference.universe import Tickers, bare

NOT_LISTED = "OTC"  # map files are of listed shares; over the counter the ticker may be what a delisted share left
BEFORE, AFTER = timedelta(days=30), timedelta(days=60)  # of the last day, in which the notice of a delisting is filed
BY_EXCHANGE, BY_COMPANY = ("25",), ("15-", "15F")  # forms: removal from listing, end of the duty to report


@dataclass(frozen=True, order=True)
class Seen:
    """A filer that a document shows to carry a ticker; `day` is the exchange date on which it was fetched."""

    day: date
    document: str
    cik: int
    ticker: str
    exchange: str


@dataclass(frozen=True)
class Filer:
    """What the documents of a filer say: its SIC today, and the first and last day of a filing that they know of."""

    sic: str | None
    document: str
    filed_first: date | None
    filed_last: date | None

    def filed_between(self, first: date, last: date | None) -> bool:
        """Whether the time in which it filed and an interval have days in common."""
        if self.filed_first is None or self.filed_last is None:
            return False
        return self.filed_last >= first and (last is None or self.filed_first <= last)


@dataclass(frozen=True, order=True)
class Ending:
    """A filing that may end a listing: Form 25 or 15."""

    filed_date: date
    form: str
    accession: str


@dataclass(frozen=True)
class Told:
    """All that documents tell of listings."""

    sectors: SectorsFile
    seen: Sequence[Seen] = ()
    filers: Mapping[int, Filer] = field(default_factory=dict)
    endings: Mapping[int, Sequence[Ending]] = field(default_factory=dict)


def linked(instruments: Iterable[Row], told: Told) -> list[Row]:
    """Rows of silver.instruments with what documents add to them, whatever was added to them before."""
    rows = [bare(row) for row in instruments]
    of_instrument: dict[str, list[Row]] = {}
    for row in rows:
        of_instrument.setdefault(row["instrument_id"], []).append(row)
    sightings = _sightings(rows, told)
    return [
        linked_row
        for instrument_id, mine in of_instrument.items()
        for linked_row in _linked(sorted(mine, key=_begins), sightings.get(instrument_id, []), told)
    ]


def disputes(instruments: Iterable[Row]) -> list[str]:
    """What documents and the watchlist say differently, one line for each instrument, in order."""
    said = (
        (row["instrument_id"], json.loads(row["evidence"]).get("disputed")) for row in instruments if row["evidence"]
    )
    return [f"{name}: {text}" for name, text in sorted({one for one in said if one[1]})]


def _begins(row: Row) -> date:
    begins: date = row["valid_from"]
    return begins


def _sightings(rows: Iterable[Row], told: Told) -> dict[str, list[tuple[Seen, Row]]]:
    """What was seen of each instrument, and in which of its intervals."""
    tickers, found = Tickers(rows), dict[str, list[tuple[Seen, Row]]]()
    for one in sorted(told.seen):
        row = tickers.carrier(one.ticker, one.day) if one.exchange != NOT_LISTED else None
        if row is not None:
            found.setdefault(row["instrument_id"], []).append((one, row))
    return found


def _linked(rows: Sequence[Row], sightings: Sequence[tuple[Seen, Row]], told: Told) -> Iterator[Row]:
    """The rows of one instrument, oldest first."""
    stated = {row["cik"] for row in rows if row["cik"] is not None}
    seen = {one.cik for one, _ in sightings}
    ciks, dispute = stated or seen, _dispute(stated, sightings)
    cik = next(iter(ciks)) if len(ciks) == 1 else None
    filer = told.filers.get(cik) if cik is not None else None
    for row in rows:
        found: Row = {}
        evidence: dict[str, str] = {"disputed": dispute} if dispute else {}
        is_last = row is rows[-1]
        if row["cik"] is None and cik is not None and (why := _why(row, cik, sightings, filer)):
            found["cik"], evidence["cik"] = cik, why
        if filer and found.get("cik", row["cik"]) == cik:
            _describe(found, evidence, filer, told)
            if is_last and row["delist_reason"] is None and (ending := _ending(row, told.endings.get(cik or 0, ()))):
                found["delist_reason"] = f"Form {ending.form} of {ending.filed_date}"
                evidence["delist_reason"] = ending.accession
        yield {**row, **found, "evidence": json.dumps(evidence, sort_keys=True) if evidence else None}


def _dispute(stated: set[int], sightings: Sequence[tuple[Seen, Row]]) -> str | None:
    """What is said of whose the instrument is, where it is not one thing."""
    first: dict[int, Seen] = {}
    for one, _ in sightings:
        first.setdefault(one.cik, one)
    if len(stated | first.keys()) < 2:
        return None
    told = [f"{cik} by the watchlist" for cik in sorted(stated)]
    return "; ".join([*told, *(f"{cik} by {_sighting(one)}" for cik, one in sorted(first.items()))])


def _why(row: Row, cik: int, sightings: Sequence[tuple[Seen, Row]], filer: Filer | None) -> str | None:
    """By what an interval is the filer's, None where nothing says so."""
    here = next((one for one, where in sightings if where is row and one.cik == cik), None)
    if here is not None:
        return _sighting(here)
    if filer and filer.filed_between(row["valid_from"], row["valid_to"]):
        others = next((_sighting(one) for one, _ in sightings if one.cik == cik), "the watchlist")
        return f"another ticker of it: {others}; filed {filer.filed_first} to {filer.filed_last}"
    return None


def _sighting(one: Seen) -> str:
    return f"{one.ticker} on {one.day} in {one.document}"


def _describe(found: Row, evidence: dict[str, str], filer: Filer, told: Told) -> None:
    """Since when the filer files, and of which sector it is."""
    if filer.filed_first is not None:
        found["cik_from"], evidence["cik_from"] = filer.filed_first, filer.document
    sector = told.sectors.sector_of(filer.sic)
    if sector is not None:
        found["sector"], evidence["sector"] = sector, f"SIC {filer.sic} in {filer.document}"


def _ending(row: Row, endings: Iterable[Ending]) -> Ending | None:
    """The filing that ended a listing: the exchange's before the company's, the nearest to the last day."""
    last: date | None = row["valid_to"]
    if last is None:
        return None
    near = [one for one in endings if last - BEFORE <= one.filed_date <= last + AFTER]
    ranked = sorted((not one.form.startswith(BY_EXCHANGE), abs(one.filed_date - last), one) for one in near)
    return ranked[0][2] if ranked else None
