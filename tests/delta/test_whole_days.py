"""Whole dates by the files of silver: however the prints lie in files, bars come out as if all were folded at once."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from lakehouse.bars import PARTIAL
from lakehouse.fold import as_plain, fold_table
from lakehouse.kernels import bars as kernel
from lakehouse.reference.calendar import day_number
from lakehouse.staged_bars import (
    CLEAN,
    CLEAN_DDL,
    OWN,
    SHARED,
    apart,
    contested_keys,
    key_hashes,
    spelled_out,
    within_reach,
)
from lakehouse.whole_days import Part, Work, combined, fold_stretch, parts_of, stretches_of
from tests.unit.test_bars_fold import BOUNDS, DAY, RULES, Given, table

SIX = Decimal("0.000001")
KEY = ("instrument_id", "interval", "bar_start")
NOBODY = pa.table({"session_date": [], "trade_id": [], "dead_at": [], "fate": []})


def day_of_prints(seed: int, count: int) -> pa.Table:
    """Prints of a half day in order of arrival: bursts, some hours late, some beyond the closing bell, some dying."""
    dice, found = random.Random(seed), []
    opens, closes = BOUNDS[(DAY, "regular")]
    width = int((closes - opens).total_seconds() * 1000)
    for number in range(count):
        at = opens + timedelta(milliseconds=number * width // count + dice.randint(-2_000, 2_000))
        at += timedelta(minutes=9) if dice.random() < 0.02 and number > count * 0.9 else timedelta()
        delay = dice.choice([0, 40, 10_001, 70_000, 7_200_000]) if dice.random() < 0.1 else 5
        dies = dice.random() < 0.05
        one = Given(
            dice.choice("ABC"), "regular", at, delay, Decimal(dice.randint(1, 10**8)).scaleb(-6).quantize(SIX),
            Decimal(dice.randint(1, 10**9)).scaleb(-6).quantize(SIX), dice.choice([15, 15, 12, 4, 3]), number % 7,
            batch=number // 50, fate=dice.randint(1, 2) if dies else 0, dead_after_ms=90_000 if dies else None,
        )  # fmt: skip
        found.append(one)
    return table(sorted(found, key=lambda one: one.received_at))


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """A folder with room for staged bars."""
    for name in (CLEAN, OWN, SHARED):
        (tmp_path / name).mkdir()
    return tmp_path


def written(prints: pa.Table, folder: Path, pieces: int) -> list[str]:
    """Prints as that many files, the later ones with two row groups."""
    size = -(-prints.num_rows // pieces)
    for number in range(pieces):
        piece = prints.slice(number * size, size).drop_columns(["dead_at", "fate"])
        group = None if number < pieces // 2 else max(1, -(-piece.num_rows // 2))
        pq.write_table(piece, folder / f"part {number}.parquet", row_group_size=group, store_decimal_as_integer=True)
    return [f"file://{folder}/part%20{number}.parquet" for number in range(pieces)]


def dead(prints: pa.Table) -> pa.Table:
    gone = prints.filter(pc.greater(prints["fate"], 0))
    return gone.select(["session_date", "trade_id", "dead_at", "fate"])


def by_key(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = {tuple(row[name] for name in KEY): row for row in rows}
    assert len(found) == len(rows), "one bar must come out once"
    return found


def own_bars(spark: SparkSession, staging: Path) -> pa.Table:
    """The bars no other stretch can hold parts of, however they were left."""
    clean = spark.read.schema(CLEAN_DDL).parquet(f"{staging}/{CLEAN}").transform(spelled_out).toArrow().cast(PARTIAL)
    others = [pq.read_table(file, schema=PARTIAL) for file in sorted(staging.glob(f"{OWN}/*"))]
    return pa.concat_tables([clean, *others])


@pytest.mark.parametrize("shuffled", [False, True])
def test_bars_of_stretches_together_are_the_bars_of_all_prints(
    spark: SparkSession, staging: Path, shuffled: bool
) -> None:
    prints = day_of_prints(7, 900)
    if shuffled:
        prints = prints.take(random.Random(3).sample(range(prints.num_rows), prints.num_rows))
    stretches = stretches_of(parts_of(written(prints, staging, 6)), 200)
    work = Work(stretches, (DAY,), 1 << 60, RULES, dead(prints), str(staging))

    said = [next(fold_stretch(work, number)) for number in range(len(stretches))]

    own = own_bars(spark, staging)
    shared = pa.concat_tables([pq.read_table(file, schema=PARTIAL) for file in sorted(staging.glob(f"{SHARED}/*"))])
    together = combined(spark.createDataFrame(shared)).select(*PARTIAL.names).toArrow().cast(PARTIAL)
    rows = [row for one in (own, together) for row in one.to_pylist()]
    assert by_key(rows) == by_key(as_plain(fold_table(prints, RULES)).to_pylist())
    assert len(stretches) > 4
    contested = contested_keys([np.frombuffer(one["hashes"][0].as_py(), np.int64) for one in said])
    assert 0 < len(contested) <= together.num_rows < shared.num_rows


def test_the_hash_of_a_key_says_nothing_of_its_stretch_and_tells_keys_apart() -> None:
    whole = fold_table(day_of_prints(1, 400), RULES)
    some = whole.slice(100, 50)

    hashes = key_hashes(whole)

    assert len(set(hashes.tolist())) == whole.num_rows
    assert key_hashes(some).tolist() == hashes[100:150].tolist()


def test_stretches_hold_parts_in_order_of_arrival_and_no_more_rows_than_said() -> None:
    parts = [Part(f"f{number}", 0, rows, number, 0, 1) for number, rows in enumerate([5, 5, 5, 30, 1])]

    assert [[part.rows for part in one] for one in stretches_of(parts, 10)] == [[5, 5], [5], [30], [1]]


def test_files_are_sorted_by_their_first_batch_and_know_their_times(tmp_path: Path) -> None:
    prints = day_of_prints(2, 300)

    parts = parts_of(reversed(written(prints, tmp_path, 3)))

    assert [part.first_batch for part in parts] == sorted(part.first_batch for part in parts)
    assert sorted(Path(part.file).stem for part in parts) == ["part 0", "part 1", "part 1", "part 2", "part 2"]
    assert sum(part.rows for part in parts) == 300
    assert all(part.since_ms < part.until_ms for part in parts)


def test_rows_of_other_dates_and_later_batches_are_left_out(spark: SparkSession, staging: Path) -> None:
    prints = day_of_prints(4, 200).drop_columns(["dead_at", "fate"])
    (file,) = written(day_of_prints(4, 200), staging, 1)
    early = prints.filter(pc.less_equal(prints["batch"], 1))
    stretches = [parts_of([file])]

    for days, expected in (((DAY,), early), ((DAY - timedelta(days=1),), prints.slice(0, 0))):
        next(fold_stretch(Work(stretches, days, 1, RULES, NOBODY, str(staging)), 0))
        assert by_key(own_bars(spark, staging).to_pylist()) == by_key(as_plain(fold_table(expected, RULES)).to_pylist())


def test_sums_beyond_one_limb_and_bars_without_prices_are_left_whole(spark: SparkSession, staging: Path) -> None:
    opens = BOUNDS[(DAY, "regular")][0]
    huge = [
        Given("A", "regular", opens, 5, Decimal("1.000000"), Decimal("999999999.999999"), 15, number)
        for number in range(5_000)
    ]
    odd = Given("B", "regular", opens, 5, Decimal("1.000000"), Decimal("1.000000"), 4, 0)
    prints = table([*huge, odd])
    stretches = [parts_of(written(prints, staging, 1))]

    next(fold_stretch(Work(stretches, (DAY,), 1, RULES, NOBODY, str(staging)), 0))

    bars = by_key(own_bars(spark, staging).to_pylist())
    assert bars == by_key(as_plain(fold_table(prints.drop_columns(["dead_at", "fate"]), RULES)).to_pylist())
    assert {row["volume"] for key, row in bars.items() if key[0] == "A"} == {huge[0].size * 5_000}
    assert {row["first_open"] for key, row in bars.items() if key[0] == "B"} == {None}


def test_a_bar_is_within_reach_where_another_stretch_holds_its_time_and_at_the_ends_of_its_session() -> None:
    minute, (opens, closes) = 60_000, BOUNDS[(DAY, "regular")]
    first, last = (int(one.timestamp() * 1000) for one in (opens, closes))
    held = [(100, 110), (110, 120), (150, 151)]
    spans = apart((first + since * minute, first + until * minute) for since, until in held)
    starts = np.array([0, 1, 98, 99, 100, 119, 120, 121, 149, 150, 151, 152, (last - first) // minute - 1])
    rows = np.zeros((kernel.CLEAN_WIDTH, len(starts)), np.int64)
    rows[kernel.START], rows[kernel.END] = first + starts * minute, first + (starts + 1) * minute
    rows[kernel.DAY_KEY] = day_number(DAY) * 3 + 1

    found = within_reach(rows, spans, RULES.sessions)

    assert starts[found].tolist() == [0, 100, 119, 120, 150, 151, starts[-1]]
    assert not within_reach(rows, apart([]), RULES.sessions).any()
