"""What is asked of the SEC: lists of filings, facts, filing documents, daily indexes and the quarterly Data Sets.

A plan follows from names and dates, and from lists of filings that were fetched before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import quote

from lakehouse.filings import documents as listed
from lakehouse.filings.documents import (
    COMPANY_FACTS,
    DATA_SET,
    FILING_DOCUMENT,
    OLDER_SUBMISSIONS,
    SUBMISSIONS,
)
from lakehouse.filings.forms import FORMS
from streaming.collectors.request import Request
from streaming.collectors.windows import quarters, weekdays

SOURCE = "sec"
DAILY_INDEX, COMPANY_TICKERS = "daily_index", listed.COMPANY_TICKERS


@dataclass(frozen=True)
class Company:
    """A filer and the ticker we follow it by."""

    symbol: str
    cik: int


@dataclass
class Wanted:
    """Which main documents are asked for: filed since a day, of these forms, of each only the newest so many.

    It is of one run: it counts what it took from a company's lists, which come newest first.
    """

    since: date
    forms: frozenset[str] = FORMS
    newest: int | None = None
    _taken: Counter[tuple[int, str]] = field(default_factory=Counter)

    def takes(self, company: Company, form: str, filed: date) -> bool:
        """Whether the document of a filing is wanted, which then counts."""
        if form not in self.forms or filed < self.since or self._taken[company.cik, form] == self.newest:
            return False
        self._taken[company.cik, form] += 1
        return True


@dataclass(frozen=True)
class Edgar:
    """Where the SEC's servers are: `data` for its interfaces, `archives` for files."""

    data: str
    archives: str

    def submissions(self, company: Company) -> Request:
        """The list of a company's newest filings, which names the lists of older ones."""
        return self._of_data(SUBMISSIONS, f"submissions/CIK{company.cik:010d}.json", company)

    def company_facts(self, company: Company) -> Request:
        """Every fact the company ever reported in XBRL."""
        return self._of_data(COMPANY_FACTS, f"api/xbrl/companyfacts/CIK{company.cik:010d}.json", company)

    def company_tickers(self) -> Request:
        """Which ticker belongs to which filer, today."""
        place = "files/company_tickers.json"
        return Request(SOURCE, COMPANY_TICKERS, place, f"{self._files}/{place}", changes=True)

    def older_submissions(self, company: Company, listing: bytes) -> list[Request]:
        """The lists of older filings that a list of submissions names."""
        named = json.loads(listing)["filings"]["files"]
        return [self._of_data(OLDER_SUBMISSIONS, f"submissions/{one['name']}", company) for one in named]

    def filing_documents(self, company: Company, listing: bytes, wanted: Wanted) -> list[Request]:
        """The main document of each filing of a list that is wanted.

        Filings of long ago name no main document: the whole submission is asked for instead.
        """
        found = []
        for filing in filings_in(listing):
            if wanted.takes(company, filing["form"], date.fromisoformat(filing["filingDate"])):
                accession = filing["accessionNumber"]
                whole = f"{accession}.txt"
                name = f"{accession.replace('-', '')}/{filing['primaryDocument'] or whole}"
                place = f"Archives/edgar/data/{company.cik}/{name}"
                found.append(self._of_files(FILING_DOCUMENT, place, company))
        return found

    def daily_indexes(self, first: date, last: date) -> list[Request]:
        """What was filed on each weekday, by form; the SEC has no index of a holiday."""
        places = [
            f"Archives/edgar/daily-index/{day.year}/QTR{(day.month + 2) // 3}/form.{day:%Y%m%d}.idx"
            for day in weekdays(first, last)
        ]
        return [self._of_files(DAILY_INDEX, place, None) for place in places]

    def data_sets(self, first: date, last: date) -> list[Request]:
        """The Financial Statement Data Sets of each quarter that ended in a range. Old ones may be issued anew."""
        folder = "files/dera/data/financial-statement-data-sets"
        places = [f"{folder}/{year}q{number}.zip" for year, number in quarters(first, last)]
        return [Request(SOURCE, DATA_SET, place, f"{self._files}/{place}", changes=True) for place in places]

    def named_in(self, request: Request, body: bytes, wanted: Wanted | None) -> list[Request]:
        """What a list of filings leads to: the main documents that are wanted, and older lists."""
        if request.kind not in (SUBMISSIONS, OLDER_SUBMISSIONS) or request.cik is None or request.symbol is None:
            return []
        company = Company(request.symbol, request.cik)
        older = self.older_submissions(company, body) if request.kind == SUBMISSIONS else []
        return older + (self.filing_documents(company, body, wanted) if wanted else [])

    @property
    def _files(self) -> str:
        return self.archives.rstrip("/")

    def _of_data(self, kind: str, place: str, company: Company) -> Request:
        url = f"{self.data.rstrip('/')}/{place}"
        return Request(SOURCE, kind, place, url, changes=True, symbol=company.symbol, cik=company.cik)

    def _of_files(self, kind: str, place: str, company: Company | None) -> Request:
        symbol, cik = (company.symbol, company.cik) if company else (None, None)
        return Request(SOURCE, kind, place, f"{self._files}/{quote(place)}", changes=False, symbol=symbol, cik=cik)


def filings_in(listing: bytes) -> Iterator[dict[str, Any]]:
    """The filings of a list of submissions, or of a list of older ones, which is the bare table."""
    found = json.loads(listing)
    columns = found["filings"]["recent"] if "filings" in found else found
    names = list(columns)
    for values in zip(*(columns[name] for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def companies_in(tickers: bytes) -> dict[str, Company]:
    """Every company of the SEC's list by its ticker."""
    listed = (Company(one["ticker"].upper(), int(one["cik_str"])) for one in json.loads(tickers).values())
    return {company.symbol: company for company in listed}
