"""Write a session's report: `tickhouse report 2025-03-03 [--symbols ACME,IBM] [--interval 1m] [--out FILE]`.

One HTML file that loads nothing: the session in figures, and for each symbol candles, indicators, flags, signals,
alerts, halts, the state of its feed and its revised bars, with the numbers in tables. Reads the tables without Spark
and without a lease, beside a running stream. Times are the exchange's own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.indicators.parameters import load_indicators
from lakehouse.reference.calendar import exchange_zone
from lakehouse.settings import CONF
from serving.report.build import Wanted, read_report, write_whole
from serving.report.limits import CHART_INTERVALS
from serving.report.names import series_names
from serving.report.page import page_of
from serving.report.wording import counted


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("day", type=exchange_date, metavar="SESSION-DATE", help="exchange date, such as 2025-03-03")
    flags.add_argument("--symbols", type=tickers, default=(), metavar="A,B", help="only these (default: all with bars)")
    flags.add_argument(
        "--interval", choices=CHART_INTERVALS, default="1m", help="length of the bars that are drawn (default 1m)"
    )
    flags.add_argument("--out", type=Path, metavar="FILE", help="the file (default report-SESSION-DATE.html, here)")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Read, write, say where it is."""
    settings = cli.settings_of(args)
    reference = settings.reference
    report = read_report(
        settings.paths.warehouse, Wanted(args.day, args.symbols, args.interval), exchange=reference.exchange,
        zone=ZoneInfo(exchange_zone(reference.exchange)), now=system_clock(),
        series=series_names(load_indicators(CONF / reference.indicators)),
    )  # fmt: skip
    file = args.out or Path(f"report-{args.day}.html")
    size = write_whole(page_of(report), file)
    if args.json:
        counts = {"symbols": len(report.head.symbols), "charts": len(report.sheets)}
        cli.print_json({"file": file, "bytes": size, **counts, "left_out": report.left_out})
        return
    symbols, charts = counted(len(report.head.symbols), "symbol"), counted(len(report.sheets), "chart")
    print(f"{file}: {symbols}, {charts}, {size / 1e6:.1f} MB")
    for told in report.left_out:
        print(told)


def exchange_date(text: str) -> date:
    """A date as the command line gives it."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a date such as 2025-03-03, found {text!r}") from None


def tickers(text: str) -> tuple[str, ...]:
    """Tickers separated by commas, each once, in order."""
    found = [one.strip().upper() for one in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"expected tickers separated by commas, such as ACME,IBM, found {text!r}")
    return tuple(dict.fromkeys(found))


if __name__ == "__main__":
    sys.exit(main())
