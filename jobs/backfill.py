"""Load a vendor's daily and minute bars: `tickhouse backfill SYMBOL --from 2013-01-02 --to 2013-10-11`.

Reads Lean's files below reference.lean_folder: daily/TICKER.zip and minute/TICKER/YYYYMMDD_trade.zip, under every
ticker the instrument carried in the range. Bars go into gold.bars as source = vendor; a bar built from our own prints
stays, and loading again changes nothing. Takes the lease of `stream`: run it while that is stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.table import Table as Grid

from jobs import cli
from lakehouse.backfill import History, Wanted, read_history, wanted_history
from lakehouse.clock import system_clock
from lakehouse.errors import SettingsError
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.calendar import exchange_zone
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import INSTRUMENTS
from lakehouse.vendor import Effects, merge_vendor_bars, vendor_effects, vendor_frame
from streaming.rules import read_sessions

EFFECTS = {"added": "added", "changed": "changed", "unchanged": "there already", "built": "built ones kept"}


@dataclass(frozen=True)
class Report:
    """Whose history was read, what the files held, and what became of each bar."""

    wanted: Wanted
    histories: Sequence[History]
    effects: Effects

    def rows(self) -> list[dict[str, Any]]:
        """One entry for each interval."""
        return [
            {
                "interval": one.interval, "files": len(one.parts), "bars": one.bars,
                **{name: self.effects[one.interval][name] if one.bars else 0 for name in EFFECTS},
                "left_out": dict(one.left_out), "dates_without": one.dates_without,
            }
            for one in self.histories
        ]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__, dry_run=True)
    cli.add_history_flags(flags)
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, load, report."""
    settings = cli.settings_of(args)
    with spark_session(settings, app_name="tickhouse-backfill") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        report = backfill(lake, settings, args.symbol.upper(), args.first, args.last, dry_run=args.dry_run)
    show(report, as_json=args.json, dry_run=args.dry_run)


def backfill(lake: Lake, settings: Settings, symbol: str, first: date, last: date, *, dry_run: bool = False) -> Report:
    """Merge a vendor's bars of one instrument and range under the lease of gold.bars."""
    folder, exchange = lean_folder(settings), settings.reference.exchange
    instruments = [row.asDict() for row in lake.delta(INSTRUMENTS).toDF().collect()]
    wanted = wanted_history(instruments, symbol, first, last)
    sessions = read_sessions(lake, exchange)
    histories = read_history(folder, wanted, sessions, exchange_zone(exchange), system_clock())
    bars = vendor_frame(lake.spark, [part for one in histories for part in one.parts])
    seconds = settings.stream.lease_seconds
    with lease(lake.files, lake.root, BARS.owner, purpose="tickhouse backfill", seconds=seconds, clock=system_clock):
        effects = vendor_effects(lake, bars) if dry_run else merge_vendor_bars(lake, bars)
    return Report(wanted, histories, effects)


def lean_folder(settings: Settings) -> Path:
    """The folder of the vendor's files, which must be set."""
    if settings.reference.lean_folder is None:
        raise SettingsError(
            "reference.lean_folder: expected the folder of the vendor's files, found null. Nothing was loaded. Set it "
            "with --set reference.lean_folder=FOLDER."
        )
    return Path(settings.reference.lean_folder)


def show(report: Report, *, as_json: bool, dry_run: bool) -> None:
    """What was loaded, what was not, and why, for people or for programs."""
    wanted = report.wanted
    if as_json:
        about = {"instrument_id": wanted.instrument_id, "tickers": wanted.tickers, "written": not dry_run}
        cli.print_json({**about, "from": wanted.first, "to": wanted.last, "intervals": report.rows()})
        return
    title = f"{'/'.join(wanted.tickers)} ({wanted.instrument_id}), {wanted.first} to {wanted.last}"
    grid = Grid("interval", "files", "bars", *EFFECTS.values(), "dates without", title=title)
    for row in report.rows():
        grid.add_row(row["interval"], *(f"{row[name]:,}" for name in ("files", "bars", *EFFECTS, "dates_without")))
    cli.console().print(grid)
    for row in report.rows():
        for reason, count in row["left_out"].items():
            print(f"{count:,} lines of {row['interval']} built no bar: {reason}")
    if dry_run:
        print("Nothing was written: this was a dry run.")


if __name__ == "__main__":
    sys.exit(main())
