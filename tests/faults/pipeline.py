"""The pipeline inside the test process: real queries that drain, or the batch writers called directly, batch by
batch.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from jobs.stream import stream_until
from lakehouse.lake import Lake
from lakehouse.settings import (
    FilesSettings,
    Paths,
    ReferenceSettings,
    Settings,
    SourceSettings,
    SparkSettings,
    StreamSettings,
)
from lakehouse.tables.silver import TRADES
from streaming import bars, refine
from streaming.bars import BarState, first_state
from streaming.judge import Rules
from streaming.refine import BatchName
from streaming.rules import bar_rules, read_rules
from tests.conftest import made_once
from tests.faults.oracle import Answer, Counts, answer, bronze_records, lake_differences
from tests.faults.reference import load_reference, reference, write_dialects

QUERIES = ("ingest", "refine", "bars")
NOW = datetime(2025, 1, 1, tzinfo=UTC)


class Crash(Exception):
    """Stands for the death of the process at a crash point."""


def settings_in(root: Path, *, files_per_trigger: int = 1000, bytes_per_trigger: str = "256m") -> Settings:
    """Settings whose every path lies under `root`, with the harness' sale conditions."""
    root.mkdir(parents=True, exist_ok=True)
    write_dialects(root / "dialects.yaml")
    return Settings(
        paths=Paths(**{name: str(root / name) for name in Paths.model_fields} | {"warehouse": str(root / "lake")}),
        spark=SparkSettings(shuffle_partitions=1),
        source=SourceSettings(files=FilesSettings(max_files_per_trigger=files_per_trigger)),
        stream=StreamSettings(max_bytes_per_trigger=bytes_per_trigger, refine_bytes_per_trigger=bytes_per_trigger),
        reference=ReferenceSettings(sale_conditions=str(root / "dialects.yaml")),
    )


@dataclass
class Streamed:
    """A lake with its landing folder and checkpoints, fed by the three real queries."""

    spark: SparkSession
    settings: Settings

    @property
    def root(self) -> Path:
        """The folder of the lake."""
        return Path(self.settings.paths.warehouse)

    @property
    def landing(self) -> Path:
        """The folder that files land in."""
        return Path(self.settings.paths.landing)

    @property
    def lake(self) -> Lake:
        """The lake as the pipeline sees it."""
        return Lake(self.spark, str(self.root))

    def checkpoint(self, query: str) -> Path:
        """The checkpoint folder of a query."""
        return Path(self.settings.checkpoint(query))

    def drain(self, queries: Sequence[str] = QUERIES, *, allow_replay: bool = False) -> None:
        """Run the queries until everything that has landed is read."""
        stream_until(
            self.spark, self.settings, threading.Event(), drain=True, queries=queries, allow_replay=allow_replay
        )

    def copy(self, to: Path) -> Streamed:
        """The same lake and checkpoints elsewhere, over the same landing folder; what is done there stays there."""
        settings = settings_in(to)
        shutil.copytree(self.root, settings.paths.warehouse)
        shutil.copytree(self.settings.paths.checkpoints, settings.paths.checkpoints)
        paths = settings.paths.model_copy(update={"landing": self.settings.paths.landing})
        return Streamed(self.spark, settings.model_copy(update={"paths": paths}))

    def expected(self) -> Answer:
        """What the oracle makes of bronze."""
        return answer(bronze_records(self.root), reference())

    def differences(self) -> list[str]:
        """In what the lake differs from the oracle's answer to its bronze."""
        return lake_differences(self.root, self.expected())


@dataclass
class Direct:
    """The batch writers of refine and bars, called with the batches a test wants, on an empty lake with reference
    data.
    """

    lake: Lake
    settings: Settings
    rules: Rules = field(init=False)
    state: BarState = field(init=False)
    fed: list[pa.Table] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rules = read_rules(self.lake, self.settings)
        self.state = first_state(self.lake)
        self.memory = refine.Memory()

    def refine(self, records: pa.Table, batch: int, *, generation: int = 0) -> None:
        """One batch of the refine query, as if bronze had just taken in these records."""
        if not any(records is one for one in self.fed):
            self.fed.append(records)
        frame = self.lake.spark.createDataFrame(records)
        refine.refine_batch(self.lake, frame, self.rules, BatchName("refine", generation, batch), self.memory)

    def repeat(self, records: pa.Table, batch: int, *, generation: int = 0) -> None:
        """The same batch again, as after a crash before its checkpoint was written: nothing is remembered."""
        self.memory = refine.Memory()
        self.refine(records, batch, generation=generation)

    def fold(self, batch: int, *, silver: Sequence[int], generation: int = 0) -> None:
        """One batch of the bars query, over the silver rows of these refine batches."""
        rows = self.lake.read(TRADES).where(f"batch IN ({', '.join(map(str, silver))})")
        name = BatchName("bars", generation, batch)
        bars.bars_batch(self.lake, rows, bar_rules(self.rules, self.settings), name, self.state, now=NOW)

    def restart_bars(self) -> None:
        """Forget what the bars query remembers between batches."""
        self.state = first_state(self.lake)

    def expected(self) -> Answer:
        """What the oracle makes of everything that was fed, each batch once."""
        return answer(pa.concat_tables(self.fed), reference())

    def differences(self, *, tables: Sequence[str] = ("silver", "gold")) -> list[str]:
        """In what the lake differs from the oracle's answer."""
        right = self.expected()
        found = [line for line in lake_differences(self.lake.root, right) if line.startswith(tuple(tables))]
        return found + conservation_differences(self.lake.root, right.counts)


def harness_lake(spark: SparkSession, empty_lake: Path, to: Path) -> Lake:
    """A lake of one's own with every table empty but for the harness' reference data, which is loaded once a run."""
    template = made_once(empty_lake.with_name("harness_lake"), lambda aside: _with_reference(spark, empty_lake, aside))
    shutil.copytree(template, to)
    return Lake(spark, str(to))


def _with_reference(spark: SparkSession, empty_lake: Path, to: Path) -> None:
    shutil.copytree(empty_lake, to)
    load_reference(Lake(spark, str(to)))


def committed_counts(root: Path | str) -> list[dict[str, int]]:
    """Of each commit of silver.trades that carries a conservation: its terms, and the rows Delta says it appended."""
    found = []
    for path in sorted((Path(root) / "silver" / "trades" / "_delta_log").glob("*.json")):
        for line in path.read_text().splitlines():
            info = json.loads(line).get("commitInfo", {})
            if info.get("userMetadata"):
                appended = int(info["operationMetrics"].get("numOutputRows", 0))
                found.append({**json.loads(info["userMetadata"]), "appended": appended})
    return found


def conservation_differences(root: Path | str, right: Counts) -> list[str]:
    """Whether the equation holds in every commit, and whether the commits add up to the oracle's counts."""
    commits = committed_counts(root)
    found = [
        f"conservation does not hold: {one}"
        for one in commits
        if one["decoded"] + one["undecodable"] != one["appended"] + one["quarantined"] + one["duplicates"]
    ]
    wanted = {
        "decoded": right.decoded, "undecodable": right.undecodable, "control": right.control,
        "appended": right.silver, "quarantined": right.quarantined, "duplicates": right.duplicates,
    }  # fmt: skip
    for name, count in wanted.items():
        total = sum(one[name] for one in commits)
        if total != count:
            found.append(f"conservation: {name} is {total} over {len(commits)} commits, expected {count}")
    return found
