"""Refine: bronze records to judged, de-duplicated prints in silver.trades; what is refused to silver.quarantine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.crashpoints import crashpoint
from lakehouse.kernels.fingerprints import Points
from lakehouse.lake import Lake
from lakehouse.tables.silver import QUARANTINE, TRADES
from lakehouse.workers import in_arrow
from streaming.batches import BatchName, Longs, session_for
from streaming.judge import CONTROL, JUDGED_DDL, UNDECODABLE, Rules, judge_batches
from streaming.outline import KINDS, PRINTS, REFUSALS, Kind, Outline, new_points, second_copies
from streaming.parcels import NEEDED, Wanted, prints_of, refusals_of, told_of
from streaming.progress import NUMBER, RECORDS, SKEW
from streaming.seen import Seen
from streaming.turns import Turns

PRINTS_IN_A_FILE = 500_000  # some 12 MB: the bars query folds whole files, in the driver


@dataclass
class Memory:
    """What a refine query keeps in mind between batches: the keys both tables hold. All of it can be read again."""

    points: Points = field(default_factory=new_points)
    seen: Mapping[Kind, Seen] = field(init=False)

    def __post_init__(self) -> None:
        self.seen = {kind: Seen(kind, self.points) for kind in KINDS}


def judge(records: DataFrame, rules: Rules) -> DataFrame:
    """Bronze records to one row per print, refusal and control frame; `row` names a row within the batch."""
    judged = in_arrow(records.select(*NEEDED), partial(judge_batches, rules=rules), JUDGED_DDL)
    return judged.withColumn("row", F.monotonically_increasing_id())


def refine_batch(
    lake: Lake, records: DataFrame, rules: Rules, name: BatchName, memory: Memory | None = None
) -> dict[str, int]:
    """Write one batch of bronze records to quarantine and silver, safe to repeat; returns what it counted.

    Which rows are second copies is settled, as plain numbers, before anything is written: nothing that is appended
    derives from the table it is appended to.
    """
    memory = memory or Memory()
    told = told_of(records, rules, memory.points)
    parts = {kind: told.outline.of(kind) for kind in KINDS}
    second = {kind: second_copies(part, memory.seen[kind].holds(lake, part, name)) for kind, part in parts.items()}
    wanted = {kind: Wanted.of(part, second[kind]) for kind, part in parts.items()}
    counts = conservation(told.outline, parts, second)
    crashpoint("refine.before_quarantine")
    if counts["quarantined"]:
        refused = refusals_of(records, told, rules, wanted[REFUSALS], batch=name.number)
        lake.append(QUARANTINE, refused, **name.transaction(QUARANTINE.full_name))
    crashpoint("refine.after_quarantine")
    append_prints(lake, prints_of(records, rules, wanted[PRINTS], batch=name.number), name, counts)
    crashpoint("refine.after_silver")
    for kind, part in parts.items():
        memory.seen[kind].add(part.at(np.setdiff1d(np.arange(len(part)), second[kind])))
    return {**counts, RECORDS: told.records, NUMBER: name.number}


def conservation(outline: Outline, parts: Mapping[Kind, Outline], second: Mapping[Kind, Longs]) -> dict[str, int]:
    """The equation of a batch: decoded + undecodable = appended + quarantined + duplicates; control frames apart.

    `appended` is not in here: Delta counts it itself, in the operation metrics of the commit that carries the rest.
    """
    undecodable, control = outline.count(UNDECODABLE), outline.count(CONTROL)
    return {
        "decoded": len(outline) - undecodable - control,
        "undecodable": undecodable,
        "control": control,
        "quarantined": len(parts[REFUSALS]) - len(second[REFUSALS]),
        "duplicates": sum(len(rows) for rows in second.values()),
        "newest_ms": int(outline["received_us"].max(initial=0)) // 1000,
        **skew(parts[PRINTS]),
    }


def skew(prints: Outline) -> dict[str, int]:
    """The median time from trade to receipt, in ms: far from zero where the clock of a feed or of its source is off.

    Late prints do not move a median; without prints there is none.
    """
    if not len(prints):
        return {}
    return {SKEW: int(np.median(prints["received_us"] - prints["instant_us"])) // 1000}


def append_prints(lake: Lake, prints: DataFrame, name: BatchName, counts: dict[str, int]) -> None:
    """Append the prints of a batch to silver, its conservation in the same commit."""
    metadata = json.dumps({"batch": name.number, **counts}, sort_keys=True)
    sized = {"userMetadata": metadata, "maxRecordsPerFile": str(PRINTS_IN_A_FILE)}
    lake.append(TRADES, prints, **sized, **name.transaction(TRADES.full_name))


def refine_writer(
    lake: Lake,
    rules: Callable[[], Rules],
    generation: int,
    report: Callable[[int, dict[str, int]], None],
    turns: Turns | None = None,
) -> Callable[[DataFrame, int], None]:
    """The batch writer of the refine query; `rules` is asked anew for each batch, `report` hears each conservation."""

    memory = Memory()

    def write(records: DataFrame, batch_id: int) -> None:
        if turns:
            turns.begin("refine")
        name = BatchName("refine", generation, batch_id)
        own = Lake(session_for(records, lake.spark), lake.root)
        report(batch_id, refine_batch(own, records, rules(), name, memory))

    return write
