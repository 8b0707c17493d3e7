"""How far a query has come: what of the Delta table it streams from its committed batches surely hold."""

from __future__ import annotations

import json

from pyspark.sql import functions as F

from lakehouse.compare import NOTHING
from lakehouse.lake import Lake
from lakehouse.tables.silver import TRADES


def consumed_version(lake: Lake, checkpoint: str) -> int:
    """The newest version of its source that a query has read to the end and committed; -1 where there is none yet.

    A batch that is planned but not committed does not count: it may or may not have reached the query's table.
    """
    root = checkpoint.rstrip("/")
    committed = [int(name) for name in lake.files.names(f"{root}/commits") if name.isdigit()]
    if not committed:
        return NOTHING
    lines = lake.files.read_text(f"{root}/offsets/{max(committed)}").splitlines()
    return fully_read(json.loads(lines[2]))


def fully_read(offset: dict[str, int | bool]) -> int:
    """The last version before a Delta source's offset; a first snapshot that is half read counts for nothing.

    The offset names the version that comes next. With an index of 0 and more a part of it has been read already.
    """
    return NOTHING if offset["isStartingVersion"] else int(offset["reservoirVersion"]) - 1


def consumed_batch(lake: Lake, checkpoint: str) -> int:
    """The last silver batch that the bars query has surely folded, -1 where there is none."""
    version = consumed_version(lake, checkpoint)
    if version == NOTHING:
        return NOTHING
    found = lake.read(TRADES, version=version).agg(F.max("batch")).collect()[0][0]
    return NOTHING if found is None else int(found)
