"""Real documents of the SEC as rows of bronze, and the facts a lake makes of them."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakehouse.filings.shapes import FACTS as FACTS_SHAPE
from lakehouse.lake import Lake
from lakehouse.tables.bronze import DOCUMENTS_OF_FACTS, DOCUMENTS_OF_FILINGS
from lakehouse.tables.filings import FACTS

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CIKS = {"AAPL": 320193, "NVDA": 1045810}
EPS = "us-gaap:EarningsPerShareDiluted"
CONCEPTS = ("EarningsPerShareDiluted", "Assets", "Revenues")
Row = dict[str, Any]


def a_document(kind: str, cik: int | None, body: bytes, hours: int = 0) -> Row:
    """A row of bronze; documents of the SEC are told apart by what they hold."""
    table = DOCUMENTS_OF_FILINGS if kind == "submissions" else DOCUMENTS_OF_FACTS
    return dict.fromkeys(table.column_names) | {
        "source": "sec", "document_id": f"{kind}/{cik}", "content_hash": hashlib.sha256(body).hexdigest(),
        "kind": kind, "cik": cik, "fetched_at": NOW - timedelta(hours=hours), "url": "http://local/", "body": body,
    }  # fmt: skip


def lessened(body: bytes, *, before: str = "2100") -> bytes:
    """A few concepts of a document of company facts, as of filings before a date."""
    content = json.loads(body)
    kept = {name: content["facts"]["us-gaap"][name] for name in CONCEPTS if name in content["facts"]["us-gaap"]}
    for concept in kept.values():
        concept["units"] = {
            unit: [one for one in entries if one["filed"] < before] for unit, entries in concept["units"].items()
        }
    return json.dumps({**content, "facts": {"us-gaap": kept}}).encode()


def documents_in(shared_data: Path) -> list[Row]:
    """Lists and facts of two companies, an older issue of one company's facts, and a Data Set."""
    found = []
    for cik in CIKS.values():
        name = f"CIK{cik:010d}.json.gz"
        listing, facts = (
            gzip.decompress((shared_data / "sec" / kind / name).read_bytes())
            for kind in ("submissions", "companyfacts")
        )
        found += [a_document("submissions", cik, listing), a_document("company_facts", cik, lessened(facts))]
        found.append(a_document("company_facts", cik, lessened(facts, before="2012"), hours=24))
    data_set = (shared_data / "sec" / "fsds" / "2010q2.zip").read_bytes()
    return [*found, a_document("data_set", None, data_set)]


def land(lake: Lake, documents: list[Row]) -> None:
    for table in (DOCUMENTS_OF_FILINGS, DOCUMENTS_OF_FACTS):
        rows = [one for one in documents if (one["kind"] == "submissions") == (table is DOCUMENTS_OF_FILINGS)]
        if rows:
            lake.append(table, lake.spark.createDataFrame([tuple(row.values()) for row in rows], table.schema))


def facts_in(lake: Lake) -> pa.Table:
    rows = lake.read(FACTS).select(*FACTS_SHAPE.names).orderBy(*FACTS.key).toArrow()
    return rows.cast(FACTS_SHAPE)
