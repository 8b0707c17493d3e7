"""What collectors fetched about listings, splits and dividends: read from bronze, document by document, in tasks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.arrow_frames import ARROW_TYPES
from lakehouse.errors import DocumentError
from lakehouse.filings.documents import COMPANY_TICKERS, SUBMISSIONS
from lakehouse.filings.submissions import company_of
from lakehouse.lake import Lake
from lakehouse.reference.claims import ACTION_OF, Claim, claims_of
from lakehouse.reference.links import BY_COMPANY, BY_EXCHANGE, Ending, Filer, Seen, Told
from lakehouse.reference.sectors import SectorsFile
from lakehouse.reference.universe import plain
from lakehouse.tables.bronze import DOCUMENTS_OF_FILINGS, DOCUMENTS_OF_REFERENCE
from lakehouse.tables.filings import FILINGS
from lakehouse.tables.silver import INSTRUMENTS
from lakehouse.workers import in_arrow

TASKS, HASH_DIGITS = 8, 12
SIGHTINGS_DDL = (
    "kind string, content_hash string, fetched_at timestamp, cik bigint, ticker string, exchange string, sic string, "
    "filed_first date, filed_last date"
)
CLAIMS_DDL = (
    "source string, symbol string, action string, place string, effective_date date, ratio decimal(18,9), "
    "amount decimal(18,6), currency string, announced_date date, fetched_at timestamp, document_hash string, "
    "problem string"
)
SIGHTINGS, CLAIMS = (
    pa.schema([(name, ARROW_TYPES[kind]) for name, kind in (column.split() for column in ddl.split(", "))])
    for ddl in (SIGHTINGS_DDL, CLAIMS_DDL)
)
Rows = Iterator[dict[str, Any]]


def read_told(lake: Lake, tickers: Iterable[str], sectors: SectorsFile, zone: str) -> Told:
    """What the SEC's documents tell of listings with some tickers and of those that are stored, in days of a zone."""
    stored = (row["ticker"] for row in lake.read(INSTRUMENTS).select("ticker").distinct().collect())
    wanted = frozenset(map(plain, (*tickers, *stored)))
    lists = lake.read(DOCUMENTS_OF_FILINGS).where((F.col("kind") == SUBMISSIONS) & F.col("cik").isNotNull())
    whole = lake.read(DOCUMENTS_OF_REFERENCE).where(F.col("kind") == COMPANY_TICKERS)
    read = partial(_rows_of, read=partial(sightings_of, wanted=wanted), schema=SIGHTINGS)
    found = _through(lists.unionByName(whole), read, SIGHTINGS_DDL)
    return told_of(found.to_pylist(), _endings(lake), sectors, zone)


def read_claims(lake: Lake) -> list[Claim]:
    """Every entry of every document of splits and dividends."""
    documents = lake.read(DOCUMENTS_OF_REFERENCE).where(F.col("kind").isin(*ACTION_OF))
    read = partial(_rows_of, read=_claims, schema=CLAIMS)
    return [Claim(**row) for row in _through(documents, read, CLAIMS_DDL).to_pylist()]


def _claims(document: Mapping[str, Any]) -> Rows:
    return map(asdict, claims_of(document))


def sightings_of(document: Mapping[str, Any], *, wanted: frozenset[str]) -> Rows:
    """Rows of SIGHTINGS: which wanted tickers a filer carries, and one row without a ticker about the filer itself.

    A list of filings that cannot be read gives none; silver.companies says so.
    """
    common = {name: document[name] for name in ("kind", "content_hash", "fetched_at")}
    if document["kind"] == COMPANY_TICKERS:
        for one in json.loads(document["body"]).values():
            if plain(one["ticker"]) in wanted:
                yield {**dict.fromkeys(SIGHTINGS.names), **common, "cik": int(one["cik_str"]), "ticker": one["ticker"]}
        return
    try:
        company = company_of(document["body"])
    except DocumentError:
        return
    about = {"cik": company.cik, "sic": company.sic, "filed_first": company.filed_first,
             "filed_last": company.filed_last}  # fmt: skip
    yield {**dict.fromkeys(SIGHTINGS.names), **common, **about}
    exchanges = (*company.exchanges, *[None] * len(company.tickers))
    for ticker, exchange in zip(company.tickers, exchanges, strict=False):
        if plain(ticker) in wanted:
            yield {**common, **about, "ticker": ticker, "exchange": exchange}


def told_of(
    sightings: Iterable[Mapping[str, Any]], endings: Mapping[int, list[Ending]], sectors: SectorsFile, zone: str
) -> Told:  # fmt: skip
    """All that documents tell of listings, from rows of SIGHTINGS in any order."""
    rows = sorted(sightings, key=lambda row: (row["fetched_at"], row["content_hash"]))
    seen = {_seen(row, ZoneInfo(zone)) for row in rows if row["ticker"] is not None}
    filers: dict[int, Filer] = {}
    for row in rows:
        if row["kind"] == SUBMISSIONS:
            before = filers.get(row["cik"])
            firsts = [day for day in (row["filed_first"], before and before.filed_first) if day]
            lasts = [day for day in (row["filed_last"], before and before.filed_last) if day]
            filers[row["cik"]] = Filer(
                row["sic"], _named(row), min(firsts, default=None), max(lasts, default=None)
            )  # fmt: skip
    return Told(sectors, sorted(seen), filers, endings)


def _seen(row: Mapping[str, Any], zone: ZoneInfo) -> Seen:
    day = row["fetched_at"].astimezone(zone).date()
    return Seen(day, _named(row), row["cik"], row["ticker"], row["exchange"] or "")


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['kind']} {row['content_hash'][:HASH_DIGITS]}"


def _endings(lake: Lake) -> dict[int, list[Ending]]:
    """The filings that may end listings, by filer."""
    form = F.col("form")
    ends = form.startswith(BY_EXCHANGE[0])
    for begins in (*BY_EXCHANGE[1:], *BY_COMPANY):
        ends |= form.startswith(begins)
    found: dict[int, list[Ending]] = {}
    for row in lake.read(FILINGS).where(ends).select("cik", "filed_date", "form", "accession").collect():
        found.setdefault(row["cik"], []).append(Ending(row["filed_date"], row["form"], row["accession"]))
    return found


def _through(documents: DataFrame, read: Callable[..., Iterator[pa.RecordBatch]], ddl: str) -> pa.Table:
    columns = ("source", "kind", "symbol", "cik", "content_hash", "fetched_at", "body")
    return in_arrow(documents.select(*columns).repartition(TASKS), read, ddl).toArrow()


def _rows_of(
    batches: Iterable[pa.RecordBatch], read: Callable[[Mapping[str, Any]], Rows], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    """Documents one after the other, each a batch of rows."""
    for batch in batches:
        for at in range(batch.num_rows):
            (document,) = batch.slice(at, 1).to_pylist()
            yield from pa.Table.from_pylist(list(read(document)), schema).to_batches()
