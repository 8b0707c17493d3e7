"""Show the whole thing on this machine: a simulated session through Kinesis into bronze, silver and gold.

Starts a Kinesis endpoint of its own on a free port, simulates a market, streams it into Delta tables under
warehouse/demo, checks the result against the simulator's ground truth, and stops everything it started.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as Grid

from jobs._feeding import kinesis_client
from jobs.cli import console, parser, print_json, run, settings_of
from jobs.simulate import load_market, send_market
from jobs.stream import stream_until
from lakehouse.errors import TickhouseError
from lakehouse.lake import Lake
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import QUARANTINE, TRADES
from streaming.emulators import create_stream, kinesis_emulator
from streaming.feeds.simulate import SimulatorConfig

STREAM, SHARDS = "tickhouse-demo", 2
LOCAL_KEY = "local"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = parser(__doc__)
    flags.add_argument("--short", action="store_true", help="a tenth of the trades, for continuous integration")
    flags.add_argument("--seed", type=int, default=7)
    return run(body, flags, argv)


@dataclass
class Steps:
    """Times each step and says what is happening; silent where JSON is wanted."""

    out: Console | None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step, announced and timed."""
        if self.out:
            self.out.print(f"· {name} ...")
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 1)


def body(args: argparse.Namespace) -> None:
    """Everything in order; whatever was started is stopped at the end, come what may."""
    base = settings_of(args)
    root = Path(base.paths.warehouse).parent / "demo"
    shutil.rmtree(root, ignore_errors=True)
    market = SimulatorConfig(seed=args.seed, trades_per_session=10_000 if args.short else 100_000)
    steps = Steps(None if args.json else console())
    with kinesis_emulator() as endpoint:
        settings = demo_settings(base, root, endpoint)
        create_stream(kinesis_client(settings.source.kinesis), STREAM, SHARDS)
        found = run_demo(settings, market, root, steps)
    if args.json:
        print_json({**found, "seconds": steps.seconds})
    else:
        show(found, steps.seconds, root)
    if found["differences"]:
        raise TickhouseError(
            f"{root}: the tables do not agree with the simulator's ground truth: {found['differences']}. The tables "
            f"and the truth folder were kept. This is a bug in Tickhouse; please report it with --seed {args.seed}."
        )


def demo_settings(base: Settings, root: Path, endpoint: str) -> Settings:
    """The settings in force, with every path under the demo's folder and the source set to its own Kinesis."""
    changed = base.model_dump(exclude={"paths", "source"})
    paths = {name: str(root / name) for name in ("checkpoints", "landing", "archive", "logs")}
    kinesis = {"stream": STREAM, "endpoint": endpoint, "access_key": LOCAL_KEY, "secret_key": LOCAL_KEY}
    source = {"kind": "kinesis", "kinesis": kinesis}
    return Settings.model_validate({**changed, "paths": {**paths, "warehouse": str(root / "lake")}, "source": source})


def run_demo(settings: Settings, market: SimulatorConfig, root: Path, steps: Steps) -> dict[str, Any]:
    """Simulate, stream, look. Returns what was found."""
    with spark_session(settings, app_name="tickhouse-demo") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        with steps.step("create tables, load the calendar and the invented companies"):
            load_market(lake, settings, market)
        with steps.step("simulate a market and put it into Kinesis"):
            sent = send_market(settings, market, str(root / "truth"), speed=0)
        with steps.step("stream Kinesis to bronze, bronze to silver, silver to bars"):
            stream_until(spark, settings, threading.Event(), drain=True)
        with steps.step("compare the tables with the ground truth"):
            found = findings(lake, root)
        return {"prints_sent": sent.prints, "records_sent": sent.records, **found}


def findings(lake: Lake, root: Path) -> dict[str, Any]:
    """Row counts, the day's bars, and where the tables differ from what the simulator says must come out."""
    totals = json.loads((root / "truth" / "summary.json").read_text())["totals"]
    bars = lake.read(BARS)
    by_interval = {row["interval"]: row["count"] for row in bars.groupBy("interval").count().collect()}
    trades = lake.read(TRADES)
    refused = lake.read(QUARANTINE).groupBy("reasons").count().orderBy(F.desc("count")).collect()
    counts = {
        MARKET_EVENTS.full_name: lake.read(MARKET_EVENTS).count(),
        TRADES.full_name: trades.count(),
        QUARANTINE.full_name: sum(row["count"] for row in refused),
        BARS.full_name: sum(by_interval.values()),
    }
    expected = {
        TRADES.full_name: totals["prints_distinct"],
        QUARANTINE.full_name: totals["prints_refused"] + totals["records_refused"],
    }
    differences = {
        name: f"expected {wanted:,}, found {counts[name]:,}"
        for name, wanted in expected.items()
        if counts[name] != wanted
    }
    days = bars.where("interval = '1d'").orderBy(F.desc("notional")).limit(8).collect()
    return {
        "rows": counts,
        "bars": by_interval,
        "refused": {row["reasons"]: row["count"] for row in refused},
        "planted": totals,
        "differences": differences,
        "days": [row.asDict() for row in days],
    }


def show(found: dict[str, Any], seconds: dict[str, float], root: Path) -> None:
    """The summary people read."""
    out = console()
    for grid in (_rows_grid(found, root), _days_grid(found), _refused_grid(found), _steps_grid(seconds)):
        out.print(grid)
    planted = found["planted"]
    verdict = "differ from" if found["differences"] else "agree with"
    planted_line = ", ".join(
        f"{planted[name]:,} {word}"
        for name, word in (
            ("prints_delivered", "prints delivered"),
            ("prints_delivered_again", "of them copies"),
            ("late", "late"),
            ("cancelled", "cancelled"),
            ("corrected", "corrected"),
            ("malformed", "malformed"),
        )
    )
    out.print(f"SIMULATED market: {planted_line}.")
    out.print(f"Silver and quarantine {verdict} the ground truth in {root / 'truth'}.\n")
    where = f"--set paths.warehouse={root / 'lake'}"
    out.print("Next:")
    out.print(f"  bin/tickhouse bars ACME --interval 5m --day {_day(found)} {where}")
    out.print(f"  bin/tickhouse report {_day(found)} {where}")
    out.print(f"  bin/tickhouse check-conservation {where} --set paths.checkpoints={root / 'checkpoints'}")
    out.print("  bin/tickhouse                     every job, one line each")


def _day(found: dict[str, Any]) -> str:
    return str(found["days"][0]["session_date"]) if found["days"] else "YYYY-MM-DD"


def _grid(title: str, *columns: str) -> Grid:
    grid = Grid(title=title, title_justify="left")
    for at, column in enumerate(columns):
        grid.add_column(column, justify="left" if at == 0 else "right")
    return grid


def _rows_grid(found: dict[str, Any], root: Path) -> Grid:
    grid = _grid("Tables", "table", "rows", "where")
    for name, rows in found["rows"].items():
        grid.add_row(name, f"{rows:,}", str(root / "lake" / name.replace(".", "/")))
    return grid


def _days_grid(found: dict[str, Any]) -> Grid:
    grid = _grid(
        "Daily bars, the busiest first",
        "symbol",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "vwap",
        "trades",
        "late",
        "cancelled",
        "corrected",
    )
    for bar in found["days"]:
        prices = (_number(bar[name]) for name in ("open", "high", "low", "close"))
        counts = (f"{bar[name]:,}" for name in ("trades", "late_prints", "cancelled_prints", "corrected_prints"))
        grid.add_row(bar["symbol"], *prices, f"{bar['volume']:,.0f}", _number(bar["vwap"]), *counts)
    return grid


def _number(value: Any) -> str:
    return "" if value is None else f"{value:,.2f}"


def _refused_grid(found: dict[str, Any]) -> Grid:
    grid = _grid("Refused, by reason", "reasons", "rows")
    for reasons, count in found["refused"].items():
        grid.add_row(reasons, f"{count:,}")
    return grid


def _steps_grid(seconds: dict[str, float]) -> Grid:
    grid = _grid("Time", "step", "seconds")
    for name, taken in seconds.items():
        grid.add_row(name, f"{taken:,.1f}")
    return grid


if __name__ == "__main__":
    sys.exit(main())
