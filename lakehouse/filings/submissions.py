"""One submissions document of the SEC: a company's list of filings, and what the SEC holds about the company.

The document of a company carries its newest filings; older ones stand in further pages, which hold the same arrays
without the company around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.filings.columns import accessions, days, filled_texts, is_text
from lakehouse.filings.documents import Refusal, cik_of, content_hash, loaded, refused, shortened
from lakehouse.filings.shapes import INSTANT, READ_FILINGS

SOURCE = "submissions"
NEEDED = ("accessionNumber", "filingDate", "form")
WANTED = ("acceptanceDateTime", "reportDate", "primaryDocument", "items")


@dataclass(frozen=True)
class Company:
    """What the SEC holds about a filer. `fiscal_year_end` is MMDD; `older_pages` names the pages of older filings.

    `filed_first` and `filed_last` are the first and the last day of which the document knows a filing.
    """

    cik: int
    name: str | None
    sic: str | None
    tickers: tuple[str, ...]
    exchanges: tuple[str | None, ...]
    fiscal_year_end: str | None
    former_names: tuple[FormerName, ...]
    older_pages: tuple[str, ...]
    filed_first: date | None
    filed_last: date | None


@dataclass(frozen=True)
class FormerName:
    """A name a company no longer carries, with the first and last instant of it as the SEC writes them."""

    name: str
    first: str | None
    last: str | None


@dataclass(frozen=True)
class ParsedFilings:
    """The filings of one document, and the entries that became none."""

    rows: pa.Table
    refusals: list[Refusal]


def company_of(document: bytes) -> Company:
    """What the first page of a company's submissions says about the company."""
    content = loaded(document, SOURCE)
    exchanges = _list(content.get("exchanges"))
    days = _days_of_filings(content)
    return Company(
        cik=cik_of(content, SOURCE),
        name=_text(content.get("name")),
        sic=_text(content.get("sic")),
        tickers=tuple(one for one in _list(content.get("tickers")) if _text(one)),
        exchanges=tuple(_text(one) for one in exchanges),
        fiscal_year_end=_text(content.get("fiscalYearEnd")),
        former_names=tuple(
            FormerName(one["name"], _text(one.get("from")), _text(one.get("to")))
            for one in _list(content.get("formerNames"))
            if isinstance(one, dict) and _text(one.get("name"))
        ),
        older_pages=tuple(
            one["name"]
            for one in _list(_object(content.get("filings")).get("files"))
            if isinstance(one, dict) and _text(one.get("name"))
        ),
        filed_first=min(days, default=None),
        filed_last=max(days, default=None),
    )


def _days_of_filings(content: dict[str, Any]) -> list[date]:
    """The days of the filings listed, and those between which older pages and former names lie."""
    filings = _object(content.get("filings"))
    stated = list(_list(_object(filings.get("recent")).get("filingDate")))
    between = [(one, ("filingFrom", "filingTo")) for one in _list(filings.get("files"))]
    between += [(one, ("from", "to")) for one in _list(content.get("formerNames"))]
    stated += [_object(one).get(name) for one, names in between for name in names]
    return [day for text in stated if (day := _day(text))]


def filings_of(document: bytes, *, cik: int, fetched_at: datetime) -> ParsedFilings:
    """The filings listed by a first page or an older one of the company `cik`. Shape: READ_FILINGS."""
    where = f"{SOURCE} of {cik}"
    content = loaded(document, where)
    arrays = _arrays(content, where, cik)
    count = len(arrays["accessionNumber"])
    columns = {
        "accession": accessions(arrays["accessionNumber"]),
        "cik": pa.repeat(pa.scalar(cik, pa.int64()), count),
        "form": filled_texts(arrays["form"]),
        "filed_date": days(arrays["filingDate"]),
        "accepted_text": filled_texts(arrays["acceptanceDateTime"]),
        "report_date": days(arrays["reportDate"]),
        "primary_document": filled_texts(arrays["primaryDocument"]),
        "items": filled_texts(arrays["items"]),
        "fetched_at": pa.repeat(pa.scalar(fetched_at, INSTANT), count),
        "content_hash": pa.repeat(pa.scalar(content_hash(document), pa.int64()), count),
    }
    columns["is_amendment"] = pc.ends_with(columns["form"], "/A")
    rows = pa.Table.from_arrays([columns[name] for name in READ_FILINGS.names], schema=READ_FILINGS)
    objections = {
        "accession_malformed": columns["accession"].is_null(),
        "filed_not_a_day": columns["filed_date"].is_null(),
        "form_missing": columns["form"].is_null(),
    }
    reasons = np.select([mask.to_numpy(zero_copy_only=False) for mask in objections.values()], list(objections), "")
    refusals = [
        Refusal(str(reasons[at]), f"[{at}]", shortened({name: arrays[name][at] for name in NEEDED}))
        for at in np.flatnonzero(reasons != "")
    ]
    return ParsedFilings(rows.filter(pa.array(reasons == "")), refusals)


def _arrays(content: dict[str, Any], where: str, cik: int) -> dict[str, list[Any]]:
    """The arrays of the one shape or the other, all of one length; an optional one that is absent holds nothing."""
    if "cik" in content and cik_of(content, where) != cik:
        raise refused(where, f"the filings of {cik}", f"those of {content['cik']}")
    found = _object(_object(content.get("filings")).get("recent")) or content
    lengths = {name: len(found[name]) if isinstance(found.get(name), list) else -1 for name in NEEDED}
    count = lengths["accessionNumber"]
    if min(lengths.values()) < 0 or len(set(lengths.values())) > 1:
        raise refused(where, f"the lists {', '.join(NEEDED)} of one length", f"lengths {lengths} (-1: no list)")
    arrays = {name: found[name] for name in NEEDED}
    for name in WANTED:
        values = found.get(name)
        if isinstance(values, list) and len(values) != count:
            raise refused(where, f"{count} values in {name}", f"{len(values)} of them")
        arrays[name] = values if isinstance(values, list) else [None] * count
    return arrays


def _day(value: object) -> date | None:
    """The day that a text begins with, be it of a filing or the midnight of a former name."""
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value and is_text(value) else None
