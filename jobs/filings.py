"""List filings known at an instant, and search their text: `tickhouse filings AAPL --search "supply constraints"`.

Lists 10-K, 10-Q, 8-K and 20-F (transition reports and amendments too) with the acceptance instant, newest first. With
--search every passage that holds all the words, each with its accession and section; --section 1A looks into one item
only (of a 10-Q: 1A, or II.1A), and alone prints it whole. --as-of answers as the market knew it: what was accepted
later is not there, and a ticker is whoever carried it that day. Needs what `tickhouse collect-filings` and `tickhouse
build-facts` brought.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from rich.table import Table as Grid

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.errors import TableError
from lakehouse.reference.calendar import exchange_zone
from serving.filings import Filing, Passage, filers, filings_known, passages_known

MOST = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("symbol", help="ticker of that day")
    flags.add_argument("--search", metavar="WORDS", default="", help="print passages that hold all of these words")
    flags.add_argument("--section", metavar="ITEM", help="only this item, such as 1A, 7 or 5.02, or front, EX-13")
    flags.add_argument(
        "--as-of", type=datetime.fromisoformat, metavar="TIME",
        help="an instant (default: now); without a zone the exchange's own, a date is its first moment",
    )  # fmt: skip
    flags.add_argument("--most", type=int, metavar="N", help=f"show at most so many (default {MOST}, of whole items 1)")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Ask and tell."""
    settings = cli.settings_of(args)
    warehouse, zone = settings.paths.warehouse, ZoneInfo(exchange_zone(settings.reference.exchange))
    asked = args.as_of or system_clock()
    at = asked if asked.tzinfo else asked.replace(tzinfo=zone)
    symbol, words = args.symbol.upper(), args.search.split()
    ciks = filers(warehouse, symbol, at.astimezone(zone).date())
    filings = filings_known(warehouse, ciks, at)
    if not filings:
        raise TableError(
            f"silver.filings: expected filings of {symbol} known at {at.isoformat()}, found none. Nothing was changed. "
            f"Fetch them with `tickhouse collect-filings {symbol}`, then run `tickhouse build-facts`."
        )
    most = args.most or (MOST if words or not args.section else 1)
    if words or args.section:
        found = list(islice(passages_known(warehouse, ciks, at, words, args.section), most + 1))
        show_passages(found, most, zone, as_json=args.json)
    else:
        title = f"{symbol} as known at {at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        show_filings(filings, most, zone, title, as_json=args.json)
    if not any(one.sections for one in filings):
        print(
            f"No text of these filings is here; `tickhouse collect-filings {symbol}` fetches documents.",
            file=sys.stderr,
        )


def show_filings(filings: Sequence[Filing], most: int, zone: ZoneInfo, title: str, *, as_json: bool) -> None:
    """One line for each filing."""
    if as_json:
        cli.print_json([asdict(one) for one in filings[:most]])
        return
    grid = Grid("form", "accepted", "known by", "period ends", "fiscal", "accession", "sections", title=title)
    for one in filings[:most]:
        fiscal = " ".join(str(part) for part in (one.fiscal_year, one.fiscal_period) if part is not None)
        grid.add_row(
            one.form, f"{one.known_from.astimezone(zone):%Y-%m-%d %H:%M:%S}", one.known_basis,
            str(one.report_date or ""), fiscal, one.accession, one.sections or "",
        )  # fmt: skip
    cli.console().print(grid)
    if len(filings) > most:
        cli.console().print(f"And {len(filings) - most:,} more; --most shows them.")


def show_passages(passages: Sequence[Passage], most: int, zone: ZoneInfo, *, as_json: bool) -> None:
    """Each passage below a line that says where it stands."""
    if as_json:
        cli.print_json([asdict(one) for one in passages[:most]])
        return
    out = cli.console()
    for one in passages[:most]:
        title = f" {one.title}" if one.title else ""
        out.print(
            f"{one.form} {one.accession}, accepted {one.known_from.astimezone(zone):%Y-%m-%d}, {one.section}{title}"
        )
        out.print(f"{one.text}\n")
    out.print(f"{most:,} of more; --most shows more." if len(passages) > most else f"{len(passages):,} found.")


if __name__ == "__main__":
    sys.exit(main())
