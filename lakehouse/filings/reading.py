"""What Spark's workers do with documents of the SEC: read them, settle a company's filings, number its versions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime

import pyarrow as pa

from lakehouse.errors import DocumentError
from lakehouse.filings.acceptance import settled
from lakehouse.filings.companyfacts import facts_of
from lakehouse.filings.documents import Refusal
from lakehouse.filings.shapes import FILINGS as FILINGS_SHAPE
from lakehouse.filings.shapes import READ_FACTS, READ_FILINGS
from lakehouse.filings.submissions import filings_of
from lakehouse.filings.versions import versions_of
from lakehouse.tables import Table
from lakehouse.tables.filings import FACTS, FILINGS

REFUSAL = "refusal"


def _with_refusal(table: Table, shape: pa.Schema) -> str:
    types = {column.name: column.type for column in table.columns}
    return ", ".join([*(f"{name} {types[name]}" for name in shape.names), f"{REFUSAL} string"])


READ_FILINGS_OUT, READ_FACTS_OUT = _with_refusal(FILINGS, READ_FILINGS), _with_refusal(FACTS, READ_FACTS)


def read_lists(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Lists of filings to READ_FILINGS, with what became no row."""
    for cik, fetched_at, body in _each(batches):
        try:
            found = filings_of(body, cik=cik, fetched_at=fetched_at)
        except DocumentError as error:
            yield from _with_refusals(READ_FILINGS.empty_table(), [_unreadable(error)], cik)
        else:
            yield from _with_refusals(found.rows, found.refusals, cik)


def read_facts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Documents of company facts to READ_FACTS, with what became no row."""
    for cik, fetched_at, body in _each(batches):
        try:
            found = facts_of(body, fetched_at=fetched_at)
        except DocumentError as error:
            yield from _with_refusals(READ_FACTS.empty_table(), [_unreadable(error)], cik)
        else:
            yield from _with_refusals(found.rows, found.refusals, cik)


def _each(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, datetime, bytes]]:
    for batch in batches:
        for at in range(batch.num_rows):
            yield batch["cik"][at].as_py(), batch["fetched_at"][at].as_py(), batch["body"][at].as_py()


def _with_refusals(rows: pa.Table, refusals: Sequence[Refusal], cik: int) -> Iterator[pa.RecordBatch]:
    """Rows, then one row for each refusal, which has only the company and its text."""
    told = [json.dumps(asdict(one), ensure_ascii=False) for one in refusals]
    empty = {field.name: pa.nulls(len(told), field.type) for field in rows.schema}
    refused = pa.table(
        empty | {"cik": pa.repeat(pa.scalar(cik, pa.int64()), len(told)), REFUSAL: pa.array(told, pa.string())}
    )
    good = rows.append_column(REFUSAL, pa.nulls(rows.num_rows, pa.string()))
    yield from good.to_batches()
    yield from refused.to_batches()


def _unreadable(error: DocumentError) -> Refusal:
    return Refusal("document_unreadable", "", str(error))


def settled_filings(group: pa.Table) -> pa.Table:
    """The filings of one company with the instants they were known from."""
    return settled(group.select(READ_FILINGS.names).cast(READ_FILINGS))


def fact_versions(facts: pa.Table, filings: pa.Table) -> pa.Table:
    """The facts of one company, version by version."""
    rows = facts.select(READ_FACTS.names).cast(READ_FACTS)
    return versions_of(rows, filings.select(FILINGS_SHAPE.names).cast(FILINGS_SHAPE)).select(list(FACTS.column_names))
