"""As-of joins: to each row the newest row of another feed that was there by then, for batch frames and for streams."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.stateful_processor import StatefulProcessor
from pyspark.sql.types import StructType

from lakehouse.as_of_batch import newest_of
from lakehouse.errors import TickhouseError

if TYPE_CHECKING:
    from pyspark.sql.streaming.stateful_processor import (
        ExpiredTimerInfo,
        StatefulProcessorHandle,
        TimerValues,
        ValueState,
    )  # fmt: skip

Longs = NDArray[np.int64]
Key = tuple[Any, ...]

RIGHT, LEFT = 0, 1  # at one instant the right row is there first
# Pandas frames of a stateful processor lose names that begin with an underscore.
SIDE, AT, TIE, ROW = "side__", "at_us__", "tie__", "row__"
FOUND, AGE = "found__", "age_us__"
LINE = (AT, TIE, ROW)
# Exact both ways: the default writes milliseconds.
AS_JSON = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "ignoreNullFields": "true"}
FROM_JSON = {**AS_JSON, "mode": "FAILFAST"}  # what cannot be read back must not come out as NULL


@dataclass(frozen=True)
class Matching:
    """How rows meet: `by` names the columns both sides share, `at` when a row of either side is.

    `tolerance` is the greatest age of what is found, None for any. `tie` is a BIGINT of the right side: of rows at one
    instant the highest counts. In a stream a row waits until the watermark, `wait` behind the newest row, has passed
    it: what comes in another order within that time changes nothing.
    """

    by: tuple[str, ...]
    left_at: str
    right_at: str
    tolerance: timedelta | None = None
    tie: str | None = None
    wait: timedelta = timedelta(seconds=10)

    @property
    def tolerance_us(self) -> int | None:
        """The tolerance in whole microseconds."""
        return None if self.tolerance is None else self.tolerance // timedelta(microseconds=1)


def with_newest(left: DataFrame, right: DataFrame, how: Matching, *, take: Sequence[str], age: str) -> DataFrame:
    """Each left row once, with the columns `take` of the newest right row at or before it, and its age in ms.

    Where there is none, or it is older than the tolerance, they are NULL. Two streams give a stream, whose rows come
    once their instant is settled; a left row that comes later than twice `wait` meets what is still remembered.
    """
    unknown = [name for name in take if name in left.columns or name not in right.columns]
    if unknown or age in (*left.columns, *take):
        raise TickhouseError(
            f"as-of join: cannot take {unknown or [age]}: a taken column must be one of the right side and none of the "
            f"left, and the age column must be new. Nothing was joined. Rename the column first."
        )
    if left.isStreaming != right.isStreaming:
        raise TickhouseError(
            "as-of join: one side is a stream and the other is not. Nothing was joined. Read both as streams, or join "
            "inside the batch writer of the stream."
        )
    if not left.isStreaming:
        return newest_of(
            left, right, how.by, left_at=how.left_at, right_at=how.right_at, tie=how.tie,
            tolerance_us=how.tolerance_us, take=take, age=age,
        )  # fmt: skip
    sides = _side(left, how, LEFT, how.left_at, None, left.columns).unionByName(
        _side(right, how, RIGHT, how.right_at, how.tie, take)
    )
    found = _found_in_stream(sides, how)
    mine = F.from_json(ROW, left.schema, FROM_JSON)
    theirs = F.from_json(FOUND, StructType([right.schema[name] for name in take]), FROM_JSON)
    return found.select(mine.alias("mine"), theirs.alias("theirs"), F.expr(f"{AGE} DIV 1000").alias(age)).select(
        "mine.*", *(F.col(f"theirs.{name}") for name in take), age
    )


def _side(
    rows: DataFrame, how: Matching, side: int, at: str, tie: str | None, columns: Sequence[str]
) -> DataFrame:  # fmt: skip
    """One side as lines that both sides share; what it carries is text, which nothing on the way can round."""
    place: Column = F.col(tie).cast("bigint") if tie else F.lit(0).cast("bigint")
    return rows.select(
        *how.by,
        F.lit(side).cast("tinyint").alias(SIDE),
        F.unix_micros(at).alias(AT),
        place.alias(TIE),
        F.to_json(F.struct(*columns), AS_JSON).alias(ROW),
    )


def _found_in_stream(sides: DataFrame, how: Matching) -> DataFrame:
    """The watermark is taken from a column that goes no further: Spark would drop late rows, which are wanted here."""
    instant = F.timestamp_micros(AT)
    paced = sides.withColumn("event__", instant).withWatermark(
        "event__", f"{how.wait // timedelta(milliseconds=1)} milliseconds"
    )
    lines = paced.drop("event__")
    output = f"{ROW} string, {FOUND} string, {AGE} bigint"
    return lines.groupBy(*how.by).transformWithStateInPandas(
        statefulProcessor=NewestBefore(how), outputStructType=output, outputMode="Append", timeMode="EventTime"
    )


def newest_before(left_us: Longs, right_us: Longs, tolerance_us: int | None) -> Longs:
    """For each left instant the place of the last right one at or before it, -1 where none is fresh.

    Right instants are in order.
    """
    if not len(right_us):
        return np.full(len(left_us), -1, np.int64)
    places = np.searchsorted(right_us, left_us, side="right") - 1
    if tolerance_us is not None:
        places[left_us - right_us[places] > tolerance_us] = -1
    return places


class NewestBefore(StatefulProcessor):
    """One key's as-of join: right rows of late, and left rows that wait for the watermark."""

    def __init__(self, how: Matching) -> None:
        self._tolerance_us = how.tolerance_us
        self._wait_us = how.wait // timedelta(microseconds=1)

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Name the state."""
        self._handle = handle
        self._right = handle.getValueState("right", "lines string")
        self._waiting = handle.getValueState("waiting", "lines string")

    def handleInputRows(  # type: ignore[override]  # the Row flavour of it is another method of Spark's
        self, key: Key, rows: Iterator[pd.DataFrame], timerValues: TimerValues
    ) -> Iterator[pd.DataFrame]:
        """Take rows in; give the left ones that are settled already, because they come late."""
        new = pd.concat(rows, ignore_index=True)
        is_right = new[SIDE] == RIGHT
        right = pd.concat([_lines(self._right), new.loc[is_right, list(LINE)]], ignore_index=True)
        waiting = pd.concat([_lines(self._waiting), new.loc[~is_right, list(LINE)]], ignore_index=True)
        yield self._settle(right, waiting, timerValues)

    def handleExpiredTimer(
        self, key: Key, timerValues: TimerValues, expiredTimerInfo: ExpiredTimerInfo
    ) -> Iterator[pd.DataFrame]:
        """Give the left rows that the watermark has passed."""
        yield self._settle(_lines(self._right), _lines(self._waiting), timerValues)

    def close(self) -> None:
        """Nothing is open."""

    def _settle(self, right: pd.DataFrame, waiting: pd.DataFrame, timers: TimerValues) -> pd.DataFrame:
        passed_ms = timers.getCurrentWatermarkInMs()
        right = right.sort_values([AT, TIE], kind="stable", ignore_index=True)
        is_settled = waiting[AT] <= passed_ms * 1000
        found = self._met(waiting[is_settled], right)
        _keep(self._waiting, waiting[~is_settled])
        _keep(self._right, _still_wanted(right, passed_ms * 1000 - self._wait_us))
        if not is_settled.all():
            self._wake_at(-(-int(waiting.loc[~is_settled, AT].min()) // 1000))
        return found

    def _wake_at(self, when_ms: int) -> None:
        for timer in list(self._handle.listTimers()):
            self._handle.deleteTimer(timer)
        self._handle.registerTimer(when_ms)

    def _met(self, left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
        places = newest_before(left[AT].to_numpy(), right[AT].to_numpy(), self._tolerance_us)
        met = right.reindex(places)  # -1 is no label: such rows come out empty
        age = pd.array(left[AT].to_numpy() - met[AT].to_numpy(), dtype="Int64")
        return pd.DataFrame({ROW: left[ROW].to_numpy(), FOUND: met[ROW].to_numpy(), AGE: age})


def _still_wanted(right: pd.DataFrame, horizon_us: int) -> pd.DataFrame:
    """Of right rows in order, those after the horizon and the last one at or before it."""
    first = max(int(np.searchsorted(right[AT].to_numpy(), horizon_us, side="right")) - 1, 0)
    return right.iloc[first:]


def _lines(state: ValueState) -> pd.DataFrame:
    """What a state holds, as it was kept."""
    kept = state.get()
    at, tie, row = json.loads(kept[0]) if kept else ([], [], [])
    return pd.DataFrame({AT: np.array(at, np.int64), TIE: np.array(tie, np.int64), ROW: pd.Series(row, dtype=object)})


def _keep(state: ValueState, lines: pd.DataFrame) -> None:
    if len(lines):
        state.update((json.dumps([lines[name].tolist() for name in LINE]),))
    elif state.exists():
        state.clear()
