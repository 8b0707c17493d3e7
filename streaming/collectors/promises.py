"""Whether a body is what was promised. What is not is refused with a reason and never taken for a document."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from lakehouse.filings.documents import (
    COMPANY_FACTS,
    DATA_SET,
    FILING_DOCUMENT,
    OLDER_SUBMISSIONS,
    SUBMISSIONS,
)
from streaming.collectors import finnhub, sec

EMPTY, NOT_JSON, ELIDED, HTML_INSTEAD, ERROR_ANSWER, SCHEMA_CHANGED, NOT_A_ZIP = (
    "empty", "not_json", "elided", "html_instead", "error_answer", "schema_changed", "not_a_zip",
)  # fmt: skip
MENTIONS = "mentions"
SHOWN = 120
LEFT_OUT = re.compile(rb"(?:^|[\[{,:])\s*\.\.\.\s*(?:$|[\]},])")  # three dots where JSON wants a value
HTML = re.compile(rb"^\s*(?:<!doctype html|<html|<head)", re.IGNORECASE)
ERROR_PAGE = re.compile(rb"<title>[^<]*(?:SEC\.gov \||Access Denied|Error|Unavailable)", re.IGNORECASE)
FILING_COLUMNS = ("accessionNumber", "filingDate", "reportDate", "acceptanceDateTime", "form", "primaryDocument")


@dataclass(frozen=True)
class Broken:
    """Why a body is no document: a reason code, and what was found against what was expected."""

    reason: str
    detail: str


Check = Callable[[Any], str | None]  # what is missing in parsed JSON, None where all is there


def broken(kind: str, body: bytes) -> Broken | None:
    """What is wrong with a body of a kind, None where it is what was promised."""
    if not body.strip():
        return Broken(EMPTY, "expected a document, found no bytes")
    return _PROMISES[kind](body)


def _json(check: Check) -> Callable[[bytes], Broken | None]:
    def look(body: bytes) -> Broken | None:
        try:
            found = json.loads(body, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            return Broken(_why_not_json(body), f"expected JSON, found {_shown(body)} ({error})")
        if isinstance(found, dict) and set(found) == {"error"}:
            return Broken(ERROR_ANSWER, f"expected a document, found the error {str(found['error'])[:SHOWN]!r}")
        missing = check(found)
        return Broken(SCHEMA_CHANGED, f"{missing}, found {_shown(body)}") if missing else None

    return look


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _why_not_json(body: bytes) -> str:
    if HTML.match(body):
        return HTML_INSTEAD
    return ELIDED if LEFT_OUT.search(body) else NOT_JSON


def _shown(body: bytes) -> str:
    return repr(body[:SHOWN].decode("utf-8", "replace"))


def _object(*names: str) -> Check:
    """An object with these fields; dots lead inwards."""

    def look(found: Any) -> str | None:
        missing = [name for name in names if _inside(found, name) is None]
        return f"expected an object with {', '.join(names)}, missing {', '.join(missing)}" if missing else None

    return look


def _inside(found: Any, name: str) -> Any:
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _list(*names: str) -> Check:
    """A list of objects that all have these fields; an empty list is one too."""

    def look(found: Any) -> str | None:
        whole = isinstance(found, list) and all(isinstance(one, dict) and {*names} <= one.keys() for one in found)
        return None if whole else f"expected a list of objects with {', '.join(names)}"

    return look


def _listed_in(name: str, *names: str) -> Check:
    """An object that has such a list in a field."""
    inner = _list(*names)

    def look(found: Any) -> str | None:
        missing = inner(_inside(found, name))
        return f"{missing} in {name}" if missing else None

    return look


def _filing_columns(found: Any) -> str | None:
    columns = found if isinstance(found, dict) else {}
    lengths = {len(values) if isinstance(values, list) else None for values in columns.values()}
    whole = {*FILING_COLUMNS} <= columns.keys() and len(lengths) == 1 and None not in lengths
    return None if whole else f"expected columns of one length, {', '.join(FILING_COLUMNS)} among them"


def _submissions(found: Any) -> str | None:
    named = _listed_in("filings.files", "name")(found)
    return _object("cik")(found) or named or _filing_columns(_inside(found, "filings.recent"))


def _tickers(found: Any) -> str | None:
    rows = list(found.values()) if isinstance(found, dict) else found
    return _list("cik_str", "ticker")(rows) if rows else "expected companies by number"


def _zip(body: bytes) -> Broken | None:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile as error:
        reason = HTML_INSTEAD if HTML.match(body) else NOT_A_ZIP
        return Broken(reason, f"expected a zip, found {_shown(body)} ({error})")
    missing = {"sub.txt", "num.txt"} - names
    return (
        Broken(SCHEMA_CHANGED, f"expected sub.txt and num.txt in the zip, found {sorted(names)}") if missing else None
    )


def _index(body: bytes) -> Broken | None:
    if b"Form Type" in body[:4096] and b"File Name" in body[:4096]:
        return None
    reason = HTML_INSTEAD if HTML.match(body) else SCHEMA_CHANGED
    return Broken(reason, f"expected an index with Form Type and File Name, found {_shown(body)}")


def _filing(body: bytes) -> Broken | None:
    """A filing may be of any form, HTML too; a page of the server's own is told by its title."""
    page = ERROR_PAGE.search(body[:4096])
    return Broken(HTML_INSTEAD, f"expected a filing, found a page of the server: {_shown(body)}") if page else None


def _series(body: bytes) -> Broken | None:
    head = body.split(b"\n", 1)[0].strip()
    return None if head == b"timestamp,value" else Broken(SCHEMA_CHANGED, f"expected timestamp,value, found {head!r}")


_PROMISES: Mapping[str, Callable[[bytes], Broken | None]] = {
    SUBMISSIONS: _json(_submissions),
    OLDER_SUBMISSIONS: _json(_filing_columns),
    COMPANY_FACTS: _json(_object("cik", "facts")),
    sec.COMPANY_TICKERS: _json(_tickers),
    FILING_DOCUMENT: _filing,
    sec.DAILY_INDEX: _index,
    DATA_SET: _zip,
    finnhub.FILINGS: _json(_list("accessNumber", "form", "filedDate", "acceptedDate")),
    finnhub.FINANCIALS: _json(_listed_in("data", "accessNumber", "form", "endDate", "report")),
    finnhub.RECOMMENDATION: _json(_list("period", "strongBuy", "buy", "hold", "sell", "strongSell")),
    finnhub.GRADES: _json(_list("gradeTime", "company", "action", "toGrade")),
    finnhub.PRICE_TARGET: _json(_object("lastUpdated", "targetMean")),
    finnhub.EPS_ESTIMATE: _json(_listed_in("data", "period", "epsAvg")),
    finnhub.NEWS_SENTIMENT: _json(_object("buzz", "sentiment")),
    finnhub.SOCIAL_SENTIMENT: _json(_listed_in("data", "atTime", "mention", "score")),
    finnhub.COMPANY_NEWS: _json(_list("id", "datetime", "headline")),
    finnhub.SPLITS: _json(_list("date", "fromFactor", "toFactor")),
    finnhub.DIVIDENDS: _json(_list("date", "amount")),
    finnhub.EARNINGS_CALENDAR: _json(_listed_in("earningsCalendar", "date", "symbol")),
    MENTIONS: _series,
}
