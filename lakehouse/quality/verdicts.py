"""Verdicts on tables: what was expected, what was found, what follows; stored in gold.quality_results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import functions as F

from lakehouse.errors import QualityError
from lakehouse.lake import Lake
from lakehouse.tables import Table
from lakehouse.tables.quality import QUALITY_RESULTS

BLOCK, FLAG = "block", "flag"
WHOLE = "whole"
SHOWN = 5


@dataclass(frozen=True)
class Run:
    """One run of checks."""

    run_id: str
    ran_at: datetime


@dataclass(frozen=True)
class Verdict:
    """Whether one expectation held of one version of a table; `unexpected` is NULL where nothing could be counted."""

    table: str
    version: int
    scope: str
    expectation: str
    columns: str
    expected: str
    success: bool
    unexpected: int | None
    observed: str
    severity: str = BLOCK

    @property
    def blocks(self) -> bool:
        """Whether it stands in the way of what builds on the table."""
        return not self.success and self.severity == BLOCK

    def __str__(self) -> str:
        about = f" ({self.columns})" if self.columns else ""
        return f"{self.expectation}{about}: expected that {self.expected}; found {self.observed}"


def store(lake: Lake, run: Run, verdicts: Iterable[Verdict]) -> None:
    """Append one row for each verdict."""
    rows = [
        (run.run_id, one.table, one.version, one.scope, one.expectation, one.columns, one.severity, one.success,
         one.unexpected, one.observed, one.expected, run.ran_at)
        for one in verdicts
    ]  # fmt: skip
    lake.append(QUALITY_RESULTS, lake.spark.createDataFrame(rows, QUALITY_RESULTS.schema).coalesce(1))


def require_held(verdicts: Sequence[Verdict]) -> None:
    """Refuse to go on where an expectation that blocks did not hold; names the first few of each table."""
    broken = [one for one in verdicts if one.blocks]
    if not broken:
        return
    shown = "".join(f"\n  {one.table} version {one.version}: {one}" for one in broken[:SHOWN])
    more = f"\n  and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
    tables = " ".join(sorted({one.table for one in broken}))
    raise QualityError(
        f"{tables.replace(' ', ', ')}: {len(broken)} expectations do not hold.{shown}{more}\nThe rows were written and "
        f"stay as they are; nothing was repaired, and what requires these tables will not read them. Find the rows "
        f"by the rule in docs/data-dictionary.md, mend what wrote them, build again, then run `tickhouse "
        f"check-quality {tables}`."
    )


def require_quality(lake: Lake, tables: Iterable[Table]) -> dict[str, int]:
    """Refuse tables unless their rows, as they are now, were judged whole and held. Which version of each that was.

    A judgement counts for the version it was of. Read those versions (`Lake.pinned`): by then there may be a newer one.
    """
    wanted = list(tables)
    unjudged = not_judged(lake, wanted)
    if unjudged:
        told = "; ".join(f"{name} {why}" for name, why in unjudged.items())
        raise QualityError(
            f"{', '.join(unjudged)}: expected a judgement of the rows that are there in {QUALITY_RESULTS.full_name}: "
            f"{told}. Nothing was read or written. Run `tickhouse check-quality {' '.join(unjudged)}`."
        )
    verdicts = newest_verdicts(lake, [table.full_name for table in wanted])
    require_held(verdicts)
    return {one.table: one.version for one in verdicts}


def not_judged(lake: Lake, tables: Iterable[Table]) -> dict[str, str]:
    """Tables whose rows, as they are now, nobody has judged, and what is there instead."""
    by_name = {table.full_name: table for table in tables}
    versions = {one.table: one.version for one in newest_verdicts(lake, list(by_name))}
    found = dict.fromkeys(sorted(set(by_name) - set(versions)), "was never judged whole")
    for name, version in sorted(versions.items()):
        if lake.has_other_rows(by_name[name], version):
            found[name] = f"was judged at version {version}, and version {lake.version(by_name[name])} has other rows"
    return found


def newest_verdicts(lake: Lake, tables: Sequence[str]) -> list[Verdict]:
    """What the newest run that judged the whole of it found of each table. Flags are no judgement."""
    of_these = F.col("table_name").isin(list(tables)) & (F.col("scope") == WHOLE) & (F.col("severity") == BLOCK)
    results = lake.read(QUALITY_RESULTS).where(of_these)
    newest = results.groupBy("table_name").agg(F.max_by("run_id", F.struct("ran_at", "run_id")).alias("run_id"))
    rows = results.join(newest, on=["table_name", "run_id"], how="left_semi").collect()
    found = (
        Verdict(
            row["table_name"], row["table_version"], row["scope"], row["expectation"], row["column_name"],
            row["expected"], row["success"], row["unexpected"], row["observed"], row["severity"],
        )
        for row in rows
    )  # fmt: skip
    return sorted(found, key=lambda one: (one.table, one.expectation, one.columns))
