"""Replay what was refused: judge quarantined records again by the rules as they are now, and settle what passes.

One run is one batch of silver under a generation of its own: it takes generation g + 1 and leaves g + 2 to the stream,
so `batch` goes on rising and the bars query finds the new rows by streaming. What was judged is laid down beside the
checkpoints before silver is written; a run that broke off after the append is finished from there by the next one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.conservation import silver_history
from lakehouse.crashpoints import crashpoint
from lakehouse.gold_bars import delta_transaction
from lakehouse.lake import Lake
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.silver import QUARANTINE, TRADES
from streaming.batches import BatchName, Longs, in_spans, rows_in
from streaming.identity import claim, next_generation
from streaming.judge import CONTROL, JUDGED_DDL, PRINT, REFUSED, UNDECODABLE, Rules
from streaming.outline import PRINTS, Outline, new_points, outline_of, second_copies
from streaming.refine import append_prints, judge
from streaming.seen import Seen

PLACE = QUARANTINE.key
ROWS = f"{JUDGED_DDL}, row bigint, opened boolean"
PLACES = "bronze_ref string, position int"
WHOLE_RECORD = -1
RECENT_COMMITS = 1000  # a run that broke off is found among these commits of silver


@dataclass(frozen=True)
class Wanted:
    """Which refusals to replay: those with this reason code, and those that arrived since; None means all."""

    reason: str | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """A replay laid down on disk: rows that go to silver or back to quarantine, and the places that are settled.

    A settled place is a print that is accepted now, or a whole record that can be decoded now. Of such a record every
    row is `opened`: it was not counted before.
    """

    lake: Lake
    folder: str

    @property
    def rows(self) -> DataFrame:
        """Judged rows, with `opened`."""
        return self.lake.spark.read.schema(ROWS).parquet(f"{self.folder}/rows")

    @property
    def settled(self) -> DataFrame:
        """The places in quarantine that are settled, with `position` -1 for whole records."""
        return self.lake.spark.read.schema(PLACES).parquet(f"{self.folder}/settled")

    @property
    def name_path(self) -> str:
        """The file that names the batch once silver may be written."""
        return f"{self.folder}/batch.json"


def unresolved(lake: Lake, wanted: Wanted) -> DataFrame:
    """The refusals to replay: place, arrival and reasons."""
    refused = lake.read(QUARANTINE).where("resolved_batch IS NULL")
    if wanted.reason is not None:
        refused = refused.where(F.array_contains(F.split("reasons", ","), wanted.reason))
    if wanted.since is not None:
        refused = refused.where(F.col("arrived_at") >= F.lit(wanted.since))
    return refused.select(*PLACE, "arrived_at", "reasons")


def records_of(lake: Lake, refused: DataFrame) -> DataFrame:
    """The bronze records of refusals, each once: bronze may hold one twice after an allowed replay."""
    first, last = refused.agg(F.min("arrived_at"), F.max("arrived_at")).collect()[0]
    spans = () if first is None else ((first, last),)
    ref = F.concat_ws("/", "stream", "shard", "sequence")
    records = lake.read(MARKET_EVENTS).where(in_spans("arrived_at", spans)).withColumn("bronze_ref", ref)
    found = records.join(refused.select("bronze_ref").distinct(), on="bronze_ref", how="left_semi")
    return found.dropDuplicates(["bronze_ref"])


def judged_again(refused: DataFrame, records: DataFrame, rules: Rules) -> DataFrame:
    """The rows of these records that matter: those at a refused place, and every row of a record refused as a whole."""
    places = refused.select(*PLACE).withColumn("was_refused", F.lit(True))
    whole = refused.where(F.col("position") == WHOLE_RECORD).select("bronze_ref").distinct()
    judged = judge(records, rules).join(places, on=list(PLACE), how="left")
    judged = judged.join(whole.withColumn("opened", F.lit(True)), on="bronze_ref", how="left")
    wanted = judged.where("was_refused OR opened").drop("was_refused")
    return wanted.withColumn("opened", F.coalesce("opened", F.lit(False)))


def settled_places(refused: DataFrame, records: DataFrame, rows: DataFrame) -> DataFrame:
    """Of the refusals those that are settled: prints accepted now, and records that can be decoded now."""
    prints = rows.where((F.col("verdict") == PRINT) & ~F.col("opened")).select(*PLACE)
    still = rows.where(F.col("verdict") == UNDECODABLE).select("bronze_ref")
    whole = refused.where(F.col("position") == WHOLE_RECORD).select(*PLACE)
    decoded = whole.join(records.select("bronze_ref"), on="bronze_ref", how="left_semi").join(
        still, on="bronze_ref", how="left_anti"
    )
    return prints.union(decoded.select(*PLACE))


def forecast(lake: Lake, rules: Rules, wanted: Wanted) -> list[tuple[str, int, int]]:
    """What a replay would do, by the reasons of today: reasons, refusals, and how many of them would be settled."""
    refused = unresolved(lake, wanted).persist()
    try:
        records = records_of(lake, refused)
        rows = judged_again(refused, records, rules).persist()
        settled = settled_places(refused, records, rows).withColumn("settled", F.lit(1))
        counts = (
            refused.join(settled, on=list(PLACE), how="left")
            .groupBy("reasons")
            .agg(F.count(F.lit(1)).alias("refusals"), F.count("settled").alias("settled"))
            .collect()
        )
        rows.unpersist()
        return sorted((row["reasons"], row["refusals"], row["settled"]) for row in counts)
    finally:
        refused.unpersist()


def reprocess(lake: Lake, rules: Rules, wanted: Wanted, *, refine_checkpoint: str, folder: str) -> dict[str, int]:
    """Replay refusals and return the conservation of the batch; where nothing passes, nothing is written.

    The caller holds the lease of the stream. A lost or foreign checkpoint of refine is refused as the stream would.
    """
    claim(lake, TRADES, "refine", refine_checkpoint, allow_replay=False)
    plan = Plan(lake, folder.rstrip("/"))
    finish_broken_run(plan)
    counts = lay_down(plan, unresolved(lake, wanted), rules)
    if not counts["settled"]:
        lake.files.delete(plan.folder)
        return {**counts, "appended": 0}
    generation = next_generation(lake, TRADES, refine_checkpoint, steps=2).generation - 1
    name = BatchName("reprocess", generation, 0)
    lake.files.replace_text(plan.name_path, json.dumps({"generation": generation, "rules_version": rules.version}))
    second = copies_of_what_is_there(plan, name)
    counts = {**counts, "duplicates": len(second)}
    fresh = rows_in(plan.rows.where(PRINTS.rows), second, keep=False)
    append_prints(lake, fresh.withColumn("batch", F.lit(name.number)).select(*TRADES.column_names), name, counts)
    crashpoint("reprocess.after_silver")
    settle(plan, name, rules.version)
    return {**counts, "appended": counts["prints"] - len(second)}


def copies_of_what_is_there(plan: Plan, name: BatchName) -> Longs:
    """Row numbers of accepted prints that silver held before this batch, or that the plan holds twice."""
    points, columns = new_points(), ("row", "verdict", *TRADES.key, "traded_at", "received_at", "arrived_at", *PLACE)
    rows = plan.rows.where(PRINTS.rows).select(*columns).toArrow()
    outline = Outline.of_tables([outline_of(rows, points)])
    return outline["row"][second_copies(outline, Seen(PRINTS, points).holds(plan.lake, outline, name))]


def lay_down(plan: Plan, refused: DataFrame, rules: Rules) -> dict[str, int]:
    """Judge, write the plan, and count it: the terms of the conservation, and `prints` and `settled`."""
    lake = plan.lake
    records = records_of(lake, refused)
    judged_again(refused, records, rules).write.parquet(f"{plan.folder}/rows")
    settled_places(refused, records, plan.rows).write.parquet(f"{plan.folder}/settled")
    found = plan.rows.groupBy("verdict", "opened").count().collect()
    rows = {(row["verdict"], row["opened"]): int(row["count"]) for row in found}
    is_whole = F.col("position") == WHOLE_RECORD
    whole, settled = plan.settled.agg(F.count_if(is_whole), F.count(F.lit(1))).collect()[0]
    refused_again = rows.get((REFUSED, True), 0)
    return {
        "decoded": rows.get((PRINT, True), 0) + refused_again,
        "undecodable": -whole,
        "control": rows.get((CONTROL, True), 0),
        "quarantined": refused_again - settled,
        "duplicates": 0,
        "prints": rows.get((PRINT, True), 0) + rows.get((PRINT, False), 0),
        "settled": settled,
    }


def settle(plan: Plan, batch: BatchName, rules_version: int) -> None:
    """Mark the settled refusals with the batch, add what opened records have refused; then the plan is done."""
    lake = plan.lake
    settled = plan.settled.withColumn("is_settled", F.lit(True))
    known = [name for name in QUARANTINE.column_names if name in plan.rows.columns]
    refused_again = plan.rows.where(F.col("opened") & (F.col("verdict") == REFUSED)).select(*known)
    refused = refused_again.withColumn("is_settled", F.lit(False))
    changes = settled.unionByName(refused, allowMissingColumns=True)
    number = str(batch.number)
    new_row: dict[str, str | Column] = {name: f"new.{name}" for name in known}
    new_row |= {"rules_version": str(rules_version), "batch": number, "resolved_batch": "NULL"}
    merge = (
        lake.delta(QUARANTINE)
        .alias("old")
        .merge(changes.alias("new"), " AND ".join(f"old.{column} = new.{column}" for column in PLACE))
        .whenMatchedUpdate(condition="new.is_settled AND old.resolved_batch IS NULL", set={"resolved_batch": number})
        .whenNotMatchedInsert(condition="NOT new.is_settled", values=new_row)
    )
    with delta_transaction(lake.spark, batch.transaction(QUARANTINE.full_name)):
        merge.execute()
    crashpoint("reprocess.after_quarantine")
    lake.files.delete(plan.folder)


def finish_broken_run(plan: Plan) -> None:
    """A plan whose batch reached silver is settled now; any other left nothing behind and is forgotten."""
    files = plan.lake.files
    if files.exists(plan.name_path):
        said = json.loads(files.read_text(plan.name_path))
        name = BatchName("reprocess", int(said["generation"]), 0)
        if reached_silver(plan.lake, name):
            settle(plan, name, int(said["rules_version"]))
    files.delete(plan.folder)


def reached_silver(lake: Lake, name: BatchName) -> bool:
    """Whether a batch was committed: silver holds rows of it, or its log says so where all were duplicates."""
    if lake.read(TRADES).where(F.col("batch") == name.number).take(1):
        return True
    return any(one.batch == name.number for one in silver_history(lake, RECENT_COMMITS).commits)
