"""Tables held against their declarations: what is wrong is found, named, counted and stored; jobs end by it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("great_expectations", reason="great-expectations is not installed")

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs import _quality, build_fundamentals, check_quality
from lakehouse.errors import QualityError
from lakehouse.lake import Lake
from lakehouse.quality.days import Days
from lakehouse.quality.flags import Closes, balance_sheets, flag_balances, flag_closes, flag_data_sets
from lakehouse.quality.judge import judge
from lakehouse.quality.verdicts import Run, Verdict, require_held, require_quality, store
from lakehouse.settings import Settings
from lakehouse.tables import Column, Layer, Table
from lakehouse.tables.filings import DATA_SET_VALUES, FACTS
from lakehouse.tables.fundamentals import FIGURES
from lakehouse.tables.quality import QUALITY_RESULTS

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PRICES = Table(
    layer=Layer.SILVER,
    name="prices",
    owner="test",
    comment="One price.",
    columns=(
        Column("id", "string", "Its id", nullable=False),
        Column("session_date", "date", "Exchange date", nullable=False),
        Column("price", "double", "Price in USD"),
        Column("size", "decimal(18,6)", "Shares"),
    ),
    key=("id", "session_date"),
    checks={"price_is_positive": "price > 0"},
)
SOUND = "SELECT concat('p', id) AS id, DATE '2026-03-01' AS session_date, 1D AS price, 1.5BD AS size FROM range(4)"
TYPED = "SELECT id, session_date, price, CAST(size AS decimal(18,6)) AS size FROM ({})"
DIRTY = """
    VALUES ('a', DATE '2026-03-01', double('NaN'), 1.5BD), ('b', DATE '2026-03-01', CAST(NULL AS DOUBLE), 1.5BD),
           ('c', DATE '2026-03-01', -1D, 1.5BD), ('d', DATE '2026-03-02', 1D, 1.5BD),
           ('d', DATE '2026-03-02', 1D, NULL), (NULL, DATE '2026-03-02', 1D, NULL)
    AS rows(id, session_date, price, size)
"""
COMPLETE = {"is_given": 0, "is_not_nan": 0, "key_is_unique": 0, "price_is_positive": 0}


def written(lake: Lake, query: str) -> None:
    """Rows of PRICES as a writer leaves them that no constraint of Delta's holds back."""
    lake.spark.sql(
        TYPED.format(f"SELECT * FROM {query}" if query.strip().startswith("VALUES") else query)
    ).write.format("delta").save(lake.path(PRICES))


def broken(verdicts: Sequence[Verdict]) -> dict[tuple[str, str], int | None]:
    return {(one.expectation, one.columns): one.unexpected for one in verdicts if not one.success}


def test_a_nan_a_null_a_second_key_and_a_broken_check_are_each_found_named_and_counted(
    lake: Lake, settings: Settings
) -> None:
    written(lake, DIRTY)
    run, docs = Run("r1", NOW), settings.paths.data_docs

    verdicts = judge(lake, [PRICES], run, docs)
    store(lake, run, verdicts)
    early = judge(lake, [PRICES], Run("r2", NOW), docs, Days(last=date(2026, 3, 1)))

    assert broken(verdicts) == {
        ("is_given", "id"): 1,
        ("is_not_nan", "price"): 1,
        ("key_is_unique", "id, session_date"): 2,
        ("price_is_positive", "price"): 3,
    }
    assert broken(early) == {("is_not_nan", "price"): 1, ("price_is_positive", "price"): 3}
    assert {one.scope for one in early} == {"0001-01-01 to 2026-03-01"}
    stored = {(row["expectation"], row["column_name"]): row for row in lake.read(QUALITY_RESULTS).collect()}
    assert len(stored) == len(verdicts)
    positive = stored["price_is_positive", "price"]
    assert (positive["success"], positive["unexpected"], positive["severity"]) == (False, 3, "block")
    assert positive["observed"] == "3 of 6 rows break it"
    assert (positive["table_name"], positive["table_version"]) == ("silver.prices", 0)
    with pytest.raises(QualityError, match=r"silver.prices: 4 expectations do not hold.(.|\n)*price > 0"):
        require_quality(lake, [PRICES])
    pages = sorted(page.relative_to(docs).as_posix() for page in Path(docs).rglob("*.html"))
    assert {"index.html", "r1/index.html", "r2/index.html"} <= set(pages)
    shown = next(Path(docs, page).read_text(encoding="utf-8") for page in pages if page.startswith("r1/validations"))
    assert "3 of 6 rows break it" in shown
    assert "<script src=" not in shown
    run_index = Path(docs, "r1", "index.html").read_text(encoding="utf-8")
    linked = re.findall(r"href='(validations/.*?)'", run_index)
    assert [Path(docs, "r1", one).is_file() for one in linked] == [True]


def test_a_whole_table_holds_and_one_that_nobody_judged_is_refused(lake: Lake, settings: Settings) -> None:
    written(lake, SOUND)
    run = Run("r1", NOW)

    with pytest.raises(
        QualityError, match=r"silver.prices: expected a judgement (.|\n)*never judged(.|\n)* `tickhouse check-quality"
    ):
        require_quality(lake, [PRICES])
    verdicts = judge(lake, [PRICES], run, settings.paths.data_docs)
    store(lake, run, verdicts)

    assert broken(verdicts) == {}
    assert {one.expectation: one.unexpected for one in verdicts if one.unexpected is not None} == COMPLETE
    assert require_quality(lake, [PRICES]) == {"silver.prices": 0}


def a_verdict(lake: Lake, table: Table, *, success: bool = True, scope: str = "whole") -> Verdict:
    """What somebody found who judged a table as it is now."""
    return Verdict(table.full_name, lake.version(table), scope, "is_given", "id", "it is given", success, 0, "0 rows")


@pytest.mark.itest
def test_a_judgement_counts_for_the_rows_it_was_of(lake: Lake) -> None:
    written(lake, SOUND)
    store(lake, Run("r1", NOW), [a_verdict(lake, PRICES)])
    lake.delta(PRICES).optimize().executeCompaction()
    lake.spark.sql(f"ALTER TABLE delta.`{lake.path(PRICES)}` SET TBLPROPERTIES ('delta.checkpointInterval' = '7')")
    assert lake.version(PRICES) > 0
    assert require_quality(lake, [PRICES]) == {"silver.prices": 0}

    lake.append(PRICES, lake.read(PRICES))
    store(lake, Run("r2", NOW.replace(hour=13)), [a_verdict(lake, PRICES, scope="2026-03-01 to 2026-03-01")])

    judged_before = r"silver.prices was judged at version 0, and version \d has other rows. Nothing was read or written"
    with pytest.raises(QualityError, match=judged_before):
        require_quality(lake, [PRICES])
    assert lake.pinned({"silver.prices": 0}).read(PRICES).count() * 2 == lake.read(PRICES).count() == 8
    store(lake, Run("r3", NOW.replace(hour=14)), [a_verdict(lake, PRICES)])
    assert require_quality(lake, [PRICES]) == {"silver.prices": lake.version(PRICES)}


@pytest.mark.itest
def test_a_job_reads_what_was_judged_judges_what_was_not_and_builds_on_nothing_that_does_not_hold(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(lake, SOUND)
    asked: list[Sequence[Table]] = []
    holds = [True]

    def judge_now(_: Lake, __: Settings, tables: Sequence[Table]) -> None:
        asked.append(tables)
        found = [a_verdict(lake, one, success=holds[-1]) for one in tables]
        store(lake, Run(f"r{len(asked)}", NOW.replace(hour=len(asked))), found)

    monkeypatch.setattr(_quality, "judge_and_store", judge_now)

    first, again = (_quality.judged(lake, settings, [PRICES]) for _ in range(2))
    lake.append(PRICES, lake.read(PRICES))
    second = _quality.judged(lake, settings, [PRICES])
    lake.append(PRICES, lake.read(PRICES))
    holds.append(False)
    with pytest.raises(QualityError, match="silver.prices: 1 expectations do not hold"):
        _quality.judged(lake, settings, [PRICES])

    assert asked == [[PRICES]] * 3
    assert [one.read(PRICES).count() for one in (first, again, second, lake)] == [4, 4, 8, 16]


@pytest.mark.itest
def test_a_missing_column_and_a_foreign_type_are_told_and_what_can_be_judged_is(lake: Lake, settings: Settings) -> None:
    rows = lake.spark.sql("SELECT 'a' AS id, DATE '2026-03-01' AS session_date, CAST(1 AS decimal(18,4)) AS size")
    rows.write.format("delta").save(lake.path(PRICES))

    verdicts = judge(lake, [PRICES], Run("r1", NOW), settings.paths.data_docs)

    found = {(one.expectation, one.columns): one.observed for one in verdicts if not one.success}
    assert found == {
        ("columns_are_declared", ""): "id, session_date, size",
        ("type_is_declared", "price"): "no such column",
        ("type_is_declared", "size"): "decimal(18,4)",
        ("is_not_nan", "price"): "1 of 1 rows break it",
        ("price_is_positive", "price"): "1 of 1 rows break it",
    }


def a_figure(name: str, value: float | None, known: datetime = NOW, method: str = "reported") -> dict[str, Any]:
    return dict.fromkeys(FIGURES.column_names) | {
        "cik": 1, "name": name, "span": "instant", "period_end": date(2025, 12, 31), "value": value, "unit": "USD",
        "known_from": known, "method": method, "operands": "[]", "basis": "b",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sheet", "difference"),
    [
        ({"total_assets": 10e9, "total_liabilities": 6e9, "total_equity": 4e9, "equity": 3e9}, 0.0),
        ({"total_assets": 10e9, "total_liabilities": 6e9, "equity": 3e9, "minority_interest": 1e9}, 0.0),
        ({"total_assets": 10.001e9, "total_liabilities": 6e9, "equity": 3.5e9}, 501e6),
    ],
)
def test_what_is_left_of_assets_counts_minorities_once(
    spark: SparkSession, sheet: dict[str, float], difference: float
) -> None:
    figures = spark.createDataFrame([a_figure(*one) for one in sheet.items()], FIGURES.schema)

    found = balance_sheets(figures).collect()

    assert [(row["difference"], row["tolerance"]) for row in found] == [(difference, 2_000_000)]


@pytest.mark.itest
def test_what_sources_say_differently_is_flagged_and_refuses_nothing(lake: Lake) -> None:
    sheet = {"total_assets": 10e9, "total_liabilities": 5e9, "equity": 3e9}
    lake.append(FIGURES, lake.spark.createDataFrame([a_figure(*one) for one in sheet.items()], FIGURES.schema))
    fact = dict.fromkeys(FACTS.column_names) | {
        "cik": 1, "concept": "us-gaap:Assets", "unit": "USD", "period_end": date(2025, 12, 31), "days": 0,
        "accession": "0000000001-26-000001", "value": 10e9, "form": "10-K", "filed_date": date(2026, 2, 1),
        "origin": "companyfacts", "known_from": NOW, "known_basis": "hours", "fetched_at": NOW, "content_hash": 1,
    }  # fmt: skip
    value = {
        "accession": "0000000001-26-000001", "tag": "Assets", "version": "us-gaap/2025", "quarters": 0, "unit": "USD",
        "month_end": date(2025, 12, 31), "value": 11e9, "content_hash": 2,
    }  # fmt: skip
    lake.append(FACTS, lake.spark.createDataFrame([fact], FACTS.schema))
    lake.append(DATA_SET_VALUES, lake.spark.createDataFrame([value], DATA_SET_VALUES.schema))

    compared = lake.spark.sql(
        "SELECT 'I-X' AS instrument_id, DATE '2026-03-02' AS session_date, array(named_struct('field', 'close', "
        "'ours', '1.5', 'theirs', '2.5')) AS differing"
    )
    agreeing = compared.withColumn("differing", F.expr("filter(differing, one -> false)"))

    both = Closes("closes_equal_vendor", "they are equal", compared.unionByName(agreeing))
    flags = [*flag_balances(lake), *flag_data_sets(lake), *flag_closes(both, 3, "whole")]
    store(lake, Run("r1", NOW), flags)

    assert [(one.expectation, one.unexpected, one.blocks) for one in flags] == [
        ("balance_sheet_balances", 1, False),
        ("data_sets_say_the_same", 1, False),
        ("data_sets_have_it_too", 0, False),
        ("companyfacts_have_it_too", 0, False),
        ("closes_equal_vendor", 1, False),
    ]
    assert "off by 2,000,000,000 USD" in flags[0].observed
    assert "0000000001-26-000001 us-gaap:Assets 2025-12-31" in flags[1].observed
    assert flags[4].observed == "1 of 2 days disagree: I-X on 2026-03-02 1.5 against 2.5"
    require_held(flags)
    with pytest.raises(QualityError, match="silver.facts was never judged whole"):
        require_quality(lake, [FIGURES, FACTS])


@contextmanager
def the_session(spark: SparkSession) -> Iterator[SparkSession]:
    yield spark


def arguments(settings: Settings) -> list[str]:
    paths = settings.paths.model_dump().items()
    return [part for name, path in paths for part in ("--set", f"paths.{name}={path}")]


@pytest.mark.itest
def test_the_jobs_end_with_1_where_a_table_does_not_hold_and_0_where_all_do(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for job in (check_quality, build_fundamentals):
        monkeypatch.setattr(job, "spark_session", lambda *_, **__: the_session(lake.spark))
    sound = check_quality.main(["silver.figures", "silver.facts", "--json", *arguments(settings)])
    told = json.loads(capsys.readouterr().out)
    odd = replace(FIGURES, checks={}, columns=tuple(replace(one, nullable=True) for one in FIGURES.columns))
    lake.files.delete(lake.path(FIGURES))
    lake.create(odd)
    lake.append(odd, lake.spark.createDataFrame([a_figure("equity", float("nan"))], FIGURES.schema))

    checked = check_quality.main(["silver.figures", *arguments(settings)])
    printed = capsys.readouterr().out
    built = build_fundamentals.main(arguments(settings))
    refused = capsys.readouterr()

    assert (sound, checked, built) == (0, 1, 1)
    assert (told["failed"], told["checked"] > 20) == ([], True)
    assert "FAILED silver.figures version 1: is_not_nan (value)" in printed
    assert "gold.fundamentals 0 rows" in refused.out
    assert "error: silver.figures: 2 expectations do not hold." in refused.err
    assert check_quality.main(["silver.nothing", *arguments(settings)]) == 2
    assert check_quality.main([*arguments(settings), "--set", "paths.warehouse=" + settings.paths.landing]) == 1
    assert "no table at" in capsys.readouterr().err


def test_a_failed_judgement_refuses_a_job(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    verdict = Verdict("silver.prices", 0, "whole", "is_given", "id", "id is always given", False, 1, "1 of 1 rows")
    monkeypatch.setattr(_quality, "judge_and_store", lambda *_: (Run("r", NOW), [verdict]))

    with pytest.raises(QualityError, match="silver.prices: 1 expectations do not hold"):
        _quality.require_judged(Lake(None, ""), settings, [PRICES])  # type: ignore[arg-type]
