"""Upkeep of tables: compaction, clustering where declared, and VACUUM with the declared retention.

These are writers like any other: the caller holds the lease of the table's owner, or is the owner between two batches.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from types import TracebackType

import delta.exceptions.captured  # noqa: F401 - until this is imported, Delta's conflicts are raised as py4j's errors
from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentWriteException,
    MetadataChangedException,
)
from pyspark import InheritableThread

from lakehouse.lake import Lake
from lakehouse.session import set_for_now
from lakehouse.tables import Table
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import TRADES

LOGGER = logging.getLogger("tickhouse.maintenance")
MIN_FILE_SIZE, MAX_FILE_SIZE = (f"spark.databricks.delta.optimize.{name}FileSize" for name in ("min", "max"))
# VACUUM lists a table's folders in as many tasks as this says. Spark's 10,000 cost 50 s of CPU for a table of one file.
LISTING_TASKS, FOLDERS_AT_ONCE = "spark.sql.sources.parallelPartitionDiscovery.parallelism", 8
LOST_RACES = (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentWriteException,
    MetadataChangedException,
)
MEGABYTE = 1024 * 1024
PACKING, SOON_SECONDS = "tickhouse-packing", 2.0
# Between batches only small files are packed, or each pass would write the whole table anew. Those of gold.bars are
# left alone: a MERGE rewrites whole files, and keeps those it works on small.
SMALL_FILES = ((TRADES, 32 * MEGABYTE),)
# A correction of an old bar rewrites its whole file, so packed files of bars stay of this size.
PACKED = {BARS.full_name: 64 * MEGABYTE}


@dataclass(frozen=True)
class Footprint:
    """What a table weighs: files and bytes of its newest version, and of everything that lies in its folder."""

    live_files: int
    live_bytes: int
    stored_files: int
    stored_bytes: int


@dataclass(frozen=True)
class Upkeep:
    """What was done to one table."""

    table: str
    before: Footprint
    after: Footprint
    rewritten_files: int
    vacuumed_files: int


def footprint(lake: Lake, table: Table) -> Footprint:
    """Count and weigh the files of a table."""
    detail = lake.delta(table).detail().select("numFiles", "sizeInBytes").collect()[0]
    stored = [one for one in lake.files.entries(lake.path(table)) if one.name.endswith(".parquet")]
    return Footprint(int(detail[0]), int(detail[1]), len(stored), sum(one.size for one in stored))


def maintain(lake: Lake, table: Table) -> Upkeep:
    """Pack small files (clustered tables are clustered), then delete what no version within the retention needs."""
    before = footprint(lake, table)
    rewritten = compact(lake, table)
    packed = footprint(lake, table)
    with set_for_now(lake.spark, {LISTING_TASKS: str(FOLDERS_AT_ONCE)}):
        lake.delta(table).vacuum(float(table.retention_hours))
    after = footprint(lake, table)
    return Upkeep(table.full_name, before, after, rewritten, packed.stored_files - after.stored_files)


def compact(lake: Lake, table: Table) -> int:
    """Pack small files into larger ones; returns how many files were replaced. Readers of the table notice nothing."""
    size = PACKED.get(table.full_name)
    with set_for_now(lake.spark, {name: str(size) for name in (MIN_FILE_SIZE, MAX_FILE_SIZE) if size}):
        metrics = lake.delta(table).optimize().executeCompaction().select("metrics.numFilesRemoved").collect()
    return int(metrics[0][0])


def pack_small_files(lake: Lake) -> None:
    """Pack the small files of silver.trades.

    Appends to silver by another query of the same driver go on beside this: they and a compaction never conflict.
    Should one lose a race all the same, the next pass makes up for it.
    """
    for table, size in SMALL_FILES:
        try:
            with set_for_now(lake.spark, {MIN_FILE_SIZE: str(size)}):
                compact(lake, table)
        except LOST_RACES as error:
            LOGGER.warning("%s: small files stay as they are until the next pass (%s).", table.full_name, error)


class Packer:
    """Packs the small files of a running stream after every so many batches, beside them: no batch waits for it.

    One pass runs at a time; one that is due while another runs is left out. Whoever runs the stream holds the lease.
    """

    def __init__(self, lake: Lake, *, every: int) -> None:
        self._lake, self._every = lake, every
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Packer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up a pass that does not end soon: what it has written is in no version, and VACUUM takes it away."""
        if self._thread:
            self._thread.join(SOON_SECONDS)
            self._lake.spark.sparkContext.cancelJobGroup(PACKING)
            self._thread.join(SOON_SECONDS)

    def after_batch(self, batch_no: int) -> None:
        """Begin a pass if it is time for one."""
        is_due = self._every and (batch_no + 1) % self._every == 0
        if is_due and not (self._thread and self._thread.is_alive()):
            self._thread = InheritableThread(target=self._pass, name=PACKING, daemon=True)
            self._thread.start()

    def _pass(self) -> None:
        spark = self._lake.spark.newSession()
        spark.sparkContext.setJobGroup(PACKING, "small files of the stream", interruptOnCancel=True)
        try:
            pack_small_files(Lake(spark, self._lake.root))
        except Exception as error:  # noqa: BLE001 - upkeep must not end the stream it serves; the next pass tries again
            LOGGER.warning(
                "Small files were not packed, and stay until the next pass: %s", str(error).partition("\n")[0]
            )
