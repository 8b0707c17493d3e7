"""silver.filing_texts: the sections of fetched documents, of each filing that silver.filings lists.

A filing's rows follow from the newest content of its document and from its row in silver.filings: the order and number
of runs change nothing. What is the same as before is not read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
from pyspark.sql import Observation
from pyspark.sql import functions as F

from lakehouse.arrow_frames import arrow_schema, frame_of
from lakehouse.errors import DocumentError
from lakehouse.filings.documents import FILING_DOCUMENT, accession_of, signed
from lakehouse.filings.sections import Section, filing_sections
from lakehouse.lake import Lake
from lakehouse.tables.bronze import DOCUMENTS_OF_FILINGS
from lakehouse.tables.filings import FILING_TEXTS, FILINGS
from lakehouse.workers import in_arrow

READER = 1  # raised where the same document gives other sections than before
UNREADABLE = "unreadable"
AT_ONCE, TASKS = 64, 8

Key = tuple[int, str]  # filer and accession
Row = dict[str, Any]
FROM_FILING = ("form", "filed_date", "known_from", "known_basis")
STAMP = (*FROM_FILING, "fetched_at", "content_hash", "reader")
TEXTS = arrow_schema(FILING_TEXTS)
UNREAD = pa.schema([*(TEXTS.field(name) for name in ("cik", "accession", *STAMP)), ("body_hash", pa.string())])


@dataclass(frozen=True)
class Texts:
    """What a run did: filings whose text was read, sections written, and documents whose filing is not listed yet."""

    texts: int = 0
    sections: int = 0
    unlisted: int = 0


def build_texts(lake: Lake) -> Texts:
    """Bring the table up to what bronze and silver.filings hold, a portion of filings at a time."""
    todo, unlisted = changed_texts(lake)
    sections = sum(_build(lake, todo[at : at + AT_ONCE]) for at in range(0, len(todo), AT_ONCE))
    return Texts(len(todo), sections, unlisted)


def changed_texts(lake: Lake) -> tuple[list[Row], int]:
    """What the rows of filings ought to carry that carry something else, oldest fetch first; and what is unlisted."""
    documents = _newest_documents(lake)
    filings, stored = _by_key(lake, FILINGS, FROM_FILING), _by_key(lake, FILING_TEXTS, STAMP, "ordinal = 0")
    listed = {key: one | filings[key] for key, one in documents.items() if key in filings}
    todo = [one for key, one in listed.items() if key not in stored or any(stored[key][it] != one[it] for it in STAMP)]
    return sorted(todo, key=itemgetter("fetched_at", "body_hash")), len(documents) - len(listed)


def _newest_documents(lake: Lake) -> dict[Key, Row]:
    """Of each filing the document fetched last; bodies are not read."""
    kept = lake.read(DOCUMENTS_OF_FILINGS).where((F.col("kind") == FILING_DOCUMENT) & F.col("cik").isNotNull())
    rows = kept.select("cik", "document_id", "content_hash", "fetched_at").toArrow().to_pylist()
    found: dict[Key, Row] = {}
    for row in sorted(rows, key=itemgetter("fetched_at", "content_hash")):
        accession = accession_of(row["document_id"])
        if accession is not None:
            body_hash = row["content_hash"]
            found[row["cik"], accession] = {
                "cik": row["cik"], "accession": accession, "fetched_at": row["fetched_at"], "reader": READER,
                "content_hash": signed(body_hash), "body_hash": body_hash,
            }  # fmt: skip
    return found


def _by_key(lake: Lake, table: Any, names: Sequence[str], where: str = "true") -> dict[Key, Row]:
    rows = lake.read(table).where(where).select("cik", "accession", *names).toArrow().to_pylist()
    return {(row["cik"], row["accession"]): row for row in rows}


def _build(lake: Lake, todo: Sequence[Row]) -> int:
    """Exactly the sections of these filings, in one commit; returns how many there are now."""
    first, last = todo[0]["fetched_at"], todo[-1]["fetched_at"]
    hashes = sorted({one["body_hash"] for one in todo})
    fetched = lake.read(DOCUMENTS_OF_FILINGS).where(
        (F.col("kind") == FILING_DOCUMENT) & F.col("fetched_at").between(F.lit(first), F.lit(last))
        & F.col("content_hash").isin(hashes)
    )  # fmt: skip
    bodies = fetched.groupBy(F.col("content_hash").alias("body_hash")).agg(F.any_value("body").alias("body"))
    wanted = frame_of(lake.spark, pa.Table.from_pylist(list(todo), UNREAD))
    whole = wanted.join(bodies, "body_hash").repartition(TASKS)
    rows = in_arrow(whole, read_texts, FILING_TEXTS.schema)
    seen = Observation("texts")
    counted = rows.select(*FILING_TEXTS.column_names).observe(seen, F.count(F.lit(1)).alias("sections"))
    writer = counted.write.format("delta").mode("overwrite")
    writer.option("replaceWhere", only(todo)).save(lake.path(FILING_TEXTS))
    return int(seen.get["sections"])


def only(todo: Iterable[Mapping[str, Any]]) -> str:
    """The condition that holds for rows of these filings and for no others."""
    keys = sorted((one["cik"], one["accession"]) for one in todo)
    filers = (
        f"(cik = {cik} AND accession IN ({', '.join(repr(accession) for _, accession in mine)}))"
        for cik, mine in groupby(keys, key=itemgetter(0))
    )
    return " OR ".join(filers)


def read_texts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Documents with what their filings are, to rows of the table, one document at a time."""
    for batch in batches:
        for at in range(batch.num_rows):
            (document,) = batch.slice(at, 1).to_pylist()
            yield pa.RecordBatch.from_pylist(rows_of(document), TEXTS)


def rows_of(document: Row) -> list[Row]:
    """The rows of one document; one that is no text is a row without text whose title says what it is."""
    try:
        sections = filing_sections(document["body"], document["form"])
    except DocumentError as error:
        sections = [Section(UNREADABLE, str(error), "")]
    same = {name: document[name] for name in ("cik", "accession", *STAMP)}
    return [
        same | {"ordinal": at, "section": one.name, "title": one.title, "text": one.text, "char_count": len(one.text)}
        for at, one in enumerate(sections)
    ]
