"""Examples to learn from: features of gold.bars' bars, built on Spark, and a seeded sample of them on the driver.

An example is named by its instrument, interval and bar alone: the same lake gives the same sample, however Spark splits
the work.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from lakehouse.anomalies.build import GROUP, bars_of, known_instruments, to_series, with_market
from lakehouse.anomalies.judge import judge_bars
from lakehouse.anomalies.rules import Bars, Known
from lakehouse.lake import Lake
from lakehouse.reference.calendar import SessionArrays, day_number
from lakehouse.workers import groups_in_arrow
from ml.anomaly_detector.features import FEATURES, HISTORY, features_of
from ml.anomaly_detector.planting import planted

Longs = NDArray[np.int64]
ARROW = pa.schema(
    [
        ("interval", pa.string()), ("instrument_id", pa.string()), ("start_ms", pa.int64()), ("is_later", pa.bool_()),
        ("is_flagged", pa.bool_()), ("planted", pa.string()), ("draw", pa.int64()),
        *((name, pa.float64()) for name in FEATURES),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """Which sessions are learned from and which later ones validate; how many examples of each come to the driver."""

    first: int
    validated_from: int
    seed: int
    sample: int
    sessions: SessionArrays
    known: Mapping[str, Known]


def plan_of(
    lake: Lake, days: Sequence[date], sessions: SessionArrays, *, validation_share: float, sample: int, seed: int
) -> Plan:
    """Split dates in order of time: the last of them validate."""
    later = max(1, round(validation_share * len(days)))
    known = known_instruments(lake, days[-1])
    return Plan(day_number(days[0]), day_number(days[-later]), seed, sample, sessions, known)


def examples(bars: DataFrame, plan: Plan, interval: str, *, tasks: int) -> pd.DataFrame:
    """A sample of the bars to learn from, one of those that validate, and planted anomalies, in one fixed order."""
    series = bars.where(F.col("interval") == interval).transform(with_market).transform(to_series, tasks=tasks)
    rows = groups_in_arrow(series, GROUP, partial(_examples_of_group, plan=plan), from_arrow_schema(ARROW)).persist()
    try:
        parts = ("NOT is_later AND planted = ''", "is_later AND planted = ''", "planted <> ''")
        picked = [rows.where(part).orderBy("draw", "instrument_id", "start_ms").limit(plan.sample) for part in parts]
        return pd.concat([one.toPandas() for one in picked], ignore_index=True)
    finally:
        rows.unpersist()


def _examples_of_group(group: pa.Table, plan: Plan) -> pa.Table:
    """Examples of one instrument and interval; Spark hands its rows over in no order."""
    rows = group.sort_by("bar_start")
    bars, name = bars_of(rows, plan.sessions), rows["instrument_id"][0].as_py()
    known = plan.known.get(name, Known())
    return pa.Table.from_pandas(examples_of(bars, known, plan, name), schema=ARROW, preserve_index=False)


def examples_of(bars: Bars, known: Known, plan: Plan, name: str) -> pd.DataFrame:
    """Every bar of the plan's sessions as an example, and what was planted into the later ones.

    `is_flagged` says which bars the rules flag, the bar after each among them: the way back from a bad print carries
    no flag, and is as far from usual.
    """
    real = _framed(bars, known, plan, name, planted_rows={})
    later = np.unique(bars.session[bars.session >= plan.validated_from]).tolist()
    changed, where = planted(bars, later, name=name, seed=plan.seed)
    added = _framed(changed, known, plan, name, planted_rows=where) if where else real.iloc[:0]
    return pd.concat([real, added.loc[added["planted"] != ""]], ignore_index=True)


def _framed(bars: Bars, known: Known, plan: Plan, name: str, *, planted_rows: Mapping[int, str]) -> pd.DataFrame:
    features = features_of(bars, known)
    flagged = np.zeros(len(bars), np.bool_)
    rows = np.array([flag.row for flag in judge_bars(bars, HISTORY, known)], np.int64)
    flagged[rows] = flagged[np.minimum(rows + 1, len(bars) - 1)] = True
    kinds = np.full(len(bars), "", object)
    kinds[list(planted_rows)] = list(planted_rows.values())
    features.insert(0, "interval", bars.interval)
    features.insert(1, "instrument_id", name)
    features.insert(2, "start_ms", bars.start_ms)
    features.insert(3, "is_later", bars.session >= plan.validated_from)
    features.insert(4, "is_flagged", flagged)
    features.insert(5, "planted", kinds)
    features.insert(6, "draw", draws(bars.start_ms, name, plan.seed))
    return features.loc[bars.session >= plan.first]


def draws(start_ms: Longs, name: str, seed: int) -> Longs:
    """A number for each bar as if drawn by lot, the same whenever it is asked for (splitmix64)."""
    mixed = start_ms.astype(np.uint64) ^ np.uint64(zlib.crc32(f"{seed}/{name}".encode()) << 32)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Longs = (mixed ^ (mixed >> np.uint64(31))).view(np.int64)
    return found
