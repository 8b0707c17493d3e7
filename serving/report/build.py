"""A session's report from a lake: read, bounded, and written as one file that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from lakehouse.errors import TickhouseError
from serving.report.head import Head, read_head
from serving.report.lake import questions
from serving.report.limits import CHARTS_AT_MOST, SYMBOLS_AT_MOST, choose_charts
from serving.report.page import Report
from serving.report.sheets import Found, read_other_alerts, read_sheets


@dataclass(frozen=True)
class Wanted:
    """What is asked for: a date, symbols (none: all with bars that day), and the length of the bars to draw."""

    day: date
    symbols: tuple[str, ...] = ()
    interval: str = "1m"


def read_report(
    warehouse: str, wanted: Wanted, *, exchange: str, zone: ZoneInfo, now: datetime,
    series: Mapping[str, dict[str, str]],
) -> Report:  # fmt: skip
    """Everything a page needs, as the tables have it now."""
    with questions(warehouse) as lake:
        head = read_head(lake, wanted.day, exchange, wanted.symbols, zone.key)
        charted = choose_charts(head.symbols)
        sheets = read_sheets(lake, wanted.day, charted, wanted.interval)
        others = Found() if wanted.symbols else read_other_alerts(lake, wanted.day)
    return Report(head, sheets, others, left_out(head, len(sheets)), exchange, zone, now, dict(series))


def left_out(head: Head, charts: int) -> list[str]:
    """What a reader may look for and will not find."""
    told = []
    if charts < len(head.symbols):
        told.append(
            f"{len(head.symbols) - charts:,} of {len(head.symbols):,} symbols have no chart: a page draws "
            f"{CHARTS_AT_MOST}, those with the most alerts, then flags, then turnover. Draw others with --symbols."
        )
    if len(head.symbols) > SYMBOLS_AT_MOST:
        told.append(f"The table of symbols holds the first {SYMBOLS_AT_MOST:,} of {len(head.symbols):,}.")
    return told


def write_whole(page: str, file: Path) -> int:
    """Write a file beside its place and move it there; returns its bytes."""
    written = page.encode("utf-8", errors="replace")
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(written)
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise TickhouseError(
            f"--out {file}: expected a file that can be written there, found: {error.strerror or error}. No report was "
            f"written. Name another file."
        ) from error
    return len(written)
