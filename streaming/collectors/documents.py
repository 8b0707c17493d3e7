"""From answers to rows of bronze: one row for each content a document ever had. Pure, in Arrow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from lakehouse.arrow_frames import arrow_schema
from lakehouse.filings.documents import (
    COMPANY_FACTS,
    DATA_SET,
    FILING_DOCUMENT,
    OLDER_SUBMISSIONS,
    SUBMISSIONS,
)
from lakehouse.tables import Table
from lakehouse.tables.bronze import (
    DOCUMENTS_OF_FACTS,
    DOCUMENTS_OF_FILINGS,
    DOCUMENTS_OF_NEWS,
    DOCUMENTS_OF_OPINIONS,
    DOCUMENTS_OF_REFERENCE,
    REFUSED_DOCUMENTS,
)
from streaming.collectors import finnhub, sec
from streaming.collectors.promises import MENTIONS, Broken
from streaming.collectors.request import Answer, Known, Place, Request, Version

TABLE_OF: Mapping[str, Table] = {
    **dict.fromkeys((SUBMISSIONS, OLDER_SUBMISSIONS, FILING_DOCUMENT), DOCUMENTS_OF_FILINGS),
    **dict.fromkeys((sec.DAILY_INDEX, finnhub.FILINGS), DOCUMENTS_OF_FILINGS),
    **dict.fromkeys((COMPANY_FACTS, DATA_SET, finnhub.FINANCIALS), DOCUMENTS_OF_FACTS),
    **dict.fromkeys((finnhub.SPLITS, finnhub.DIVIDENDS, finnhub.EARNINGS_CALENDAR), DOCUMENTS_OF_REFERENCE),
    sec.COMPANY_TICKERS: DOCUMENTS_OF_REFERENCE,
    **dict.fromkeys(
        (finnhub.RECOMMENDATION, finnhub.GRADES, finnhub.PRICE_TARGET, finnhub.EPS_ESTIMATE), DOCUMENTS_OF_OPINIONS
    ),
    **dict.fromkeys((finnhub.NEWS_SENTIMENT, finnhub.SOCIAL_SENTIMENT, MENTIONS), DOCUMENTS_OF_OPINIONS),
    finnhub.COMPANY_NEWS: DOCUMENTS_OF_NEWS,
}  # fmt: skip
STATE = ("source", "document_id", "content_hash", "fetched_at", "etag", "last_modified")


@dataclass(frozen=True)
class Document:
    """What was asked for and what came; `broken` says why it is no document, None where it is one."""

    request: Request
    answer: Answer
    broken: Broken | None = None

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the body."""
        return hashlib.sha256(self.answer.body).hexdigest()

    @property
    def place(self) -> Place:
        """Source and id."""
        return self.request.source, self.request.document_id

    @property
    def version(self) -> Version:
        """What has to be known of it once it is stored."""
        answer = self.answer
        return Version(self.content_hash, answer.fetched_at, answer.etag, answer.last_modified)

    @property
    def table(self) -> Table:
        """Where it belongs."""
        return REFUSED_DOCUMENTS if self.broken else TABLE_OF[self.request.kind]


def rows_of(table: Table, documents: Iterable[Document]) -> pa.Table:
    """The rows of a table that documents make; of one content that came twice the first row."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for document in documents:
        if document.table is table:
            row = _row(document)
            rows.setdefault(tuple(row[name] for name in table.key), row)
    return pa.Table.from_pylist(list(rows.values()), arrow_schema(table))


def tables_of(kinds: Iterable[str]) -> list[Table]:
    """The tables that documents of such kinds go to, each once; refused ones too."""
    return list({table.name: table for table in (*(TABLE_OF[kind] for kind in kinds), REFUSED_DOCUMENTS)}.values())


def known_from(state: pa.Table) -> Known:
    """What is known of stored documents, from the columns of STATE in any order of rows."""
    known = Known()
    for row in state.select(list(STATE)).to_pylist():
        version = Version(row["content_hash"], row["fetched_at"], row["etag"], row["last_modified"])
        known.add((row["source"], row["document_id"]), version)
    return known


def bytes_in(documents: Sequence[Document]) -> int:
    """How much memory their bodies take."""
    return sum(len(document.answer.body) for document in documents)


def _row(document: Document) -> dict[str, Any]:
    request, answer, broken = document.request, document.answer, document.broken
    row = {name: getattr(request, name) for name in ("source", "document_id", "kind", "symbol", "cik", "url")}
    row |= {name: getattr(answer, name) for name in ("fetched_at", "status", "content_type", "etag", "last_modified")}
    row |= {"content_hash": document.content_hash, "body": answer.body}
    return row | ({"reason": broken.reason, "detail": broken.detail} if broken else {})
