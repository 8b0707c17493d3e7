"""Who was listed on a day and what carried a ticker on it, by the intervals of silver.instruments. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from lakehouse.reference.calendar import Row

FROM_DOCUMENTS = ("cik_from", "sector", "evidence")  # columns that only documents fill
FILLED = ("cik", "delist_reason")  # columns that documents fill where nobody else says anything
UNIVERSE = ("instrument_id", "ticker", "exchange", "currency", "cik", "name", "sector", "valid_from", "valid_to")
LEAN = "lean"
TOLD_BY_WATCHLIST = 1000  # the last three digits of a Lean row's version are those of the watchlist that names it
GRACE = timedelta(days=90)  # how long after the map files end a ticker is taken to be where they left it


def universe_on(instruments: Iterable[Row], day: date) -> list[Row]:
    """One row for each instrument listed on a day, under the ticker of that day; equals the view silver_universe.

    A filer counts from its first filing on, so what was listed before it existed has no `cik` and no `sector`.
    """
    listed = (_as_of(row, day) for row in instruments if is_carried(row, day))
    return sorted(listed, key=lambda row: (str(row["ticker"]), str(row["instrument_id"])))


def _as_of(row: Row, day: date) -> Row:
    found = {name: row[name] for name in UNIVERSE}
    if row["cik_from"] is not None and row["cik_from"] > day:
        found |= {"cik": None, "sector": None}
    return found


def is_carried(row: Row, day: date) -> bool:
    """Whether the row's instrument carried its ticker on a day."""
    ended: date | None = row["valid_to"]
    return bool(row["valid_from"] <= day and (ended is None or day <= ended))


class Tickers:
    """Which row of silver.instruments a ticker meant on a day, however sources write its dots."""

    def __init__(self, instruments: Iterable[Row]) -> None:
        self._rows: dict[str, list[Row]] = {}
        for row in instruments:
            self._rows.setdefault(plain(row["ticker"]), []).append(row)

    def carrier(self, ticker: str, day: date) -> Row | None:
        """The row whose instrument carried the ticker, None where nothing did or nobody can know.

        An interval of Lean's that lasts is known to last until the day of the files, and a little longer: years later
        the ticker may be another company's. What the watchlist names lasts until the watchlist says otherwise.
        """
        found = [row for row in self._rows.get(plain(ticker), ()) if is_carried(row, day) and day <= known_to(row)]
        return found[0] if len(found) == 1 else None


def known_to(row: Row) -> date:
    """The last day of which the row can be believed to say who carries its ticker."""
    if row["origin"] != LEAN or row["valid_to"] is not None or row["sequence"] % TOLD_BY_WATCHLIST:
        return date.max
    return datetime.strptime(str(row["sequence"] // TOLD_BY_WATCHLIST), "%Y%m%d").date() + GRACE  # noqa: DTZ007 - a day


def plain(ticker: str) -> str:
    """A ticker as all sources write it: BRK.B of Lean and Finnhub is the SEC's BRK-B."""
    return ticker.upper().replace(".", "-")


def bare(row: Row) -> Row:
    """A row of silver.instruments without what documents added to it."""
    added: Mapping[str, Any] = json.loads(row["evidence"] or "{}")
    return {**row, **dict.fromkeys(FROM_DOCUMENTS), **dict.fromkeys(name for name in FILLED if name in added)}
