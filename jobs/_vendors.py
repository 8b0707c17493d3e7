"""What vendors say of the tickers we have daily bars of, from the folders that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame

from lakehouse.lake import Lake
from lakehouse.reference.calendar import exchange_zone
from lakehouse.settings import Settings
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import INSTRUMENTS
from lakehouse.vendor import Known, daily_bars, read_lean_lines, vendor_frame
from lakehouse.vendor_closes import read_csv_lines
from streaming.rules import read_sessions

Read = Callable[[Path], pa.Table]
Files = Sequence[tuple[str, Path]]


def lean_bars(lake: Lake, settings: Settings, folder: str, now: datetime) -> DataFrame:
    """Daily bars of Lean's files, as rows of gold.bars."""
    files = [(one, Path(folder) / "daily" / f"{one.lower()}.zip") for one in daily_symbols(lake)]
    return _bars(lake, settings, files, read_lean_lines, now)


def csv_bars(lake: Lake, settings: Settings, folder: str, now: datetime) -> DataFrame:
    """Daily bars of files TICKER.csv, as rows of gold.bars."""
    files = [(one, Path(folder) / f"{one}.csv") for one in daily_symbols(lake)]
    return _bars(lake, settings, files, read_csv_lines, now)


def daily_symbols(lake: Lake) -> list[str]:
    """Every ticker we have daily bars of."""
    rows = lake.read(BARS).where("interval = '1d'").select("symbol").distinct().collect()
    return sorted(row[0] for row in rows)


def _bars(lake: Lake, settings: Settings, files: Files, read: Read, now: datetime) -> DataFrame:
    exchange = settings.reference.exchange
    instruments = [row.asDict() for row in lake.read(INSTRUMENTS).collect()]
    known = Known(instruments, read_sessions(lake, exchange), exchange_zone(exchange), now)
    return vendor_frame(lake.spark, [daily_bars(one, read(path), known) for one, path in files if path.is_file()])
