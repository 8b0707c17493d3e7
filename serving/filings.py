"""Filings of a ticker as they were known at an instant, and passages of their text, read without Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import duckdb

from lakehouse.errors import TableError
from lakehouse.filings.forms import FORMS
from lakehouse.filings.text import paragraphs
from lakehouse.tables import Table
from lakehouse.tables.filings import FACTS, FILING_TEXTS, FILINGS
from lakehouse.tables.silver import INSTRUMENTS
from serving.board import opened


@dataclass(frozen=True)
class Filing:
    """One filing: what it is, when it was known, the fiscal period it states (with facts only), and its sections."""

    accession: str
    form: str
    filed_date: date
    known_from: datetime
    known_basis: str
    report_date: date | None
    fiscal_year: int | None
    fiscal_period: str | None
    items: str | None
    sections: str | None


@dataclass(frozen=True)
class Passage:
    """A paragraph of a filing, and where it stands."""

    accession: str
    form: str
    known_from: datetime
    section: str
    title: str | None
    text: str


def filers(warehouse: str, symbol: str, day: date) -> list[int]:
    """The filer numbers behind a ticker on a day; none is an error."""
    rows = _rows(warehouse, {"instruments": INSTRUMENTS}, LISTED, {"symbol": symbol, "day": day})
    if not rows:
        raise TableError(
            f"silver.instruments: expected a filer that carried the ticker {symbol} on {day}, found none. Nothing was "
            f"changed. Check the ticker and the day. `tickhouse load-reference` takes a `cik` from the watchlist, and "
            f"from what `tickhouse collect-filings` fetched."
        )
    return [row["cik"] for row in rows]


def filings_known(warehouse: str, ciks: Sequence[int], at: datetime) -> list[Filing]:
    """Filings of the forms that are kept as text, known at an instant, newest first."""
    tables = {"filings": FILINGS, "facts": FACTS, "texts": FILING_TEXTS}
    rows = _rows(warehouse, tables, KNOWN.format(mine=_any_of(ciks)), {"at": at, "forms": sorted(FORMS)})
    return [Filing(**_in_utc(row)) for row in rows]


def passages_known(
    warehouse: str, ciks: Sequence[int], at: datetime, words: Sequence[str], section: str | None
) -> Iterator[Passage]:
    """Passages that hold every one of the words, of filings known at an instant, newest first. Without words: all of
    each section as one. A section of a 10-Q is found by its item alone, or with its part, as II.1A.
    """
    wanted = [_plain(word) for word in words]
    given = {"at": at, "words": wanted, "section": section}
    for row in _rows(warehouse, {"texts": FILING_TEXTS}, SAID.format(mine=_any_of(ciks)), given):
        whole = row.pop("text")
        for text in paragraphs(whole) if wanted else (whole,):
            if all(word in _plain(text) for word in wanted):
                yield Passage(**_in_utc(row), text=text.strip())


def _any_of(ciks: Sequence[int]) -> str:
    """A condition that is read off the files' statistics, as a parameter is not."""
    return f"cik IN ({', '.join(map(str, ciks))})"


def _plain(text: str) -> str:
    """Small letters and straight apostrophes; the queries below do the same."""
    return text.lower().replace("\u2019", "'")


def _in_utc(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"known_from": row["known_from"].astimezone(UTC)}


def _rows(warehouse: str, tables: dict[str, Table], sql: str, given: dict[str, Any]) -> list[dict[str, Any]]:
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        for name, table in tables.items():
            db.register(name, opened(warehouse, table))
        rows: list[dict[str, Any]] = db.execute(sql, given).to_arrow_table().to_pylist()
    return rows


LISTED = """
SELECT DISTINCT cik FROM instruments
WHERE ticker = $symbol AND cik IS NOT NULL AND valid_from <= $day AND (valid_to IS NULL OR valid_to >= $day)
ORDER BY cik
"""
KNOWN = """
WITH mine AS (
    SELECT * FROM filings WHERE {mine} AND known_from <= $at AND form IN (SELECT unnest($forms::VARCHAR[]))
), periods AS (
    SELECT cik, accession, max(fiscal_year) AS fiscal_year, max(fiscal_period) AS fiscal_period
    FROM facts WHERE {mine} GROUP BY cik, accession
), parts AS (
    SELECT cik, accession, string_agg(section, ' ' ORDER BY ordinal) AS sections
    FROM texts WHERE {mine} GROUP BY cik, accession
)
SELECT accession, form, filed_date, known_from, known_basis, report_date, fiscal_year, fiscal_period, items, sections
FROM mine LEFT JOIN periods USING (cik, accession) LEFT JOIN parts USING (cik, accession)
ORDER BY known_from DESC, accession DESC
"""
SAID = """
SELECT accession, form, known_from, section, title, text
FROM texts
WHERE {mine} AND known_from <= $at
    AND ($section IS NULL OR upper(section) = upper($section) OR ends_with(upper(section), '.' || upper($section)))
    AND len(list_filter($words::VARCHAR[], word -> NOT contains(replace(lower(text), '\u2019', ''''), word))) = 0
ORDER BY known_from DESC, accession DESC, ordinal
"""
