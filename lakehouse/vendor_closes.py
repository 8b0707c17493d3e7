"""Daily closes of a vendor who gives one CSV file a ticker: Date, Open, High, Low, Close and Volume, as traded."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from lakehouse.errors import SettingsError
from lakehouse.vendor import LINE

TICKS_PER_USD = 10_000
NAMES = ("Date", "Open", "High", "Low", "Close", "Volume")


def read_csv_lines(path: Path) -> pa.Table:
    """The lines of a file as `daily_bars` takes them: stamp, four prices in ten-thousandths of a dollar, shares."""
    try:
        read = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types={"Date": pa.date32()}))
        whole = read.select(list(NAMES)).drop_null()
        stamps = pc.binary_join_element_wise(pc.strftime(whole["Date"], "%Y%m%d"), "00:00", " ")
        prices = [_ticks(whole[name]) for name in NAMES[1:5]]
        volume = whole["Volume"].cast(pa.float64()).cast(pa.int64(), safe=False)
        return pa.table([stamps, *prices, volume], names=list(LINE))
    except (OSError, KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SettingsError(
            f"{path}: expected a CSV file with a line a day and the columns {', '.join(NAMES)}, found: {error}. "
            f"Nothing was compared. Restore the file from its source."
        ) from error


def _ticks(prices: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.round(pc.multiply(prices.cast(pa.float64()), float(TICKS_PER_USD))).cast(pa.int64())
