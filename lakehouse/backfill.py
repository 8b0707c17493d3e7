"""One instrument's history out of a folder of Lean's files: bars, and why each other line is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pyarrow.compute as pc

from lakehouse.errors import SettingsError, TableError
from lakehouse.reference.calendar import SESSION_CODES, Row, SessionArrays, day_number
from lakehouse.vendor import Known, VendorBars, daily_bars, minute_bars, read_lean_lines


@dataclass(frozen=True)
class Wanted:
    """An instrument, a range of exchange dates, and its listings in that range, oldest first."""

    instrument_id: str
    listings: Sequence[Row]
    first: date
    last: date

    @property
    def tickers(self) -> list[str]:
        """The tickers it carried in the range, oldest first."""
        return list(dict.fromkeys(row["ticker"] for row in self.listings))

    def days(self, sessions: SessionArrays) -> set[int]:
        """The exchange dates of the range on which it was listed, as days since 1970."""
        first = day_number(max(self.first, self.listings[0]["valid_from"]))
        last = day_number(min(self.last, self.listings[-1]["valid_to"] or self.last))
        regular = sessions.session_day[sessions.session == SESSION_CODES["regular"]].tolist()
        return {day for day in regular if first <= day <= last}


@dataclass(frozen=True)
class History:
    """What the files say at one interval, and how many exchange dates of the range they give no bar for."""

    interval: str
    parts: tuple[VendorBars, ...]
    dates_without: int

    @property
    def bars(self) -> int:
        """Bars the files gave."""
        return sum(part.bars.num_rows for part in self.parts)

    @property
    def left_out(self) -> Counter[str]:
        """Lines of the range that built no bar, by reason; a reason that never applied is not named."""
        reasons = Counter[str]()
        for part in self.parts:
            reasons["not its ticker that day"] += part.strangers
            reasons["outside every session"] += part.sessionless
            reasons["senseless values"] += part.insane
        return +reasons


def wanted_history(instruments: Sequence[Row], symbol: str, first: date, last: date) -> Wanted:
    """Whose history a ticker asks for: of several carriers the last one up to the end of the range.

    A ticker that was taken later still names its instrument; its history then comes under the tickers of those days.
    """
    if first > last:
        raise SettingsError(f"--from {first} --to {last}: expected a range of dates, found its end before its start.")
    ordered = sorted(instruments, key=lambda row: row["valid_from"])
    carriers = [row for row in ordered if row["ticker"] == symbol]
    if not carriers:
        raise TableError(
            f"silver.instruments: expected an instrument that carries the ticker {symbol}, found none. Nothing was "
            f"loaded. Add it to the watchlist, or set reference.lean_folder, and run `tickhouse load-reference`."
        )
    begun = [row for row in carriers if row["valid_from"] <= last]
    instrument_id = (begun[-1] if begun else carriers[0])["instrument_id"]
    own = [row for row in ordered if row["instrument_id"] == instrument_id]
    listings = [row for row in own if row["valid_from"] <= last and (row["valid_to"] or last) >= first]
    if not listings:
        raise TableError(
            f"silver.instruments: expected {symbol} ({instrument_id}) to be listed between {first} and {last}, found "
            f"{own[0]['valid_from']} to {own[-1]['valid_to'] or 'today'}. Nothing was loaded. Choose another range."
        )
    return Wanted(instrument_id, listings, first, last)


def read_history(folder: Path, wanted: Wanted, sessions: SessionArrays, zone: str, now: datetime) -> list[History]:
    """Daily and minute bars of an instrument over a range; where there is none, an error says what was found."""
    known = Known(wanted.listings, sessions, zone, now)
    days = {path: ticker for ticker in wanted.tickers if (path := daily_file(folder, ticker)).is_file()}
    minutes = {
        path: (ticker, day_of_file(path, "trade"))
        for ticker in wanted.tickers
        for path in _minute_files(folder, ticker)
    }
    if not days and not minutes:
        raise _absent(folder, wanted)
    daily = [partial(_daily, path, ticker, wanted, known) for path, ticker in days.items()]
    intraday = [
        partial(_intraday, path, ticker, day, known)
        for path, (ticker, day) in minutes.items()
        if wanted.first <= day <= wanted.last
    ]
    found = [_history("1d", daily, wanted, sessions), _history("1m", intraday, wanted, sessions)]
    if not any(one.bars or one.left_out for one in found):
        raise SettingsError(
            f"{folder}: expected days of {', '.join(wanted.tickers)} from {wanted.first} to {wanted.last}, found "
            f"{_reach([*days, *minutes])}. Nothing was loaded. Choose another range."
        )
    return found


def daily_file(folder: Path, ticker: str) -> Path:
    """Where Lean keeps the daily bars of a ticker."""
    return folder / "daily" / f"{ticker.lower()}.zip"


def _minute_files(folder: Path, ticker: str) -> list[Path]:
    return sorted((folder / "minute" / ticker.lower()).glob("*_trade.zip"))


def day_of_file(path: Path, kind: str) -> date:
    """The exchange date in the name of one of Lean's files of trades or quotes."""
    try:
        return datetime.strptime(path.name, f"%Y%m%d_{kind}.zip").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise SettingsError(
            f"{path}: expected a file named YYYYMMDD_{kind}.zip, found {path.name}. Nothing was loaded. Rename the "
            f"file, or move it away."
        ) from error


def _daily(path: Path, ticker: str, wanted: Wanted, known: Known) -> VendorBars:
    lines = read_lean_lines(path)
    days = pc.utf8_slice_codeunits(lines["stamp"], 0, 8)
    since, until = (f"{day:%Y%m%d}" for day in (wanted.first, wanted.last))
    within = pc.and_(pc.greater_equal(days, since), pc.less_equal(days, until))
    return daily_bars(ticker, lines.filter(within), known)


def _intraday(path: Path, ticker: str, day: date, known: Known) -> VendorBars:
    return minute_bars(ticker, day, read_lean_lines(path), known)


def _history(
    interval: str, readers: Sequence[Callable[[], VendorBars]], wanted: Wanted, sessions: SessionArrays
) -> History:
    parts = tuple(read() for read in readers)
    days = {day_number(day) for part in parts for day in pc.unique(part.bars["session_date"]).to_pylist()}
    return History(interval, parts, len(wanted.days(sessions) - days))


def _absent(folder: Path, wanted: Wanted) -> SettingsError:
    places = [f"{daily_file(folder, one)} or minute/{one.lower()}/YYYYMMDD_trade.zip" for one in wanted.tickers]
    return SettingsError(
        f"reference.lean_folder: expected {' or '.join(places)}, found no such file. Nothing was loaded. Point it to "
        f"the folder that holds daily and minute, or fetch the files of these tickers."
    )


def _reach(paths: Sequence[Path]) -> str:
    """In words, which days the files cover."""
    daily = [path for path in paths if path.parent.name == "daily"]
    stamps = [stamp[:8] for path in daily for stamp in read_lean_lines(path)["stamp"].to_pylist()]
    minutes = [path.name[:8] for path in paths if path.parent.name != "daily"]
    spans = {"daily lines": stamps, "minute files": minutes}
    return " and ".join(f"{name} from {min(days)} to {max(days)}" for name, days in spans.items() if days) or "no line"
