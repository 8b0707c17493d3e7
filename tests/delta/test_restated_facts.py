"""Every restated fact of three real companies at each instant at which one became known: Spark against pandas."""

from __future__ import annotations

import shutil
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession

from lakehouse.arrow_frames import frame_of
from lakehouse.as_known import as_known_at, facts_as_had_at
from lakehouse.filings.acceptance import settled
from lakehouse.filings.companyfacts import facts_of
from lakehouse.filings.shapes import FACTS as FACTS_SHAPE
from lakehouse.filings.shapes import FILINGS as FILINGS_SHAPE
from lakehouse.filings.submissions import filings_of
from lakehouse.filings.versions import versions_of
from lakehouse.lake import Lake
from lakehouse.tables.filings import FACTS
from lakehouse.views import as_known_at_sql, create_views
from tests.restatements import (
    AT,
    RESTATED,
    Answers,
    newest_by_pandas,
    real_documents,
    real_filings,
    restated_by_pandas,
)
from tests.sec_documents import CIKS, NOW, Row, documents_in, land

pytestmark = pytest.mark.itest

FACT_NAMES = ("concept", "unit", "period_start", "period_end")
KEY = "concat_ws('|', concept, unit, coalesce(string(period_start), ''), string(period_end))"
BEFORE = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def oracles(shared_data: Path) -> dict[int, pd.DataFrame]:
    """Of each company the entries about restated facts, in the order in which they became known."""
    filings = real_filings(shared_data)
    documents = real_documents(shared_data)
    return {int(cik): restated_by_pandas(documents[cik], filings) for cik in RESTATED}


@pytest.fixture(scope="module")
def restated(
    spark: SparkSession, empty_lake: Path, shared_data: Path, oracles: dict[int, pd.DataFrame],
    tmp_path_factory: pytest.TempPathFactory,
) -> Lake:  # fmt: skip
    """A lake with the versions of all restated facts."""
    lake = Lake(spark, str(shutil.copytree(empty_lake, tmp_path_factory.mktemp("restated") / "lake")))
    filings, rows = real_filings(shared_data), []
    for cik, document in real_documents(shared_data).items():
        versions = versions_of(facts_of(document, fetched_at=AT).rows, filings)
        names = [pc.fill_null(versions[name].cast(pa.string()), "") for name in FACT_NAMES]
        keys = pc.binary_join_element_wise(*names, "|")
        rows.append(versions.filter(pc.is_in(keys, pa.array(oracles[int(cik)]["key"].unique()))))
    lake.append(FACTS, frame_of(spark, pa.concat_tables(rows).select(list(FACTS.column_names)), FACTS.schema))
    create_views(lake)
    return lake


def test_every_restated_fact_answers_rightly_at_each_instant_and_just_before(
    restated: Lake, oracles: dict[int, pd.DataFrame]
) -> None:
    spark = restated.spark
    asked = [
        (cik, instant.to_pydatetime() - before)
        for cik, oracle in oracles.items() for instant in oracle["known"].unique() for before in (BEFORE, 0 * BEFORE)
    ]  # fmt: skip
    instants = spark.createDataFrame(asked, "company bigint, instant timestamp")
    instants.createOrReplaceTempView("asked")

    question = as_known_at_sql("silver_facts_known JOIN asked ON company = cik", "instant")
    rows = spark.sql(f"SELECT cik, unix_micros(instant) AS at_us, {KEY} AS key, value, accession FROM ({question})")

    found: dict[tuple[int, int], Answers] = defaultdict(dict)
    for cik, at_us, key, value, accession in zip(*rows.toArrow().to_pydict().values(), strict=True):
        assert key not in found[cik, at_us]
        found[cik, at_us][key] = (value, accession)
    assert sum(map(len, found.values())) > 50_000
    for cik, instant in asked:
        at_us = pd.Timestamp(instant).value // 1000
        assert found[cik, at_us] == newest_by_pandas(oracles[cik], pd.Timestamp(instant))


def test_the_function_of_spark_says_the_same(restated: Lake, oracles: dict[int, pd.DataFrame]) -> None:
    for instant in (datetime(2010, 1, 26, 12, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)):
        rows = as_known_at(restated, FACTS, instant).selectExpr("cik", f"{KEY} AS key", "value", "accession")

        found: dict[int, Answers] = {cik: {} for cik in oracles}
        for cik, key, value, accession in rows.collect():
            found[cik][key] = (value, accession)
        assert found == {cik: newest_by_pandas(one, pd.Timestamp(instant)) for cik, one in oracles.items()}


def test_by_our_own_clock_facts_are_those_of_the_documents_fetched_by_then(lake: Lake, shared_data: Path) -> None:
    documents = [one for one in documents_in(shared_data) if one["cik"] == CIKS["AAPL"]]
    land(lake, documents)

    early, late = (in_order(facts_as_had_at(lake, at).toArrow()) for at in (NOW - timedelta(hours=1), NOW))

    assert late.equals(in_order(made_of(documents)))
    assert early.equals(in_order(made_of([one for one in documents if one["fetched_at"] < NOW])))
    assert 0 < early.num_rows < late.num_rows
    assert set(early["known_basis"].to_pylist()) == {"filed_date_only"}  # the list of filings came later


def made_of(documents: list[Row]) -> pa.Table:
    """The pure functions over some documents at once."""
    read = [
        facts_of(one["body"], fetched_at=one["fetched_at"]).rows for one in documents if one["kind"] == "company_facts"
    ]
    lists = [one for one in documents if one["kind"] == "submissions"]
    listed = [filings_of(one["body"], cik=one["cik"], fetched_at=one["fetched_at"]).rows for one in lists]
    filings = settled(pa.concat_tables(listed)) if listed else FILINGS_SHAPE.empty_table()
    return versions_of(pa.concat_tables(read), filings)


def in_order(rows: pa.Table) -> pa.Table:
    columns = rows.select(list(FACTS.column_names)).cast(FACTS_SHAPE.empty_table().select(FACTS.column_names).schema)
    return columns.sort_by([(name, "ascending") for name in FACTS.key]).combine_chunks()
