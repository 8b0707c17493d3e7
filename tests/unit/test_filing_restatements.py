"""The real restatements: every one of them at each instant it was known, against pandas, and in SQL."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lakehouse.filings.companyfacts import facts_of
from lakehouse.filings.shapes import FACT_KEY, FACTS
from lakehouse.filings.versions import as_known_at, versions_of
from lakehouse.views import as_known_at_sql
from tests.restatements import (
    AT,
    RESTATED,
    Answers,
    newest_by_pandas,
    real_documents,
    real_filings,
    restated_by_pandas,
)


@pytest.fixture(scope="module")
def documents(shared_data: Path) -> dict[str, bytes]:
    return real_documents(shared_data)


@pytest.fixture(scope="module")
def filings(shared_data: Path) -> pa.Table:
    return real_filings(shared_data)


@pytest.fixture(scope="module")
def facts(documents: dict[str, bytes], filings: pa.Table) -> dict[str, pa.Table]:
    """Every version of every fact, by CIK."""
    return {cik: versions_of(facts_of(document, fetched_at=AT).rows, filings) for cik, document in documents.items()}


def with_oracle_key(facts: pa.Table) -> pa.Table:
    names = ("concept", "unit", "period_start", "period_end")
    texts = [pc.fill_null(facts[name].cast(pa.string()), "") for name in names]
    return facts.append_column("key", pc.binary_join_element_wise(*texts, "|"))


def newest(facts: pa.Table, instant: datetime) -> Answers:
    known = as_known_at(facts, instant)
    columns = (known[name].to_pylist() for name in ("key", "value", "accession"))
    return {key: (value, accession) for key, value, accession in zip(*columns, strict=True)}


@pytest.mark.parametrize("cik", RESTATED)
def test_every_restated_fact_answers_rightly_at_each_of_its_known_instants(
    cik: str, documents: dict[str, bytes], filings: pa.Table, facts: dict[str, pa.Table]
) -> None:
    oracle = restated_by_pandas(documents[cik], filings)
    keyed = with_oracle_key(facts[cik])
    restated = keyed.filter(pc.is_in(keyed["key"], pa.array(oracle["key"].unique())))

    assert oracle["key"].nunique() == RESTATED[cik]
    before: Answers = {}
    for instant in sorted(oracle["known"].unique()):
        answers = newest_by_pandas(oracle, instant)
        assert newest(restated, instant.to_pydatetime() - datetime.resolution) == before
        assert newest(restated, instant.to_pydatetime()) == answers
        before = answers


@pytest.mark.parametrize("cik", RESTATED)
def test_sql_gives_the_same_answer(cik: str, facts: dict[str, pa.Table]) -> None:
    instants = sorted(set(facts[cik]["known_from"].to_pylist()))
    by_key = [(name, "ascending") for name in FACT_KEY]
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.register("facts", facts[cik])
        for instant in instants[:: len(instants) // 4]:
            found = engine.sql(as_known_at_sql("facts", f"TIMESTAMPTZ '{instant.isoformat()}'")).arrow().read_all()

            assert found.sort_by(by_key).cast(FACTS).equals(as_known_at(facts[cik], instant).sort_by(by_key))


def test_apple_earned_629_and_then_908_a_share(facts: dict[str, pa.Table]) -> None:
    apple = facts["0000320193"]
    fiscal_2009 = pc.and_(pc.equal(apple["period_end"], date(2009, 9, 26)), pc.equal(apple["days"], 364))
    earned = apple.filter(pc.and_(pc.equal(apple["concept"], "us-gaap:EarningsPerShareDiluted"), fiscal_2009))

    def known(year: int, month: int, day: int) -> list[float]:
        values: list[float] = as_known_at(earned, datetime(year, month, day, 12, tzinfo=UTC))["value"].to_pylist()
        return values

    assert (known(2009, 10, 26), known(2009, 10, 28), known(2010, 1, 26)) == ([], [6.29], [9.08])
    assert earned["known_from"].to_pylist()[:2] == [
        datetime(2009, 10, 28, 4, tzinfo=UTC), datetime(2010, 1, 26, 5, tzinfo=UTC)
    ]  # fmt: skip


def test_a_fact_is_known_when_its_filing_is_and_without_it_from_the_end_of_its_date(
    facts: dict[str, pa.Table],
) -> None:
    columns = (facts["0000320193"][name].to_pylist() for name in ("accession", "known_from", "known_basis"))
    of_filing = {accession: known for accession, *known in zip(*columns, strict=True)}

    # the Data Set of 2010q2 states 16:39 Eastern; the list begins in 2015: the 10-Q of January 2026 came at 06:01:32
    assert of_filing["0001193125-10-088957"] == [datetime(2010, 4, 21, 20, 40, tzinfo=UTC), "datasets"]
    assert of_filing["0000320193-26-000006"] == [datetime(2026, 1, 30, 11, 1, 32, tzinfo=UTC), "hours"]
    assert of_filing["0001193125-09-214859"] == [datetime(2009, 10, 28, 4, tzinfo=UTC), "filed_date_only"]
