"""What was known at an instant: Spark's function, views in Spark and in DuckDB over Delta, and plain Python agree."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.as_known import as_known_at
from lakehouse.errors import TableError
from lakehouse.fundamentals.measures import MEASURES
from lakehouse.lake import Lake
from lakehouse.reference.load import reference_frame
from lakehouse.tables import ALL_TABLES, Table
from lakehouse.tables.filings import FACTS, FILINGS
from lakehouse.tables.fundamentals import FIGURES, FUNDAMENTALS
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import INSTRUMENTS, OPINIONS, SESSIONS
from lakehouse.views import VIEWS, as_known_at_sql, create_views, duckdb_views, view_name
from tests.faults.oracle import differences
from tests.known_rows import DERIVED, FILED, MEASURED, SAID, STATED, TRADED, at, known_rows, listed
from tests.view_rows import around_christmas

pytestmark = pytest.mark.itest

Row = dict[str, Any]
CLOCK = at(28)
NEW = [view.name for view in VIEWS if view.name.endswith("_known") or "_with_" in view.name]
INSTANTS = [at(day, hour) + off for day in (1, 2, 9, 10, 21, 22, 23, 24) for hour in (20, 21)
            for off in (timedelta(0), -timedelta(microseconds=1))]  # fmt: skip
VERSIONED: dict[str, tuple[list[Row], Callable[[Row], tuple[Any, ...]], str, str]] = {
    FACTS.full_name: (STATED, lambda row: (row["concept"],), "known_from", "accession"),
    FILINGS.full_name: (FILED, lambda row: (row["form"],), "known_from", "accession"),
    FIGURES.full_name: (DERIVED, lambda row: (row["name"],), "known_from", "name"),
    OPINIONS.full_name: (SAID, lambda row: (row["kind"], row["period"], row["measure"]), "known_from", "opinion_id"),
    FUNDAMENTALS.full_name: (MEASURED, lambda row: (row["instrument_id"],), "as_of", "session_date"),
}


@pytest.fixture(scope="module")
def known(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """X-1, its filings and what follows, bars around them, and all views over them in Spark."""
    lake = Lake(spark, str(shutil.copytree(empty_lake, tmp_path_factory.mktemp("known") / "lake")))
    market = ((BARS, TRADED), (INSTRUMENTS, [listed()]), (SESSIONS, around_christmas()))
    for table, rows in (*known_rows(), *market):
        lake.append(table, reference_frame(spark, table, rows))
    create_views(lake, now=CLOCK)
    return lake


@pytest.fixture(scope="module")
def duck(known: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same tables in DuckDB, as delta-rs says they are, and all views over them."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        for table in ALL_TABLES:
            db.register(view_name(table), DeltaTable(known.path(table)).to_pyarrow_dataset())
        for name, select in duckdb_views(now=f"TIMESTAMPTZ '{CLOCK.isoformat()}'").items():
            db.execute(f"CREATE VIEW {name} AS {select}")
        yield db


def newest(table: Table, instant: datetime) -> list[tuple[Any, ...]]:
    """By the definition: of each thing the row that became known last by an instant, of two that of the higher tie."""
    rows, of, when, tie = VERSIONED[table.full_name]
    found: dict[tuple[Any, ...], Row] = {}
    for row in sorted((one for one in rows if one[when] <= instant), key=lambda one: (one[when], one[tie])):
        found[of(row)] = row
    return sorted(tuple(row[name] for name in table.key) for row in found.values())


@pytest.mark.parametrize("table", [FACTS, FILINGS, FIGURES, OPINIONS, FUNDAMENTALS], ids=lambda table: table.full_name)
def test_the_newest_word_at_every_instant_is_what_sorting_finds(
    known: Lake, duck: duckdb.DuckDBPyConnection, table: Table
) -> None:
    key = ", ".join(table.key)
    for instant in INSTANTS:
        question = as_known_at_sql(f"{view_name(table)}_known", f"TIMESTAMPTZ '{instant.isoformat()}'")
        in_duckdb = duck.sql(f"SELECT {key} FROM ({question})").fetchall()

        assert sorted(in_duckdb) == newest(table, instant)
    for instant in INSTANTS[::7]:
        in_spark = as_known_at(known, table, instant).select(*table.key).toArrow().to_pylist()

        assert sorted(tuple(row.values()) for row in in_spark) == newest(table, instant)


def test_a_table_without_versions_is_refused(known: Lake) -> None:
    with pytest.raises(
        TableError, match=r"silver.sessions: expected a table of versions \(silver.opinions, silver.filings"
    ):
        as_known_at(known, SESSIONS, at(9))
    with pytest.raises(ValueError, match="expected an instant with its zone"):
        as_known_at(known, FACTS, datetime(2015, 12, 9))  # noqa: DTZ001


@pytest.mark.parametrize("name", [*NEW, "gold_bars_filled", "gold_bars_final"])
def test_a_view_gives_the_rows_in_duckdb_that_it_gives_in_spark(
    known: Lake, duck: duckdb.DuckDBPyConnection, name: str
) -> None:
    expected = known.spark.table(name).toArrow()

    read = duck.sql(f"SELECT * FROM {name}").to_arrow_table()

    assert expected.num_rows > 0
    assert len(set(expected.column_names)) == len(expected.column_names)
    assert read.column_names == expected.column_names
    assert differences(expected, read) == []


def test_consensus_is_that_of_the_newest_month_and_an_older_one_told_anew_changes_nothing(known: Lake) -> None:
    rows = known.spark.table("silver_consensus_known").orderBy("known_from").toArrow().to_pylist()

    assert [(row["period"], row["consensus"], row["known_from"], row["known_to"]) for row in rows] == [
        (date(2015, 11, 1), 3.5, at(1), at(9)), (date(2015, 12, 1), 31 / 7, at(9), at(23)),
        (date(2015, 12, 1), None, at(23), None),
    ]  # fmt: skip


def test_a_bar_meets_what_was_known_when_it_ended(known: Lake) -> None:
    measures = known.spark.table("gold_bars_with_fundamentals").where("instrument_id = 'X-1'").orderBy("bar_end")
    filings = known.spark.table("gold_bars_with_filings").orderBy("bar_end").collect()

    found = [(row["bar_end"].replace(tzinfo=UTC), row["fundamentals_as_of"], row["pe"]) for row in measures.collect()]
    assert found == [
        (at(8), None, None), (at(9), known_at(9), 20.0), (at(10, 15) + timedelta(minutes=1), known_at(9), 20.0),
        (at(10) + timedelta(minutes=1), known_at(10), None), (at(22), known_at(10), None), (at(23), known_at(23), 22.0),
        (at(24, 16), known_at(23), 22.0),
    ]  # fmt: skip
    assert [row["accession"] for row in filings] == ["a-1", "a-3", "a-3", "a-3", "a-4", "a-5", "a-5"]
    assert {one.name for one in MEASURES} <= set(measures.columns)


def known_at(day: int) -> datetime:
    """The close of a session as Spark hands it over: without a zone, in that of the session, which is UTC."""
    return at(day).replace(tzinfo=None)
