"""The watchlist: which instruments we follow, as data in conf/watchlist.yaml."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from lakehouse.reference.calendar import ZONES, Row
from lakehouse.reference.universe import FROM_DOCUMENTS
from lakehouse.reference.yaml_files import load_checked
from lakehouse.settings import Section

CURRENCY, ORIGIN = "USD", "watchlist"


class Listing(Section):
    """One instrument to follow, under the ticker it carries now."""

    ticker: str = Field(pattern=r"^[A-Z][A-Z0-9.\-]{0,14}$")
    name: str = Field(min_length=1)
    exchange: str
    valid_from: date
    cik: int | None = Field(None, ge=1)
    instrument_id: str | None = Field(None, pattern=r"^[A-Z][A-Z0-9.\-]{0,31}$")

    @model_validator(mode="after")
    def _exchange_has_hours(self) -> Self:
        if self.exchange not in ZONES:
            raise ValueError(f"expected an exchange among {sorted(ZONES)}, found {self.exchange!r}")
        return self

    @property
    def permanent_id(self) -> str:
        """The id given, else the ticker and its first day, as Lean forms its own."""
        return self.instrument_id or f"{self.ticker}-{self.valid_from:%Y%m%d}"


class Watchlist(Section):
    """The whole of conf/watchlist.yaml. `version` rises with every change of a listing that was loaded before."""

    version: int = Field(ge=1, lt=1000)
    instruments: tuple[Listing, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _tickers_are_distinct(self) -> Self:
        tickers = [listing.ticker for listing in self.instruments]
        if twice := sorted({ticker for ticker in tickers if tickers.count(ticker) > 1}):
            raise ValueError(f"expected each ticker once, found {twice} more than once")
        return self

    @property
    def tickers(self) -> tuple[str, ...]:
        """What to subscribe to, in the file's order."""
        return tuple(listing.ticker for listing in self.instruments)


def load_watchlist(path: Path) -> Watchlist:
    """A watchlist file, checked; one SettingsError names every problem in it."""
    return load_checked(path, Watchlist)


def watched_instruments(watchlist: Watchlist, known: Iterable[Row] = ()) -> list[Row]:
    """Rows of silver.instruments: those known from elsewhere, with names and CIKs added, and the rest of the watchlist.

    A listing is known where some instrument carries its ticker today; its history then comes from there.
    """
    rows = list(known)
    carriers = {row["ticker"]: row["instrument_id"] for row in rows if row["valid_to"] is None}
    named = {carriers[one.ticker]: one for one in watchlist.instruments if one.ticker in carriers}
    own = [one for one in watchlist.instruments if one.ticker not in carriers]
    renamed = {one.permanent_id: one for one in own}
    told = [_told(row, named.get(row["instrument_id"]), renamed.get(row["instrument_id"]), watchlist) for row in rows]
    return told + [_row(one, watchlist.version) for one in own]


def _told(row: Row, named: Listing | None, renamed: Listing | None, watchlist: Watchlist) -> Row:
    """A known row with what the watchlist adds: name and CIK, and the end of a ticker that was changed since."""
    changes: Row = {}
    if named:
        changes = {"name": named.name, "cik": named.cik}
    elif renamed and row["valid_to"] is None and row["valid_from"] < renamed.valid_from:
        changes = {"valid_to": renamed.valid_from - timedelta(days=1)}
    return {**row, **changes, "sequence": row["sequence"] + watchlist.version} if changes else row


def _row(listing: Listing, version: int) -> Row:
    return {
        "instrument_id": listing.permanent_id, "ticker": listing.ticker, "valid_from": listing.valid_from,
        "valid_to": None, "exchange": listing.exchange, "currency": CURRENCY, "cik": listing.cik, "name": listing.name,
        "delist_reason": None, "origin": ORIGIN, "sequence": version, **dict.fromkeys(FROM_DOCUMENTS),
    }  # fmt: skip
