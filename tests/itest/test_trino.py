"""A real Trino, of whose family Athena is: it reads the tables, knows facts as of an instant, and runs the views."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession

from lakehouse.arrow_frames import frame_of
from lakehouse.as_known import as_known_at
from lakehouse.filings.build import build
from lakehouse.fundamentals.concepts import load_concepts
from lakehouse.fundamentals.timeline import timeline_of
from lakehouse.lake import Lake
from lakehouse.reference.load import reference_frame
from lakehouse.settings import CONF
from lakehouse.tables import Table
from lakehouse.tables.filings import FACTS, FILINGS
from lakehouse.tables.fundamentals import FIGURES, FUNDAMENTALS
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, OPINIONS, SESSIONS, TRADES
from lakehouse.views import TRINO_NOW, VIEWS, as_known_at_sql, create_views, trino_views, view_name
from tests.faults.oracle import differences
from tests.gold_rows import GOLD, as_spark_reads, gold_lake
from tests.known_rows import TRADED, known_rows, listed
from tests.sec_documents import CIKS, EPS, NOW, documents_in, facts_in, land
from tests.trino_server import Trino, trino_server
from tests.view_rows import (
    STORIES,
    a_dividend_without_a_factor,
    apples_listing,
    apples_split,
    around_christmas,
    bar,
    bars_around_the_split,
    listing,
    utc,
    within,
)

pytestmark = [pytest.mark.itest, pytest.mark.timeout(600)]
MARKET = (TRADES, BARS, SESSIONS, INSTRUMENTS, CORPORATE_ACTIONS)
READ_BY_VIEWS = (*MARKET, FACTS, FILINGS, FIGURES, OPINIONS, FUNDAMENTALS)
AS_OF, CLOCK = date(2014, 6, 9), datetime(2015, 12, 28, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def trino(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trino]:
    """A server that sees the folder `root` beside its own."""
    jars, java = (os.environ.get(f"TICKHOUSE_TRINO_{name}", "") for name in ("JARS", "JAVA"))
    if not java:
        pytest.skip("Trino needs a Java 24 or newer, and none is here (bin/java-home 24)")
    if not list(Path(jars).glob("lib/*.jar")):
        pytest.skip(f"Trino is not here: no jars in {jars} (bin/fetch-jars trino)")
    folder = tmp_path_factory.mktemp("trino")
    (folder / "root").mkdir()
    with trino_server(Path(java), Path(jars), folder / "server", folder / "root") as server:
        for schema in ("gold", "market", "views"):
            server.ask(f"CREATE SCHEMA delta.{schema}")
        yield server


@pytest.fixture(scope="module")
def gold(trino: Trino, spark: SparkSession, empty_lake: Path) -> Lake:
    """Every gold table with rows of each kind of value, known to Trino."""
    lake = gold_lake(spark, empty_lake, trino.root / "gold")
    for table in GOLD:
        register(trino, lake, table)
    return lake


@pytest.fixture(scope="module")
def market(trino: Trino, spark: SparkSession, empty_lake: Path) -> Lake:
    """An empty lake that Trino sees."""
    lake = Lake(spark, str(shutil.copytree(empty_lake, trino.root / "market")))
    for table in READ_BY_VIEWS:
        register(trino, lake, table)
    return lake


@pytest.fixture(scope="module")
def filed(trino: Trino, market: Lake, shared_data: Path) -> Lake:
    """What Apple has filed, and what follows from it."""
    land(market, [one for one in documents_in(shared_data) if one["cik"] == CIKS["AAPL"]])
    build(market, now=NOW)
    figures = timeline_of(facts_in(market), load_concepts(CONF / "concepts.yaml"), [])
    figures = figures.append_column("basis", pa.repeat(pa.scalar("test"), figures.num_rows))
    market.append(FIGURES, frame_of(market.spark, figures.select(list(FIGURES.column_names)), FIGURES.schema))
    return market


def register(trino: Trino, lake: Lake, table: Table) -> None:
    """Make a table known to Trino in the schema that is called like the lake's folder."""
    schema = Path(lake.root).name
    trino.ask(
        f"CALL delta.system.register_table('{schema}', '{view_name(table)}', "
        f"'local:///{schema}/{table.layer.value}/{table.name}')"
    )


@pytest.mark.parametrize("table", GOLD, ids=lambda table: table.full_name)
def test_trino_reads_the_rows_of_gold_that_spark_reads(trino: Trino, gold: Lake, table: Table) -> None:
    read = trino.ask(f"SELECT * FROM delta.gold.{view_name(table)}")

    assert read.column_names == list(table.column_names)
    assert differences(as_spark_reads(gold, table), read) == []


@pytest.mark.parametrize("table", [FACTS, FILINGS, FIGURES], ids=lambda table: table.full_name)
def test_trino_reads_the_filings_that_spark_reads(trino: Trino, filed: Lake, table: Table) -> None:
    expected = filed.read(table).toArrow()

    read = trino.ask(f"SELECT * FROM delta.market.{view_name(table)}")

    assert expected.num_rows > 100
    assert read.column_names == list(table.column_names)
    assert differences(expected, read) == []


def test_earnings_of_apple_are_known_as_they_were_filed_in_trino_too(trino: Trino, filed: Lake) -> None:
    filed.read(FACTS).createOrReplaceTempView("facts")
    of_2009 = f"concept = '{EPS}' AND period_end = DATE '2009-09-26' AND days > 300"

    def known(day: str) -> list[float]:
        instant = f"TIMESTAMP '{day} 12:00:00 UTC'"
        in_trino, in_spark = (
            f"SELECT value FROM ({as_known_at_sql(name, instant)}) WHERE {of_2009}"
            for name in ("delta.market.silver_facts", "facts")
        )
        found: list[float] = trino.ask(in_trino)["value"].to_pylist()
        assert [row["value"] for row in filed.spark.sql(in_spark).collect()] == found
        return found

    assert known("2009-10-26") == []
    assert known("2009-10-28") == [6.29]
    assert known("2010-01-26") == [9.08]


@pytest.fixture(scope="module")
def views(trino: Trino, market: Lake) -> Lake:
    """Prints with cancels and corrections, bars with holes, one of them of 12,598 seconds, a split, filings and what
    follows from them; in both engines all views over them.
    """
    day, last = utc("24T14:30"), utc("24T17:59")
    minutes = [bar(utc(at), 1, price) for at, price in (("24T17:50", None), ("24T17:55", 10.0), ("24T17:58", 11.0))]
    seconds = [
        bar(start, 0, price, interval="1s", bar_end=start + timedelta(seconds=1))
        for start, price in ((day, 12.0), (last + timedelta(seconds=59), 13.0))
    ]
    others = [bar(utc("24T16:30"), 60, 10.0, interval="1h"), bar(day, 210, 11.0, interval="1d")]
    rows = {
        "silver.trades": [within(story, row) for story, (told, _) in STORIES.items() for row in told],
        "gold.bars": [*minutes, *seconds, *others, *bars_around_the_split(), *TRADED],
        "silver.sessions": around_christmas(),
        "silver.instruments": [listing(), apples_listing(), listed()],
        "silver.corporate_actions": [*apples_split(), a_dividend_without_a_factor()],
    }
    for table in MARKET:
        market.append(table, reference_frame(market.spark, table, rows[table.full_name]))
    for table, known in known_rows():
        market.append(table, reference_frame(market.spark, table, known))
    create_views(market, as_of=AS_OF, now=CLOCK)
    tables = {view_name(table): f"delta.market.{view_name(table)}" for table in READ_BY_VIEWS}
    times = {"as_of": f"DATE '{AS_OF}'", "now": f"TIMESTAMP '{CLOCK:%Y-%m-%d %H:%M:%S}'"}
    for name, select in trino_views(tables, "delta.views", **times).items():
        trino.ask(f"CREATE VIEW delta.views.{name} AS {select}")
    return market


@pytest.mark.parametrize("name", [*map(view_name, READ_BY_VIEWS), *(view.name for view in VIEWS)])
def test_a_view_gives_the_rows_in_trino_that_it_gives_in_spark(trino: Trino, views: Lake, name: str) -> None:
    expected = views.spark.table(name).toArrow()

    read = trino.ask(f"SELECT * FROM delta.views.{name}")

    assert expected.num_rows > 0
    assert read.column_names == expected.column_names
    assert differences(nearly(expected), nearly(read)) == []


def test_what_was_known_at_an_instant_is_the_same_by_the_views_of_both_engines(
    trino: Trino, filed: Lake, views: Lake
) -> None:  # fmt: skip
    of_2009 = f"concept = '{EPS}' AND period_end = DATE '2009-09-26' AND days > 300"

    def known(day: str) -> list[float]:
        question = as_known_at_sql("delta.views.silver_facts_known", f"TIMESTAMP '{day} 12:00:00'")
        found: list[float] = trino.ask(f"SELECT value FROM ({question}) WHERE {of_2009}")["value"].to_pylist()
        in_spark = as_known_at(filed, FACTS, datetime.fromisoformat(f"{day}T12:00:00+00:00")).where(of_2009)
        assert [row["value"] for row in in_spark.collect()] == found
        return found

    assert [known(day) for day in ("2009-10-26", "2009-10-28", "2010-01-26")] == [[], [6.29], [9.08]]
    for table in (FILINGS, FIGURES, OPINIONS, FUNDAMENTALS):
        question = as_known_at_sql(f"delta.views.{view_name(table)}_known", "TIMESTAMP '2015-12-21 21:00:00'")
        in_spark = as_known_at(views, table, datetime(2015, 12, 21, 21, tzinfo=UTC)).toArrow()
        assert in_spark.num_rows > 0
        assert differences(nearly(in_spark), nearly(trino.ask(question))) == []


def nearly(rows: pa.Table) -> pa.Table:
    """Doubles to nine digits: logarithms differ in their last bit from one library to another."""
    for at, field in enumerate(rows.schema):
        if pa.types.is_floating(field.type):
            rows = rows.set_column(at, field.name, pc.round(rows[field.name], 9))
    return rows


def test_views_for_a_glue_catalog_have_no_column_with_a_zone(trino: Trino, views: Lake) -> None:
    question = "SELECT table_name, column_name FROM delta.information_schema.columns WHERE table_schema = "

    tables, seen = (trino.ask(f"{question}'{schema}' AND data_type LIKE '%zone'") for schema in ("market", "views"))

    assert tables.num_rows > 0
    assert seen.num_rows == 0


def test_instants_of_views_are_utc_wherever_the_reader_is(trino: Trino, views: Lake) -> None:
    question = "SELECT bar_start, bar_end, final_at FROM delta.views.gold_bars"

    in_tokyo, in_utc = (trino.ask(question, zone=zone) for zone in ("Asia/Tokyo", "UTC"))
    now = trino.ask(f"SELECT {TRINO_NOW} AS now", zone="Asia/Tokyo")["now"][0].as_py()

    assert differences(in_utc, in_tokyo) == []
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=10)
