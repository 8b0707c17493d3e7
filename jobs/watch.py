"""Watch the market live in the terminal: `tickhouse watch [SYMBOL ...] [--every 1]`.

Last price, change since the close before, shares, late prints, a spark line of the last half hour, and how old the
newest bar is. Reads gold.bars with no Spark and no lease, beside a running stream. --once shows one board and ends.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from jobs import cli
from lakehouse.clock import system_clock
from serving.board import Board, Line, read_board, sparkline

STALE_SECONDS = 90.0  # a minute and the grace of its bar: an older bar in an open market wants a look


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("symbols", nargs="*", type=str.upper, help="only these tickers (default: all)")
    flags.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="time between two looks (default 1)")
    flags.add_argument("--once", action="store_true", help="show one board and end")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Look and show, once or until interrupted."""
    warehouse = cli.settings_of(args).paths.warehouse
    if args.json:
        cli.print_json(as_json(read_board(warehouse, args.symbols), system_clock()))
    elif args.once:
        cli.console().print(as_grid(read_board(warehouse, args.symbols), system_clock()))
    else:
        watch(warehouse, args.symbols, args.every)


def watch(warehouse: str, symbols: Sequence[str], every: float) -> None:
    """Show the board anew again and again."""
    with Live(
        as_grid(read_board(warehouse, symbols), system_clock()), console=cli.console(), auto_refresh=False
    ) as live:
        while True:
            time.sleep(every)
            live.update(as_grid(read_board(warehouse, symbols), system_clock()), refresh=True)


def as_grid(board: Board, now: datetime) -> Grid:
    """The board for people."""
    title = f"{board.session_date}, {len(board.lines)} symbols, at {now:%H:%M:%S} UTC"
    grid = Grid("symbol", "last", "change", "last 30 minutes", "shares", "trades", "late", "age", title=title)
    for name in ("last", "change", "shares", "trades", "late", "age"):
        next(column for column in grid.columns if column.header == name).justify = "right"
    for line in board.lines:
        grid.add_row(
            line.symbol, "" if line.last is None else f"{line.last:,.2f}", _change(line), sparkline(line.closes),
            f"{line.volume:,.0f}", f"{line.trades:,}", f"{line.late:,}" if line.late else "", _age(line, now),
        )  # fmt: skip
    return grid


def _change(line: Line) -> Text:
    if line.change_pct is None:
        return Text()
    return Text(f"{line.change_pct:+.2f} %", style="green" if line.change_pct > 0 else "red" if line.change_pct else "")


def _age(line: Line, now: datetime) -> Text:
    age = line.age_seconds(now)
    text = f"{age:.0f} s" if age < 3600 else f"{age / 3600:.1f} h" if age < 86_400 else f"{age / 86_400:.0f} d"
    return Text(text, style="yellow" if age > STALE_SECONDS else "")


def as_json(board: Board, now: datetime) -> dict[str, object]:
    """The board for programs."""
    lines = [{**asdict(line), "age_seconds": line.age_seconds(now)} for line in board.lines]
    return {"session_date": board.session_date, "at": now, "lines": lines}


if __name__ == "__main__":
    sys.exit(main())
