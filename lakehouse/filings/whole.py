"""One filing as one JSON document: what it is, every fact it states, and its text where that is here. Pure.

It says what the filing says and nothing that later filings change, so a file is written once and changes only where its
source did.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

Row = Mapping[str, Any]

OF_FILING = (
    "accession", "cik", "form", "is_amendment", "filed_date", "accepted_text", "known_from", "known_basis",
    "report_date", "primary_document", "items",
)  # fmt: skip
OF_FACT = ("concept", "unit", "period_start", "period_end", "days", "value", "origin")
OF_SECTION = ("section", "title", "text")
FACT_ORDER = ("concept", "unit", "period_end", "days")


def whole_filing(filing: Row, facts: Iterable[Row], sections: Iterable[Row]) -> str:
    """The document, one line. Facts are in order of concept, unit and period, sections in that of the text."""
    stated = sorted(facts, key=lambda fact: tuple(fact[name] for name in FACT_ORDER))
    told = sorted(sections, key=lambda section: section["ordinal"])
    period = {
        name: max((fact[name] for fact in stated if fact[name] is not None), default=None)
        for name in ("fiscal_year", "fiscal_period")
    }
    whole = (
        _only(filing, OF_FILING) | period
        | {"facts": [_only(fact, OF_FACT) for fact in stated], "sections": [_only(one, OF_SECTION) for one in told]}
    )  # fmt: skip
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, default=_text) + "\n"


def places_of(filing: Row, listings: Sequence[Row]) -> list[str]:
    """Where a filing lies: below each ticker its filer carried on the filing date, else below its filer number."""
    filed = filing["filed_date"]
    tickers = {
        one["ticker"] for one in listings
        if one["valid_from"] <= filed and (one["valid_to"] is None or filed <= one["valid_to"])
    }  # fmt: skip
    symbols = sorted(quote(ticker, safe="") for ticker in tickers) or [f"CIK{filing['cik']:010d}"]
    return [f"symbol={symbol}/filed_date={filed.isoformat()}/{filing['accession']}.json" for symbol in symbols]


def _only(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _text(value: object) -> str:
    """A day as YYYY-MM-DD, an instant in UTC with a Z at its end."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} has no place in JSON")
