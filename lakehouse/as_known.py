"""What was known at an instant, in Spark. Each function says by whose clock.

The market's clock is `known_from`: when a reader of the source could have known it. Ours is `fetched_at`: when we had
the document. What we asked late was known all the same; what the market had, we may not have had.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.errors import TableError
from lakehouse.filings.build import bodies_of, documents_of, facts_from, filings_from
from lakehouse.filings.documents import COMPANY_FACTS, OLDER_SUBMISSIONS, SUBMISSIONS
from lakehouse.filings.reading import READ_FACTS_OUT, READ_FILINGS_OUT, read_facts, read_lists
from lakehouse.lake import Lake
from lakehouse.tables import ALL_TABLES, Table
from lakehouse.tables.filings import DATA_SET_FILINGS, FACTS
from lakehouse.views import SPARK, VIEWS, as_known_at_sql, view_name, view_sql
from lakehouse.workers import in_arrow

VERSIONED = {
    table.full_name: view for table in ALL_TABLES for view in VIEWS if view.name == f"{view_name(table)}_known"
}


def as_known_at(lake: Lake, table: Table, instant: datetime) -> DataFrame:
    """Of what a table holds in versions, those that were the newest word at an instant. By the market's clock.

    Of silver.facts one row a fact, of silver.figures one an answer, of silver.filings the newest of each form, of
    silver.opinions one an opinion, of gold.fundamentals the newest closed session of each instrument.
    """
    view = VERSIONED.get(table.full_name)
    if view is None:
        raise TableError(
            f"{table.full_name}: expected a table of versions ({', '.join(VERSIONED)}), found one that has none. "
            f"Nothing was read. Filter it by its own columns."
        )
    lake.require_there(table)
    path = lake.path(table).replace("`", "``")
    select = view_sql(view, {view_name(table): f"delta.`{path}`"}, SPARK)
    return lake.spark.sql(as_known_at_sql(f"({select})", literal(instant)))


def facts_as_had_at(lake: Lake, instant: datetime) -> DataFrame:
    """silver.facts as a build at an instant would have made it, of the documents fetched by then. By our own clock.

    silver.facts cannot tell: a fact that a newer document repeats carries that one's `fetched_at`. Bronze is read anew.
    """
    by_then = F.col("fetched_at") <= F.expr(literal(instant))
    documents = documents_of(lake).where(by_then)
    lists = documents.where(F.col("kind").isin(SUBMISSIONS, OLDER_SUBMISSIONS))
    listed = in_arrow(bodies_of(lists), read_lists, READ_FILINGS_OUT)
    facts = in_arrow(bodies_of(documents.where(F.col("kind") == COMPANY_FACTS)), read_facts, READ_FACTS_OUT)
    stated = lake.read(DATA_SET_FILINGS).where(by_then)
    ours = stated.join(documents.select("cik").distinct(), "cik", "left_semi")
    return facts_from(facts, lake.read(FACTS).limit(0), filings_from(listed, ours))


def literal(instant: datetime) -> str:
    """An instant as Spark reads it, whatever zone its session is in."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant}: expected an instant with its zone, found a time without one")
    return f"TIMESTAMP '{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC'"
