"""Filings as files for people and crawlers: `<archive>/filings/symbol=AAPL/filed_date=2009-10-27/ACCESSION.json`.

A company is looked at again only where its documents, its texts or its tickers changed, and of its files only those are
written whose content did: a list of digests for each company is kept beside them, and is written last. Each file is
replaced whole. Silver stays the source of truth; the files can be deleted and made again.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.errors import LeaseError
from lakehouse.files import Files
from lakehouse.filings.forms import FORMS
from lakehouse.filings.whole import Row, places_of, whole_filing
from lakehouse.lake import Lake
from lakehouse.tables.filings import COMPANIES, FACTS, FILING_TEXTS, FILINGS
from lakehouse.tables.silver import INSTRUMENTS

LAYOUT = 1  # raised where the same filing makes another document than before
LISTS = "_made"
WRITES_AT_ONCE = 8


@dataclass
class Archived:
    """What a run did: companies looked at, files written, files deleted because their filing lies elsewhere now."""

    companies: int = 0
    written: int = 0
    deleted: int = 0


@dataclass
class Made:
    """What the archive holds of a company: what it was made from, and the digest of each file."""

    basis: str = ""
    files: dict[str, str] = field(default_factory=dict)


def archive_filings(lake: Lake, root: str, lost: threading.Event) -> Archived:
    """Bring the files up to what silver holds, a company at a time, until the lease is lost."""
    told = Archived()
    for cik, basis in sorted(_bases(lake).items()):
        if lost.is_set():
            raise LeaseError(
                f"{root}: the lease of this archive was lost. The files of the companies before {cik} are there, each "
                f"whole. Run it again: it writes what is missing."
            )
        made = _made(lake.files, root, cik)
        if made.basis != basis:
            _archive(lake, root, cik, made, told)
            listed = json.dumps({"basis": basis, "files": made.files}, sort_keys=True)
            lake.files.replace_text(_list_of(root, cik), listed)
            told.companies += 1
    return told


def _bases(lake: Lake) -> dict[int, str]:
    """Of each company a hash of all that its files follow from."""
    documents = lake.read(COMPANIES).select("cik", F.col("documents").alias("read"))
    texts = _joined(lake.read(FILING_TEXTS).where("ordinal = 0"), "accession", "content_hash", "reader", "known_from")
    tickers = _joined(lake.read(INSTRUMENTS).where("cik IS NOT NULL"), "ticker", "valid_from", "valid_to")
    whole = documents.join(texts.withColumnRenamed("all", "texts"), "cik", "left").join(
        tickers.withColumnRenamed("all", "tickers"), "cik", "left"
    )
    hashed = F.sha2(F.to_json(F.struct(F.lit(LAYOUT).alias("layout"), "read", "texts", "tickers")), 256)
    return {row["cik"]: row["basis"] for row in whole.select("cik", hashed.alias("basis")).collect()}


def _joined(rows: DataFrame, *names: str) -> DataFrame:
    """Some columns of all rows of a company as one text, in order."""
    return rows.groupBy("cik").agg(F.to_json(F.array_sort(F.collect_list(F.struct(*names)))).alias("all"))


def _archive(lake: Lake, root: str, cik: int, made: Made, told: Archived) -> None:
    """Write what is new or differs, then delete what is nowhere any more; `made` says afterwards what is there."""
    files: dict[str, str] = {}
    with ThreadPoolExecutor(WRITES_AT_ONCE) as pool:
        writes = []
        for place, text in _documents(lake, cik):
            files[place] = hashlib.sha256(text.encode()).hexdigest()
            if made.files.get(place) != files[place]:
                writes.append(pool.submit(lake.files.replace_text, f"{root}/{place}", text))
        for write in writes:
            write.result()
    gone = made.files.keys() - files.keys()
    for place in gone:
        lake.files.delete(f"{root}/{place}")
    made.files = files
    told.written += len(writes)
    told.deleted += len(gone)


def _documents(lake: Lake, cik: int) -> Iterator[tuple[str, str]]:
    """Place and content of each file of a company."""
    mine = F.col("cik") == cik
    filings = lake.read(FILINGS).where(mine & F.col("form").isin(sorted(FORMS)))
    listings = lake.read(INSTRUMENTS).where(mine).select("ticker", "valid_from", "valid_to")
    facts, texts = (_by_accession(lake.read(table).where(mine)) for table in (FACTS, FILING_TEXTS))
    listed = listings.toArrow().to_pylist()
    for filing in filings.orderBy("accession").toArrow().to_pylist():
        accession = filing["accession"]
        text = whole_filing(filing, facts.get(accession, ()), texts.get(accession, ()))
        yield from ((place, text) for place in places_of(filing, listed))


def _by_accession(rows: DataFrame) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows.toArrow().to_pylist():
        found.setdefault(row["accession"], []).append(row)
    return found


def _made(files: Files, root: str, cik: int) -> Made:
    path = _list_of(root, cik)
    kept: dict[str, Any] = json.loads(files.read_text(path)) if files.exists(path) else {}
    return Made(**kept)


def _list_of(root: str, cik: int) -> str:
    return f"{root}/{LISTS}/CIK{cik:010d}.json"
