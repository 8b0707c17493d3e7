"""Ingest: the records of the source, verbatim, into bronze, each batch once."""

from __future__ import annotations

import json
from collections.abc import Callable

from pyspark.sql import DataFrame

from lakehouse.crashpoints import crashpoint
from lakehouse.errors import CheckpointError
from lakehouse.lake import Lake
from lakehouse.tables import Table
from lakehouse.tables.bronze import MARKET_EVENTS
from streaming.batches import BatchName
from streaming.progress import WAITED
from streaming.turns import Turns

RECENT_COMMITS = 50


def ingest_writer(
    lake: Lake,
    generation: int,
    broken_off: int | None,
    report: Callable[[int, dict[str, int]], None],
    turns: Turns | None = None,
) -> Callable[[DataFrame, int], None]:
    """The batch writer of the ingest query; `broken_off` is the batch its last run began and did not finish.

    Only that batch can be in bronze already, so only for it anybody looks: Delta's own sink looks for each, and
    rebuilds the table's state to do so (DECISIONS 20). With `turns` a batch ends when it has come to gold.bars.
    """

    def write(records: DataFrame, batch_id: int) -> None:
        name = BatchName("ingest", generation, batch_id)
        own = Lake(records.sparkSession, lake.root)
        if batch_id == broken_off and was_written(own, MARKET_EVENTS, name):
            return
        own.append(MARKET_EVENTS, records, userMetadata=json.dumps({"batch": name.number}))
        crashpoint("ingest.after_bronze")
        if turns:
            report(batch_id, {WAITED: turns.wait()})

    return write


def was_written(lake: Lake, table: Table, name: BatchName) -> bool:
    """Whether the log of a table names this batch. The numbers in it rise, so the first lower one ends the search."""
    for commits in (RECENT_COMMITS, None):
        rows = lake.delta(table).history(commits).select("version", "userMetadata").collect()
        numbers = [number for row in rows if (number := labelled(row["userMetadata"])) is not None]
        if name.number in numbers:
            return True
        if any(number < name.number for number in numbers) or any(row["version"] == 0 for row in rows):
            return False
    raise CheckpointError(
        f"{table.full_name}: batch {name.batch_id} of {name.query!r} was begun by an earlier run, and the table's log "
        f"no longer reaches back to say whether it was written. Nothing was read or written. Move the checkpoint of "
        f"{name.query!r} away and start with --allow-replay, which reads everything again without doubling a row."
    )


def labelled(text: str | None) -> int | None:
    """The batch number a commit's metadata names; None where it names none, whoever wrote it."""
    try:
        said = json.loads(text or "")
    except ValueError:
        return None
    number = said.get("batch") if isinstance(said, dict) else None
    return number if type(number) is int else None
