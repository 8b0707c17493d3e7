"""silver.filings and silver.facts of the companies whose documents have changed, each company whole.

A company's rows are a function of the set of its documents: their order, number and repetition change nothing. What was
read is written into silver.companies last, so a run that broke off is done again by the next one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.arrow_frames import frame_of
from lakehouse.errors import DocumentError
from lakehouse.filings.datasets import data_set_of
from lakehouse.filings.documents import (
    COMPANY_FACTS,
    DATA_SET,
    HASH_DIGITS,
    OLDER_SUBMISSIONS,
    SUBMISSIONS,
    signed,
)
from lakehouse.filings.reading import (
    READ_FACTS_OUT,
    READ_FILINGS_OUT,
    REFUSAL,
    fact_versions,
    read_facts,
    read_lists,
    settled_filings,
)
from lakehouse.filings.shapes import FILINGS as FILINGS_SHAPE
from lakehouse.filings.shapes import READ_FACTS, READ_FILINGS
from lakehouse.filings.submissions import Company, company_of
from lakehouse.lake import Lake
from lakehouse.tables import Table
from lakehouse.tables.bronze import DOCUMENTS_OF_FACTS, DOCUMENTS_OF_FILINGS
from lakehouse.tables.filings import COMPANIES, DATA_SET_FILINGS, DATA_SET_VALUES, FACTS, FILINGS
from lakehouse.workers import groups_in_arrow, in_arrow, pairs_in_arrow

COMPANIES_AT_ONCE, TASKS, TOLD_REFUSALS = 200, 8, 20


@dataclass
class Built:
    """What a run did. `unreadable` says of each Data Set that could not be taken in why."""

    companies: int = 0
    filings: int = 0
    facts: int = 0
    refused: int = 0
    data_sets: int = 0
    unreadable: tuple[str, ...] = ()


def build(lake: Lake, *, now: datetime) -> Built:
    """Bring silver up to what bronze holds."""
    taken, unreadable = take_in_data_sets(lake)
    told = Built(data_sets=taken, unreadable=tuple(unreadable))
    ciks = changed_companies(lake)
    for first in range(0, len(ciks), COMPANIES_AT_ONCE):
        _build_companies(lake, ciks[first : first + COMPANIES_AT_ONCE], now, told)
    return told


def take_in_data_sets(lake: Lake) -> tuple[int, list[str]]:
    """Append the Data Sets that are not in silver yet, one after the other: each is a hundred megabytes.

    Returns how many, and what is wrong with those that do not read; these are tried again by each run. A set's filings
    come last: where only its values are there, a run broke off between the two.
    """
    stored = lake.read(DOCUMENTS_OF_FACTS).where(F.col("kind") == DATA_SET)
    held, begun = (_sets_in(lake, table) for table in (DATA_SET_FILINGS, DATA_SET_VALUES))
    taken, unreadable = 0, []
    for row in stored.select("document_id", "content_hash", "fetched_at").orderBy("fetched_at").collect():
        digest = signed(row["content_hash"])
        if digest in held:
            continue
        body = stored.where(F.col("content_hash") == row["content_hash"]).select("body").take(1)[0][0]
        try:
            found = data_set_of(BytesIO(body), row["document_id"], fetched_at=row["fetched_at"])
        except DocumentError as error:
            unreadable.append(str(error))
            continue
        if digest not in begun:
            hashes = pa.repeat(pa.scalar(digest, pa.int64()), found.values.num_rows)
            values = found.values.append_column("content_hash", hashes)
            lake.append(DATA_SET_VALUES, frame_of(lake.spark, values, DATA_SET_VALUES.schema))
        lake.append(DATA_SET_FILINGS, frame_of(lake.spark, found.submissions, DATA_SET_FILINGS.schema))
        held.add(digest)
        taken += 1
    return taken, unreadable


def _sets_in(lake: Lake, table: Table) -> set[int]:
    return {row[0] for row in lake.read(table).select("content_hash").distinct().collect()}


def changed_companies(lake: Lake) -> list[int]:
    """Companies of which bronze holds other documents than silver was made from."""
    held, read = _documents_held(lake), lake.read(COMPANIES).select("cik", "documents")
    changed = held.join(read.withColumnRenamed("documents", "read"), "cik", "left").where(
        F.col("read").isNull() | (F.col("read") != F.col("documents"))
    )
    return sorted(row[0] for row in changed.select("cik").collect())


def _documents_held(lake: Lake) -> DataFrame:
    """Of each company with documents of its own: the hashes of all that says something about it, in order."""
    own = documents_of(lake).select("cik", F.substring("content_hash", 1, HASH_DIGITS).alias("hash"))
    listed = lake.read(DATA_SET_FILINGS).select(
        "cik", F.lpad(F.lower(F.hex("content_hash")), HASH_DIGITS, "0").alias("hash")
    )
    every = own.unionByName(listed.join(own.select("cik").distinct(), "cik", "left_semi"))
    return every.groupBy("cik").agg(F.concat_ws(",", F.array_sort(F.collect_set("hash"))).alias("documents"))


def documents_of(lake: Lake, *kinds: str) -> DataFrame:
    """Documents about single companies, of some kinds or of all."""
    wanted = kinds or (SUBMISSIONS, OLDER_SUBMISSIONS, COMPANY_FACTS)
    stored = lake.read(DOCUMENTS_OF_FILINGS).unionByName(lake.read(DOCUMENTS_OF_FACTS))
    return stored.where(F.col("kind").isin(*wanted) & F.col("cik").isNotNull())


def _build_companies(lake: Lake, ciks: Sequence[int], now: datetime, told: Built) -> None:
    ours = F.col("cik").isin(list(ciks))
    documents = [row.asDict() for row in _documents_held(lake).where(ours).collect()]
    lists = in_arrow(
        bodies_of(documents_of(lake, SUBMISSIONS, OLDER_SUBMISSIONS).where(ours)), read_lists, READ_FILINGS_OUT
    )
    unread = F.expr(f"NOT contains(coalesce(documents, ''), substring(content_hash, 1, {HASH_DIGITS}))")
    before = lake.read(COMPANIES).select("cik", "documents")
    new = documents_of(lake, COMPANY_FACTS).where(ours).join(before, "cik", "left").where(unread)
    facts = in_arrow(bodies_of(new), read_facts, READ_FACTS_OUT)
    lists, facts = lists.persist(), facts.persist()
    try:
        stated = lake.read(DATA_SET_FILINGS).where(ours)
        _replace(lake, FILINGS, ciks, filings_from(lists, stated))
        filings = lake.read(FILINGS).where(ours)
        _replace(lake, FACTS, ciks, facts_from(facts, lake.read(FACTS).where(ours), filings))
        refused = _refusals(lists.unionByName(facts, allowMissingColumns=True))
    finally:
        lists.unpersist()
        facts.unpersist()
    about = _about(lake, ours)
    rows = [_company_row(one, about.get(one["cik"]), refused.get(one["cik"], []), now) for one in documents]
    newest = lake.spark.createDataFrame(rows, COMPANIES.schema)
    merge = lake.delta(COMPANIES).alias("old").merge(newest.alias("new"), "old.cik = new.cik")
    merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
    told.companies += len(rows)
    told.filings += lake.read(FILINGS).where(ours).count()
    told.facts += lake.read(FACTS).where(ours).count()
    told.refused += sum(map(len, refused.values()))


def bodies_of(documents: DataFrame) -> DataFrame:
    """What is read of documents, spread over tasks."""
    return documents.select("cik", "fetched_at", "body").repartition(TASKS)


def filings_from(lists: DataFrame, stated: DataFrame) -> DataFrame:
    """Filings with the instants that evidence settles, a company at a time."""
    columns = [
        F.col(name) if name in stated.columns else F.lit(None).cast(FILINGS.schema[name].dataType).alias(name)
        for name in READ_FILINGS.names if name != "is_amendment"
    ]  # fmt: skip
    from_sets = stated.select(*columns, F.col("form").endswith("/A").alias("is_amendment"))
    every = _rows(lists, READ_FILINGS).unionByName(from_sets)
    schema = StructType([FILINGS.schema[name] for name in FILINGS_SHAPE.names])
    return groups_in_arrow(every, ["cik"], settled_filings, schema)


def facts_from(read: DataFrame, stored: DataFrame, filings: DataFrame) -> DataFrame:
    """Every version of every fact: what was read now, and what silver holds already."""
    every = _rows(read, READ_FACTS).unionByName(stored.select(*READ_FACTS.names))
    return pairs_in_arrow(every, filings.select(*FILINGS_SHAPE.names), ["cik"], fact_versions, FACTS.schema)


def _rows(read: DataFrame, shape: pa.Schema) -> DataFrame:
    return read.where(F.col(REFUSAL).isNull()).select(*shape.names)


def _refusals(read: DataFrame) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for row in read.where(F.col(REFUSAL).isNotNull()).select("cik", REFUSAL).collect():
        found.setdefault(row["cik"], []).append(row[REFUSAL])
    return {cik: sorted(texts) for cik, texts in found.items()}


def _about(lake: Lake, ours: Column) -> dict[int, Company]:
    """What the newest list of each company says about it."""
    pages = documents_of(lake, SUBMISSIONS).where(ours).select("cik", "fetched_at", "content_hash", "body")
    newest = pages.groupBy("cik").agg(F.max_by("body", F.struct("fetched_at", "content_hash")).alias("body"))
    found = {}
    for row in newest.collect():
        try:
            found[row["cik"]] = company_of(bytes(row["body"]))
        except DocumentError:
            continue  # it is among the refusals
    return found


def _company_row(
    documents: dict[str, Any], about: Company | None, refused: Sequence[str], now: datetime
) -> dict[str, Any]:
    names = [{"name": one.name, "first": one.first, "last": one.last} for one in about.former_names] if about else []
    return {
        **documents,
        "name": about and about.name, "sic": about and about.sic,
        "tickers": ",".join(about.tickers) if about else None, "fiscal_year_end": about and about.fiscal_year_end,
        "former_names": json.dumps(names) if about else None, "refused": len(refused),
        "refusals": f"[{', '.join(refused[:TOLD_REFUSALS])}]", "built_at": now,
    }  # fmt: skip


def _replace(lake: Lake, table: Table, ciks: Sequence[int], rows: DataFrame) -> None:
    """Exactly these rows for exactly these companies, in one commit."""
    of_these = f"cik IN ({', '.join(map(str, ciks))})"
    writer = rows.select(*table.column_names).write.format("delta").mode("overwrite")
    writer.option("replaceWhere", of_these).save(lake.path(table))
