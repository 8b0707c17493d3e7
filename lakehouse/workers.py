"""What our functions settle first where they run: in Spark's Python workers, which serve one task after another."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from zipimport import zipimporter

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    Task = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]
    GroupTask = Callable[[pa.Table], pa.Table]
    PairTask = Callable[[pa.Table, pa.Table], pa.Table]


FIRST_TASKS = 3
_tasks = count()


def in_arrow(rows: DataFrame, task: Task, schema: str | StructType) -> DataFrame:
    """Rows through a function of Arrow batches; with the two below the one way to Spark's Python workers."""
    return rows.mapInArrow(partial(_settled, task=task), schema)


def groups_in_arrow(rows: DataFrame, key: Sequence[str], task: GroupTask, schema: str | StructType) -> DataFrame:
    """Each group of rows, whole and in no order, through a function of one Arrow table."""

    def settled(group):  # type: ignore[no-untyped-def]  # Spark 4.1 takes hints for a choice of how to call it
        return _settled_group(group, task)

    return rows.groupBy(*key).applyInArrow(settled, schema)


def pairs_in_arrow(
    rows: DataFrame, others: DataFrame, key: Sequence[str], task: PairTask, schema: str | StructType
) -> DataFrame:  # fmt: skip
    """Each group of rows with the other frame's group of the same key, through a function of two Arrow tables."""

    def settled(group, other):  # type: ignore[no-untyped-def]  # as above
        settle()
        return task(group, other)

    return rows.groupBy(*key).cogroup(others.groupBy(*key)).applyInArrow(settled, schema)


def _settled_group(group: Any, task: GroupTask) -> pa.Table:
    settle()
    return task(group)


def _settled(batches: Iterable[pa.RecordBatch], task: Task) -> Iterator[pa.RecordBatch]:
    settle()
    yield from task(batches)


def settle() -> None:
    """What every task of ours does first."""
    trust_archives()
    if next(_tasks) < FIRST_TASKS:
        leave_to_stay()


def leave_to_stay() -> None:
    """Take what lives in this process now out of the garbage collector's sight.

    PySpark collects after each task, and walks over every object of every imported module: 0.1 s. What the first tasks
    find and make (modules, kernels, clients) stays as long as the worker. Later tasks leave nothing that stays, and
    what they were given must be collected.
    """
    gc.freeze()


def trust_archives() -> None:
    """Let this worker keep the archives on its path as it has read them.

    PySpark forgets import caches before each task, and its path holds Spark's own archives (pyspark.zip, py4j, the jar
    of spark-core): Python then reads their lists of files again, entry by entry, for some 150 ms a task (measured:
    92 % of the workers' time in a stream of small batches). None of these files changes while a worker lives.
    """
    for finder in sys.path_importer_cache.values():
        if isinstance(finder, zipimporter):
            finder.invalidate_caches = _nothing  # type: ignore[method-assign]


def _nothing() -> None:
    """There is nothing to forget."""
