"""Show bars: `tickhouse bars SYMBOL --interval 1m --day 2024-03-07 [--csv]`.

Times are shown in the exchange's zone and in UTC. Without --day the last day with bars of that symbol is shown. With
--csv plain comma-separated values go to standard output.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import TextIO
from zoneinfo import ZoneInfo

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from rich.table import Table as Grid

from jobs import cli
from lakehouse.bars import INTERVALS
from lakehouse.clock import system_clock
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.reference.calendar import exchange_zone
from lakehouse.session import spark_session
from lakehouse.tables.gold import BARS

VALUES = ("open", "high", "low", "close", "volume", "vwap", "trades", "revision", "source")
HEADER = ("symbol", "interval", "session", "start", "start_utc", "end_utc", *VALUES, "final")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("symbol", help="ticker of that day")
    flags.add_argument("--interval", choices=tuple(INTERVALS), default="1m", help="length of a bar (default 1m)")
    flags.add_argument("--day", type=date.fromisoformat, help="exchange date (default: the last one with bars)")
    flags.add_argument("--csv", action="store_true", help="comma-separated values on standard output")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, read, show."""
    settings = cli.settings_of(args)
    zone = ZoneInfo(exchange_zone(settings.reference.exchange))
    with spark_session(settings, app_name="tickhouse-bars") as spark:
        bars = bars_of(Lake(spark, settings.paths.warehouse), args.symbol, args.interval, args.day)
    now = system_clock()
    lines = [cells(bar, zone, now) for bar in bars]
    if args.csv:
        write_csv(lines, sys.stdout)
    elif args.json:
        cli.print_json([dict(zip(HEADER, line, strict=True)) for line in lines])
    else:
        day = bars[0]["session_date"]
        cli.console().print(as_grid(lines, f"{args.symbol} {args.interval} {day}, times in {zone.key}"))


def bars_of(lake: Lake, symbol: str, interval: str, day: date | None) -> list[Row]:
    """The bars of one symbol, interval and exchange date in order of time; none is an error that says what there is."""
    same = (F.col("symbol") == symbol) & (F.col("interval") == interval)
    bars = lake.delta(BARS).toDF().where(same)
    days = sorted(row[0] for row in bars.select("session_date").distinct().collect())
    wanted = day or (days[-1] if days else None)
    if wanted not in days:
        there = f"days with such bars: {days[0]} to {days[-1]}" if days else f"no bar of {symbol} at {interval} at all"
        raise TableError(
            f"gold.bars: expected {interval} bars of {symbol} on {wanted or 'any day'}, found none; {there}. Nothing "
            f"was changed. Choose another day, or see with `tickhouse compare-bars` whether the stream has caught up."
        )
    return with_instants(bars.where(F.col("session_date") == F.lit(wanted))).orderBy("start_ms").collect()


def with_instants(bars: DataFrame) -> DataFrame:
    """Add instants as milliseconds, which mean the same on every machine."""
    names = {"start_ms": "bar_start", "end_ms": "bar_end", "final_ms": "final_at"}
    return bars.withColumns({name: F.unix_millis(column) for name, column in names.items()})


def cells(bar: Row, zone: ZoneInfo, now: datetime) -> list[str]:
    """One bar as texts, in the order of HEADER."""
    start, end, final = (datetime.fromtimestamp(bar[name] / 1000, UTC) for name in ("start_ms", "end_ms", "final_ms"))
    values = ["" if bar[name] is None else _text(bar[name]) for name in VALUES]
    times = [f"{start.astimezone(zone):%Y-%m-%d %H:%M:%S}", f"{start:%Y-%m-%dT%H:%M:%SZ}", f"{end:%Y-%m-%dT%H:%M:%SZ}"]
    return [bar["symbol"], bar["interval"], bar["session"], *times, *values, "yes" if now >= final else "no"]


def _text(value: object) -> str:
    """Decimals without trailing zeros, doubles to six places, all else as it is."""
    text = f"{value:.6f}" if isinstance(value, float) else str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def safe_cell(text: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def write_csv(lines: Iterable[Sequence[str]], out: TextIO) -> None:
    """Header and rows with every cell made safe."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([safe_cell(cell) for cell in line] for line in lines)


def as_grid(lines: Iterable[Sequence[str]], title: str) -> Grid:
    """Bars for people."""
    shown = [name for name in HEADER if name not in ("symbol", "interval", "end_utc")]
    grid = Grid(*shown, title=title)
    for line in lines:
        named = dict(zip(HEADER, line, strict=True))
        grid.add_row(*(named[name][11:] if name in ("start", "start_utc") else named[name] for name in shown))
    return grid


if __name__ == "__main__":
    sys.exit(main())
