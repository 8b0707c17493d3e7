"""`tickhouse report` over tables that Spark made: types, checks and properties as they are in a real lake."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import report
from jobs.cli import OK
from lakehouse.lake import Lake
from lakehouse.tables.gold import ALERTS, ANOMALIES, BARS, FEED_HEALTH, INDICATORS
from tests.report_lake import write_session

pytestmark = pytest.mark.itest

TABLES = (BARS, INDICATORS, ANOMALIES, ALERTS, FEED_HEALTH)


def test_a_report_over_a_lake_of_spark_says_what_the_tables_say(
    lake: Lake, spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Lake(spark, str(write_session(tmp_path / "plain")))
    for table in TABLES:
        rows = other.read(table)
        lake.append(table, rows.select(*table.column_names))
    out = tmp_path / "report.html"

    assert report.main(["2025-03-03", "--out", str(out), "--set", f"paths.warehouse={lake.root}", "--json"]) == OK

    page = out.read_text(encoding="utf-8")
    assert '"charts": 2' in capsys.readouterr().out
    assert "ACME is up 5 %" in page
    assert "<td>halt</td>" in page
    assert f"{date(2025, 3, 3):%A} 3 March 2025" in page
    assert lake.read(BARS).count() == 108
