"""A lake in which a market has been played, batch by batch, for tests of what operators do with it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from lakehouse.lake import Lake
from lakehouse.settings import Settings
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.silver import TRADES
from streaming.bars import bars_batch, first_state
from streaming.batches import BatchName
from streaming.judge import Listings, Rules
from streaming.refine import refine_batch
from streaming.rules import bar_rules, read_rules
from tests.faults.market import Record, market, raw_records, renamed
from tests.faults.oracle import Answer, actual_silver, answer, bronze_records, delta_rows, differences
from tests.faults.pipeline import NOW, harness_lake, settings_in
from tests.faults.reference import reference

SMALL_PAYLOAD = 450  # bytes; larger records are refused as a whole by the strict rules


class Played:
    """A lake with its settings, and the batch writers to play more into it."""

    def __init__(self, spark: SparkSession, root: Path, rules: Rules | None = None) -> None:
        """Over an existing lake below `root`; `rules` where they are known spares reading them from it."""
        self.root = root
        self.settings: Settings = settings_in(root)
        self.lake = Lake(spark, self.settings.paths.warehouse)
        self.rules: Rules = rules or read_rules(self.lake, self.settings)

    @classmethod
    def fresh(cls, spark: SparkSession, root: Path, empty_lake: Path) -> Played:
        """An empty lake with the harness' reference data."""
        harness_lake(spark, empty_lake, Path(settings_in(root).paths.warehouse))
        return cls(spark, root)

    def copy(self, to: Path) -> Played:
        """The same lake elsewhere; what is done there stays there."""
        shutil.copytree(self.root, to, dirs_exist_ok=True)
        return Played(self.lake.spark, to, self.rules)

    def fold(self, batch: int, *, silver: Sequence[int]) -> None:
        """One batch of a bars query that has just started, over the silver rows of these refine batches."""
        rows = self.lake.read(TRADES).where(f"batch IN ({', '.join(map(str, silver))})")
        rules, name = bar_rules(self.rules, self.settings), BatchName("bars", 0, batch)
        bars_batch(self.lake, rows, rules, name, first_state(self.lake), now=NOW)

    @property
    def strict_rules(self) -> Rules:
        """Rules under which AAPL is unknown and longer records are too large."""
        known = {ticker: listing for ticker, listing in self.rules.listings.by_ticker.items() if ticker != "AAPL"}
        return replace(self.rules, listings=Listings(known), max_payload_bytes=SMALL_PAYLOAD)

    def play(self, records: list[Record], batch: int, rules: Rules, *, shard: str, generation: int = 0) -> None:
        """Take records into bronze and refine them as one batch."""
        frame = self.take_in(records, shard=shard)
        refine_batch(self.lake, frame, rules, BatchName("refine", generation, batch))

    def take_in(self, records: list[Record], *, shard: str) -> DataFrame:
        """Take records into bronze only; returns them as a frame."""
        frame = self.lake.spark.createDataFrame(raw_records(records, shard=shard))
        rows = frame.selectExpr("*", "CAST(NULL AS STRING) AS partition_key")
        self.lake.append(MARKET_EVENTS, rows.select(*MARKET_EVENTS.column_names))
        return frame

    def expected(self) -> Answer:
        """What the oracle makes of bronze under the full rules."""
        return answer(bronze_records(self.lake.root), reference())

    def expected_strictly(self) -> Answer:
        """What the oracle makes of bronze under the strict rules."""
        known = reference()
        listings = known.listings.filter(pc.not_equal(known.listings["ticker"], "AAPL"))
        return answer(bronze_records(self.lake.root), replace(known, listings=listings), max_bytes=SMALL_PAYLOAD)

    def silver_differences(self) -> list[str]:
        """In what silver, and the places of the refusals that still stand, differ from the oracle."""
        right = self.expected()
        standing = delta_rows(
            self.lake.root, "silver.quarantine",
            "SELECT bronze_ref, position FROM rows WHERE resolved_batch IS NULL",
        )  # fmt: skip
        places = right.refusals.select(["bronze_ref", "position"])
        return differences(right.silver, actual_silver(self.lake.root)) + differences(places, standing)

    def unfolded(self, after: int) -> list[int]:
        """Batches of silver above one, in order."""
        rows = self.lake.read(TRADES).where(f"batch > {after}").select("batch").distinct().collect()
        return sorted(row[0] for row in rows)


def more_market(seed: int, prints: int) -> list[Record]:
    """Another market, whose prints have ids of their own."""
    return renamed(market(seed, prints), "z")
