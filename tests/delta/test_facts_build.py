"""Documents of the SEC in bronze become silver.filings and silver.facts, whatever way they come in."""

from __future__ import annotations

import json
import random
from datetime import date, datetime
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

from lakehouse.filings.acceptance import settled
from lakehouse.filings.build import build, changed_companies
from lakehouse.filings.companyfacts import facts_of
from lakehouse.filings.datasets import data_set_of, filings_of_data_set
from lakehouse.filings.submissions import filings_of
from lakehouse.filings.versions import as_known_at, versions_of
from lakehouse.lake import Lake
from lakehouse.tables import Table
from lakehouse.tables.filings import COMPANIES, DATA_SET_FILINGS, DATA_SET_VALUES, FACTS, FILINGS
from lakehouse.views import as_known_at_sql
from tests.faults.pipeline import Crash
from tests.sec_documents import CIKS, EPS, NOW, Row, a_document, documents_in, facts_in, land

pytestmark = pytest.mark.itest


@pytest.fixture(scope="module")
def documents(shared_data: Path) -> list[Row]:
    return documents_in(shared_data)


def expected(documents: list[Row]) -> pa.Table:
    """The pure functions over all documents at once."""
    listed = [
        filings_of(one["body"], cik=one["cik"], fetched_at=one["fetched_at"]).rows
        for one in documents if one["kind"] == "submissions"
    ]  # fmt: skip
    sets = [
        data_set_of(BytesIO(one["body"]), "set", fetched_at=one["fetched_at"])
        for one in documents if one["kind"] == "data_set"
    ]  # fmt: skip
    stated = [filings_of_data_set(one.submissions) for one in sets]
    read = [
        facts_of(one["body"], fetched_at=one["fetched_at"]).rows for one in documents if one["kind"] == "company_facts"
    ]
    return versions_of(pa.concat_tables(read), settled(pa.concat_tables([*listed, *stated])))


def in_order(rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in FACTS.key]).combine_chunks()


def test_silver_holds_what_the_pure_functions_make_of_all_documents(lake: Lake, documents: list[Row]) -> None:
    land(lake, documents)

    told = build(lake, now=NOW)

    assert in_order(facts_in(lake)).equals(in_order(expected(documents)))
    assert (told.companies, told.data_sets) == (2, 1)
    assert lake.read(DATA_SET_VALUES).count() > 10_000
    companies = {row["cik"]: row for row in lake.read(COMPANIES).collect()}
    assert companies.keys() == set(CIKS.values())
    assert "AAPL" in companies[CIKS["AAPL"]]["tickers"]
    assert changed_companies(lake) == []
    assert build(lake, now=NOW).companies == 0


def test_documents_in_any_order_one_at_a_time_and_twice_give_the_same(lake: Lake, documents: list[Row]) -> None:
    shuffled = list(documents)
    random.Random(5).shuffle(shuffled)

    for at, one in enumerate(shuffled):
        land(lake, [one] if at % 2 else [one, one])
        build(lake, now=NOW)

    assert in_order(facts_in(lake)).equals(in_order(expected(documents)))


def test_earnings_of_apple_are_known_as_they_were_filed(lake: Lake, documents: list[Row]) -> None:
    apple = [one for one in documents if one["cik"] in (None, CIKS["AAPL"])]
    land(lake, apple)
    build(lake, now=NOW)
    lake.read(FACTS).createOrReplaceTempView("facts")

    def known(day: str) -> list[float]:
        question = as_known_at_sql("facts", f"TIMESTAMP '{day} 12:00:00 UTC'")
        of_2009 = f"concept = '{EPS}' AND period_end = DATE '2009-09-26' AND days > 300"
        rows = lake.spark.sql(f"SELECT value FROM ({question}) WHERE {of_2009}").collect()
        instant = datetime.fromisoformat(f"{day}T12:00:00+00:00")
        pure = as_known_at(facts_in(lake), instant).filter(
            (pa.compute.field("concept") == EPS) & (pa.compute.field("days") > 300)
            & (pa.compute.field("period_end") == date(2009, 9, 26))
        )  # fmt: skip
        assert [row[0] for row in rows] == pure["value"].to_pylist()
        return [row[0] for row in rows]

    assert known("2009-10-26") == []
    assert known("2009-10-28") == [6.29]
    assert known("2010-01-26") == [9.08]


def test_a_document_that_does_not_read_is_told_of_and_stops_nobody(lake: Lake, documents: list[Row]) -> None:
    nvidia = [one for one in documents if one["cik"] == CIKS["NVDA"]]
    land(lake, [*nvidia, a_document("company_facts", 7, b'{"cik": 7, "facts": ')])

    told = build(lake, now=NOW)

    assert told.refused == 1
    broken = lake.read(COMPANIES).where("cik = 7").first()
    assert broken is not None
    assert json.loads(broken["refusals"])[0]["reason"] == "document_unreadable"
    assert lake.read(FACTS).where(f"cik = {CIKS['NVDA']}").count() > 0
    assert lake.read(FILINGS).where("cik = 7").count() == 0


def test_a_data_set_is_taken_in_once_wherever_a_run_broke_off_and_a_broken_one_stops_nobody(
    lake: Lake, documents: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = next(one for one in documents if one["kind"] == "data_set")
    land(lake, [whole, whole, a_document("data_set", None, whole["body"][:1000])])
    append = Lake.append

    def die_before_filings(self: Lake, table: Table, rows: DataFrame) -> None:
        if table is DATA_SET_FILINGS:
            raise Crash("between the tables of a set")
        append(self, table, rows)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Lake, "append", die_before_filings)
        build(lake, now=NOW)
    values = lake.read(DATA_SET_VALUES).count()

    told = build(lake, now=NOW)

    assert told.data_sets == 1
    assert len(told.unreadable) == 1
    assert "Fetch it again" in told.unreadable[0]
    assert lake.read(DATA_SET_VALUES).count() == values > 10_000
    filings = lake.read(DATA_SET_FILINGS)
    assert filings.count() == filings.select("accession").distinct().count() > 100
    assert build(lake, now=NOW).data_sets == 0
