"""Files of a table that are emptied, cut or gone: an error that names the file and the way out, never a partial answer.

Copies of a lake lie under paths of their own, so that nothing is known of them yet, as in a fresh process.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs import cli
from lakehouse.errors import TableError, TickhouseError
from lakehouse.lake import Lake
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import TRADES
from streaming.supervise import run_one_by_one
from tests.delta.played import Played
from tests.faults.market import land, market
from tests.faults.pipeline import Streamed, harness_lake, settings_in

TABLE = "silver/trades"


def commits(root: str, table: str = TABLE) -> list[Path]:
    return sorted((Path(root) / table / "_delta_log").glob("*.json"))


def rewrite(path: Path, content: bytes) -> None:
    """As it lies after a crash of the machine: Hadoop's own checksum of the file went with it."""
    path.write_bytes(content)
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


def emptied(path: Path) -> None:
    rewrite(path, b"")


def cut(path: Path) -> None:
    rewrite(path, path.read_bytes()[:-40])


def cut_under_its_checksum(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def cut_after_a_line(path: Path) -> None:
    rewrite(path, b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def gone(path: Path) -> None:
    path.unlink()
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


@pytest.mark.parametrize("damage", [emptied, cut, cut_under_its_checksum, cut_after_a_line, gone])
@pytest.mark.parametrize("table", ["silver/trades", "gold/bars"])
def test_a_damaged_last_commit_is_named_with_the_way_out_before_a_row_is_read(
    operated: Played, damage: Callable[[Path], None], table: str, tmp_path: Path
) -> None:
    played = operated.copy(tmp_path)
    last = commits(played.lake.root, table)[-1]
    declared = TRADES if table == TABLE else BARS
    assert Lake(played.lake.spark, f"{operated.lake.root}/").read(declared).columns

    damage(last)

    for use in (played.lake.read, played.lake.version):
        with pytest.raises(TableError, match=r"damaged: .*nothing was written\. Restore .* again from bronze") as told:
            use(declared)
        assert str(told.value).startswith(f"{last}: this file of {declared.full_name}")


def test_an_empty_commit_in_the_middle_is_named(operated: Played, tmp_path: Path) -> None:
    played = operated.copy(tmp_path)
    emptied(commits(played.lake.root)[1])

    with pytest.raises(TableError, match="00000000000000000001.json: .* it is empty"):
        played.lake.read(TRADES)


def test_a_log_is_looked_at_from_its_last_checkpoint_on(spark: SparkSession, tmp_path: Path) -> None:
    folder = str(tmp_path / "lake" / TABLE)
    for number in range(4):
        rows = spark.range(number, number + 1, 1, 1).write.format("delta").mode("append")
        rows.option("delta.checkpointInterval", 2).save(folder)
    log = Path(folder) / "_delta_log"
    assert (log / "_last_checkpoint").exists()
    for number in range(2):
        (log / f"{number:020d}.json").unlink()

    Lake(spark, str(tmp_path / "lake")).require_whole(TRADES)

    shutil.copytree(tmp_path / "lake", tmp_path / "copy")
    gone(commits(str(tmp_path / "copy"))[-1])
    with pytest.raises(TableError, match=r"copy.*00000000000000000003.json: .* it is gone"):
        Lake(spark, str(tmp_path / "copy")).require_whole(TRADES)


def data_files(root: str) -> Iterable[Path]:
    return sorted((Path(root) / TABLE).glob("*.parquet"))


@pytest.mark.parametrize(("damage", "what"), [(gone, "it is gone"), (cut, "it cannot be read")])
def test_a_job_that_meets_a_damaged_data_file_fails_with_its_name_and_the_way_out(
    operated: Played, damage: Callable[[Path], None], what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    played = operated.copy(tmp_path)
    damaged = next(iter(data_files(played.lake.root)))
    damage(damaged)

    def body(_: object) -> None:
        print(played.lake.read(TRADES).select("trade_id").collect())

    code = cli.run(body, cli.parser("a job"), [])

    said = capsys.readouterr()
    assert (code, said.out) == (cli.FAILED, "")
    assert f"error: {damaged}: this file of silver.trades is damaged: {what}." in said.err
    assert "Traceback" not in said.err


def test_a_query_that_meets_a_damaged_data_file_stops_and_names_it(operated: Played, tmp_path: Path) -> None:
    played = operated.copy(tmp_path)
    damaged = next(iter(data_files(played.lake.root)))
    gone(damaged)
    seen: list[int] = []

    def write(batch: DataFrame, _: int) -> None:
        seen.append(len(batch.select("trade_id").collect()))

    rows = played.lake.spark.readStream.format("delta").load(played.lake.path(TRADES))
    writer = rows.writeStream.option("checkpointLocation", str(tmp_path / "checkpoint")).foreachBatch(write)

    with pytest.raises(TickhouseError, match=f"{damaged}: this file of silver.trades is damaged: it is gone"):
        run_one_by_one([writer.trigger(availableNow=True).start], stop=threading.Event(), lost=threading.Event())

    assert seen == []


@pytest.mark.nightly
def test_the_way_out_makes_silver_and_gold_again_from_bronze(
    spark: SparkSession, empty_lake: Path, tmp_path: Path
) -> None:
    streamed = Streamed(spark, settings_in(tmp_path / "first"))
    harness_lake(spark, empty_lake, streamed.root)
    land(market(5, 80), streamed.landing, 2, prefix="a")
    streamed.drain()
    found = streamed.copy(tmp_path / "damaged")
    gone(next(iter(data_files(str(found.root)))))

    for folder in ("silver/trades", "silver/quarantine", "gold/bars"):
        shutil.rmtree(found.root / folder)
    for query in ("refine", "bars"):
        shutil.rmtree(found.checkpoint(query))
    found.drain()

    assert found.differences() == []
