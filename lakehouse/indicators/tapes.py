"""Real tapes to certify indicators on: every instrument of a folder of Lean's bars, with its splits and an index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from lakehouse.backfill import Wanted, read_history
from lakehouse.errors import SettingsError
from lakehouse.indicators.series import Series, Splits, doubles, series_of
from lakehouse.reference.calendar import Row, TradingDays, day_number, exchange_zone, session_arrays, sessions_for
from lakehouse.reference.lean import corporate_actions_from, instruments_from, read_lean_files

FIRST, LAST = date(1998, 1, 1), date(2025, 12, 31)
EXCHANGE = "XNYS"


@dataclass(frozen=True, eq=False)
class Tape:
    """The bars of one instrument and interval, and the splits of it and of the index."""

    name: str
    interval: str
    series: Series
    splits: Splits
    index_splits: Splits


def read_tapes(folder: Path, index: str, now: datetime) -> list[Tape]:
    """Every tape below a folder of Lean's data, with the closes of the instrument that carries `index` beside them."""
    rows = sessions_for(EXCHANGE, FIRST, LAST)
    days, sessions = TradingDays.of(rows), session_arrays(rows)
    files = read_lean_files(folder)
    instruments, actions = instruments_from(files, days), corporate_actions_from(files, days)
    bars: dict[tuple[str, str], pa.Table] = {}
    for wanted in _carried(folder, instruments):
        for history in read_history(folder, wanted, sessions, exchange_zone(EXCHANGE), now):
            if history.bars:
                whole = pa.concat_tables([part.bars for part in history.parts]).sort_by("bar_start")
                bars[wanted.instrument_id, history.interval] = whole
    if not bars:
        raise SettingsError(
            f"reference.lean_folder: expected daily or minute bars below {folder}, found none of a known instrument. "
            f"Nothing was certified. Point it to the folder that holds daily, minute and map_files."
        )
    return list(_tapes(bars, _ids_of(instruments, index), actions))


def _carried(folder: Path, instruments: list[Row]) -> list[Wanted]:
    """Every instrument that carried a ticker there are files of, with all its listings, oldest first."""
    names = {path.stem for path in (folder / "daily").glob("*.zip")}
    names |= {path.name for path in (folder / "minute").glob("*")}
    found = sorted({row["instrument_id"] for row in instruments if row["ticker"].lower() in names})
    listings = {one: [row for row in instruments if row["instrument_id"] == one] for one in found}
    return [Wanted(one, sorted(listings[one], key=lambda row: row["valid_from"]), FIRST, LAST) for one in found]


def _ids_of(instruments: list[Row], ticker: str) -> list[str]:
    return [row["instrument_id"] for row in instruments if row["ticker"] == ticker]


def _tapes(bars: dict[tuple[str, str], pa.Table], index_ids: list[str], actions: list[Row]) -> Iterator[Tape]:
    for (instrument_id, interval), table in sorted(bars.items(), key=lambda one: one[0]):
        index = next((bars[one, interval] for one in index_ids if (one, interval) in bars), None)
        series = series_of(table if index is None else with_index(table, index))
        index_id = index_ids[-1] if index_ids else ""
        yield Tape(
            f"{instrument_id} {interval}", interval, series, _splits(actions, instrument_id), _splits(actions, index_id)
        )


def with_index(bars: pa.Table, index: pa.Table) -> pa.Table:
    """Bars with the close of the index's bar that starts with each, NULL where it has none."""
    closes = dict(zip(index["bar_start"].to_pylist(), doubles(index["close"]).tolist(), strict=True))
    found = np.array([closes.get(start, np.nan) for start in bars["bar_start"].to_pylist()], float)
    return bars.append_column("index_close", pa.array(found, mask=np.isnan(found)))


def _splits(actions: list[Row], instrument_id: str) -> Splits:
    own = [row for row in actions if row["instrument_id"] == instrument_id and row["action"] == "split"]
    return Splits.of([(day_number(row["effective_date"]), float(row["ratio"])) for row in own])
