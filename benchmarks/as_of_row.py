"""Row i: bars with the newest filing of their symbol as of then; one symbol has three tenths of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from benchmarks.data import CACHE
from benchmarks.harness import OURS, Answers, Contender, Goal, Row
from benchmarks.hosts import HOUSE, PYTHON, STOCK, Place
from benchmarks.processes import Measurement, measured
from lakehouse.as_of import Matching, with_newest

WINDOW, DUCKDB = "union and last_value", "DuckDB ASOF JOIN"
SYMBOLS, HOT_SHARE = 2_000, 0.3
FIRST_US, SPAN_US = 1_420_070_400_000_000, 10 * 365 * 86_400_000_000
HOW = Matching(("instrument_id",), "bar_start", "known_from", tie="number")
ASOF = """
    SELECT b.number AS bar, b.instrument_id, b.bar_start, b.close, f.accession, f.value,
           (epoch_us(b.bar_start) - epoch_us(f.known_from)) // 1000 AS age_ms
    FROM read_parquet('{bars}/*.parquet') b
    ASOF LEFT JOIN read_parquet('{filings}/*.parquet') f
        ON b.instrument_id = f.instrument_id AND b.bar_start >= f.known_from
"""


def row(*, bars: int, filings: int) -> Row:
    """The row on so many bars and filings."""
    here, arguments = "benchmarks.as_of_row", {"bars": bars, "filings": filings}
    return Row(
        key="i",
        title="as-of join of bars with filings",
        contenders=(
            Contender(OURS, HOUSE, f"{here}:ours", arguments),
            Contender(WINDOW, STOCK, f"{here}:window", arguments),
            Contender(DUCKDB, PYTHON, f"{here}:asof", arguments),
        ),
        goals=(Goal((WINDOW,), floor=3, aim=5), Goal((DUCKDB,), floor=2, aim=1, at_most=True)),
        compare=differences,
        note=(
            f"{SYMBOLS:,} symbols; one has three tenths of the bars and of the filings. Every bar comes out once, with "
            "NULL where nothing was filed yet. Spark's rows go to its noop sink; DuckDB's stay in memory. Filings of a "
            "symbol have instants of their own, as DuckDB knows no order among equal ones."
        ),
    )


def ours(place: Place, *, bars: int, filings: int, check: bool) -> dict[str, Any]:
    """The house's join."""
    left, right = (place.spark.read.parquet(str(folder)) for folder in tables(bars, filings))

    def joined() -> DataFrame:
        return with_newest(left, right, HOW, take=("accession", "value"), age="age_ms")

    return _spark_answer(place, "ours", joined, bars, check=check)


def window(place: Place, *, bars: int, filings: int, check: bool) -> dict[str, Any]:
    """What people write: both sides in one frame, and the last value that is not NULL."""
    left, right = (place.spark.read.parquet(str(folder)) for folder in tables(bars, filings))

    def joined() -> DataFrame:
        both = left.withColumnRenamed("bar_start", "at").unionByName(
            right.withColumnRenamed("known_from", "at").drop("number").withColumn("filed_at", F.col("at")),
            allowMissingColumns=True,
        )
        so_far = Window.partitionBy("instrument_id").orderBy("at", F.col("number").isNotNull())
        filed = {name: F.last(name, ignorenulls=True).over(so_far) for name in ("accession", "value", "filed_at")}
        found = both.withColumns(filed).where("number IS NOT NULL").withColumnRenamed("at", "bar_start")
        return found.withColumn("age_ms", F.expr("(unix_micros(bar_start) - unix_micros(filed_at)) DIV 1000"))

    return _spark_answer(place, "window", joined, bars, check=check)


def _spark_answer(place: Place, name: str, joined: Any, bars: int, *, check: bool) -> dict[str, Any]:
    with measured() as taken:
        joined().write.format("noop").mode("overwrite").save()
    kept = str(place.scratch / f"as-of-{name}.parquet") if check else ""
    if check:
        columns = ("number AS bar", "instrument_id", "bar_start", "close", "accession", "value", "age_ms")
        joined().selectExpr(*columns).write.mode("overwrite").parquet(kept)
    return _answer(taken, bars, f"{kept}/*.parquet" if check else "")


def asof(place: Place, *, bars: int, filings: int, check: bool) -> dict[str, Any]:
    """DuckDB on two threads."""
    left, right = tables(bars, filings)
    question = ASOF.format(bars=left, filings=right)
    with duckdb.connect() as db:
        db.execute("SET threads = 2")
        with measured() as taken:
            db.execute(f"CREATE TABLE joined AS {question}")
        kept = str(place.scratch / "as-of-duckdb.parquet") if check else ""
        if check:
            db.execute(f"COPY joined TO '{kept}' (FORMAT parquet)")
    return _answer(taken, bars, kept)


def _answer(taken: Measurement, bars: int, kept: str) -> dict[str, Any]:
    return {"wall": taken.wall, "cpu": taken.cpu, "events": bars, "joined": kept}


def differences(answers: Answers) -> list[str]:
    """Rows that one side has and another has not, told by count."""
    found = []
    with duckdb.connect() as db:
        for name in (WINDOW, DUCKDB):
            mine, theirs = (f"SELECT * FROM read_parquet('{answers[one]['joined']}')" for one in (OURS, name))
            for less, more in ((mine, theirs), (theirs, mine)):
                count = db.execute(f"SELECT count(*) FROM (({less}) EXCEPT ALL ({more}))").fetchall()[0][0]
                if count:
                    found.append(f"as-of join: {count:,} rows of one are not rows of the other ({OURS}, {name})")
    return found


def tables(bars: int, filings: int) -> tuple[Path, Path]:
    """Folders of Parquet files with bars and filings, made once."""
    folder = CACHE / "as-of" / f"{bars}x{filings}"
    if not folder.exists():
        draft, dice = folder.with_name(f"{folder.name}.draft"), np.random.default_rng(bars)
        for name, count in (("bars", bars), ("filings", filings)):
            (draft / name).mkdir(parents=True)
            for part, places in enumerate(np.array_split(np.arange(count), 8)):
                pq.write_table(_rows(name, places, dice), draft / name / f"{part}.parquet")
        draft.rename(folder)
    return folder / "bars", folder / "filings"


def _rows(name: str, places: NDArray[np.int64], dice: np.random.Generator) -> pa.Table:
    count = len(places)
    symbols = np.where(dice.random(count) < HOT_SHARE, 0, dice.integers(1, SYMBOLS, count))
    instants = FIRST_US + dice.integers(0, SPAN_US // 1_000_000, count) * 1_000_000
    common = {
        "number": places,
        "instrument_id": pa.DictionaryArray.from_arrays(
            symbols.astype(np.int32), [f"I-{one:04d}" for one in range(SYMBOLS)]
        ).cast(pa.string()),
    }
    if name == "bars":
        at = pa.array(instants).cast(pa.timestamp("us", "UTC"))
        return pa.table({**common, "bar_start": at, "close": np.round(dice.random(count) * 1_000, 2)})
    at = pa.array(instants + places % 1_000_000).cast(pa.timestamp("us", "UTC"))  # no two filings at one instant
    accession = pa.array([f"{one:010d}-26-000001" for one in places])
    return pa.table({**common, "known_from": at, "accession": accession, "value": dice.random(count)})
