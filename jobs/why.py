"""Explain a flag, an alert, a silence or a refusal: `tickhouse why AAPL 2024-03-07T10:31 [--around 60]`.

Everything the lake has stored about the symbol around that instant, in order of time: its minutes and what revised
them, refused prints, cancels, anomalies, signals, alerts and their deliveries, the state of the feed. A time without
a zone is the exchange's own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rich.table import Table as Grid

from jobs import cli
from lakehouse.reference.calendar import exchange_zone
from serving.why import Asked, Finding, asked, evidence_of, findings, silence


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("symbol", help="ticker of that day")
    flags.add_argument(
        "time", type=datetime.fromisoformat, help="an instant, 2024-03-07T10:31 or with a zone at its end"
    )
    flags.add_argument("--around", type=float, default=60.0, metavar="SECONDS", help="to both sides (default 60)")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Ask and tell."""
    settings = cli.settings_of(args)
    zone = ZoneInfo(exchange_zone(settings.reference.exchange))
    at = args.time if args.time.tzinfo else args.time.replace(tzinfo=zone)
    question = asked(args.symbol, at, timedelta(seconds=args.around), zone)
    found = findings(settings.paths.warehouse, question)
    missing = silence(settings.paths.warehouse, question)
    if args.json:
        cli.print_json({"symbol": question.symbol, "at": question.at, "silence": missing, "findings": map_of(found)})
        return
    show(question, found, missing, zone)


def map_of(found: Sequence[Finding]) -> list[dict[str, object]]:
    """Findings for programs."""
    return [asdict(one) for one in found]


def show(question: Asked, found: Sequence[Finding], missing: str | None, zone: ZoneInfo) -> None:
    """Findings for people, times in the exchange's zone."""
    out = cli.console()
    out.print(f"{question.symbol} at {question.at.astimezone(zone):%Y-%m-%d %H:%M:%S} ({zone.key})")
    if missing:
        out.print(missing)
    if not found:
        out.print("Nothing else is stored about that stretch. Widen it with --around.")
        return
    grid = Grid("when", "table", "what", "evidence")
    for one in found:
        when = f"{one.at.astimezone(zone):%H:%M:%S}" if one.at else "that day"
        told = ", ".join(f"{name} {value}" for name, value in evidence_of(one).items())
        grid.add_row(when, one.table, one.text, told)
    out.print(grid)


if __name__ == "__main__":
    sys.exit(main())
