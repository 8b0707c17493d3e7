"""How much a report holds: which symbols get a chart, of bars how long, and how many rows a table shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lakehouse.bars import INTERVALS
from serving.report.lake import Row

# Sixty charts of a thousand bars are some 12 MB beside Plotly's 4.8; a browser draws only those near its window.
CHARTS_AT_MOST = 60
BARS_AT_MOST = 1_000  # a day from 4:00 to 20:00 has 960 minutes
ROWS_AT_MOST = 200
SYMBOLS_AT_MOST = 1_000  # in the table of all

CHART_INTERVALS = tuple(name for name in INTERVALS if name != "1d")


@dataclass(frozen=True)
class Choice:
    """The bars a symbol's chart is drawn of, and why they are not those that were asked for, or ''."""

    interval: str
    why: str = ""


def choose_interval(counts: Mapping[str, int], wanted: str) -> Choice:
    """The finest interval from the wanted one on that has bars, and not too many; else the coarsest there is."""
    from_wanted = CHART_INTERVALS[CHART_INTERVALS.index(wanted) :]
    there = [name for name in from_wanted if counts.get(name)]
    for name in there:
        if counts[name] <= BARS_AT_MOST:
            return Choice(name, "" if name == wanted else _why(counts.get(wanted, 0), wanted, name))
    coarser = there[-1] if there else wanted
    return Choice(coarser, "" if coarser == wanted else _why(counts.get(wanted, 0), wanted, coarser))


def _why(count: int, wanted: str, drawn: str) -> str:
    if not count:
        return f"There are no {wanted} bars of it that day: drawn from {drawn} bars."
    return f"It has {count:,} bars of {wanted}, a chart holds {BARS_AT_MOST:,}: drawn from {drawn} bars."


def choose_charts(symbols: Iterable[Row]) -> set[str]:
    """The symbols that get a chart: all, or those with the most alerts, then flags, then turnover."""
    ranked = sorted(symbols, key=lambda row: (-row["alerts"], -row["flags"], -(row["notional"] or 0), row["symbol"]))
    return {row["symbol"] for row in ranked[:CHARTS_AT_MOST]}
