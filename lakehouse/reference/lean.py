"""Instruments and corporate actions from Lean's map and factor files.

A map file is the history of one listing: a first line with its first day and ticker, then one line for each ticker with
the last day it was carried; a year from 2050 on stands for "still". Days before a file's first line belong to nobody,
so a ticker that was used again (WM, FB) is two instruments, or one and a stranger.

A factor file holds the multipliers for all prices up to and including a line's date. A change from one line to the next
therefore takes effect on the first trading day after the earlier line: 2014-06-06 for AAPL's split of 2014-06-09.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from lakehouse.errors import SettingsError
from lakehouse.reference.calendar import Row, TradingDays
from lakehouse.reference.universe import FROM_DOCUMENTS

STILL = 2050
EXCHANGE, CURRENCY, ORIGIN = "XNYS", "USD", "lean"
SPLIT_NOISE = Fraction(3, 10_000)  # old factors are off by up to 1.5 in 10,000; the smallest true odd ratio by 27
SPLIT_TERMS = 20
NINE, SIX = Decimal("1e-9"), Decimal("1e-6")


@dataclass(frozen=True)
class LeanFiles:
    """The text of map and factor files by their name without `.csv`, which both kinds share."""

    maps: Mapping[str, str]
    factors: Mapping[str, str]

    @property
    def unmapped(self) -> list[str]:
        """Factor files without a map file: nothing says whose they are, so they are left out."""
        return sorted(set(self.factors) - set(self.maps))

    @property
    def sequence(self) -> int:
        """The version of the rows: the newest past day in any file, then three digits for what is added to them."""
        files = [*self.maps.items(), *self.factors.items()]
        days = [day for name, text in files for day, _ in _lines(f"{name}.csv", text)]
        return 1000 * max(int(f"{day:%Y%m%d}") for day in days if day.year < STILL)


def read_lean_files(folder: Path) -> LeanFiles:
    """The map and factor files of a Lean data folder."""
    texts = {
        kind: {file.stem: file.read_text(encoding="utf-8") for file in sorted((folder / kind).glob("*.csv"))}
        for kind in ("map_files", "factor_files")
    }
    if not texts["map_files"]:
        raise SettingsError(
            f"reference.lean_folder: expected map_files/*.csv under {folder}, found none. Nothing was loaded. "
            f"Point it to the folder that holds map_files and factor_files."
        )
    return LeanFiles(texts["map_files"], texts["factor_files"])


def instruments_from(files: LeanFiles, days: TradingDays) -> list[Row]:
    """Rows of silver.instruments: each listing and its ticker intervals. Its id is its first ticker and first day."""
    sequence = files.sequence
    return [
        {
            "instrument_id": instrument_id, "ticker": ticker, "valid_from": first, "valid_to": last,
            "exchange": EXCHANGE, "currency": CURRENCY, "cik": None, "name": None, "delist_reason": None,
            "origin": ORIGIN, "sequence": sequence, **dict.fromkeys(FROM_DOCUMENTS),
        }
        for name, text in sorted(files.maps.items())
        for instrument_id, ticker, first, last in _intervals(name, text, days)
    ]  # fmt: skip


def _intervals(name: str, text: str, days: TradingDays) -> Iterator[tuple[str, str, date, date | None]]:
    lines = list(_lines(f"map_files/{name}.csv", text))
    if len(lines) < 2:
        raise SettingsError(f"map_files/{name}.csv: expected a first day and a last one, found {len(lines)} lines.")
    instrument_id = _instrument_id(lines)
    first = lines[0][0]
    for index, (last, fields) in enumerate(lines[1:]):
        ticker = fields[0].upper()
        goes_on = index + 2 < len(lines)
        yield instrument_id, ticker, first, None if last.year >= STILL else last
        if goes_on:
            first = days.after(last)


def _instrument_id(lines: list[tuple[date, list[str]]]) -> str:
    day, fields = lines[0]
    return f"{fields[0].upper()}-{day:%Y%m%d}"


def corporate_actions_from(files: LeanFiles, days: TradingDays) -> list[Row]:
    """Rows of silver.corporate_actions. Lean knows no announcements: an action is known from its first instant on."""
    sequence = files.sequence
    rows = []
    for name, text in sorted(files.factors.items()):
        if name in files.maps:
            instrument_id = _instrument_id(list(_lines(f"map_files/{name}.csv", files.maps[name])))
            for day, values in _changes(f"factor_files/{name}.csv", text):
                effective = days.after(day)
                known_from: datetime = days.opens[effective]
                rows.append(
                    {
                        "instrument_id": instrument_id, "action": values["action"], "effective_date": effective,
                        "ratio": values.get("ratio"), "amount": values.get("amount"),
                        "price_factor": values["price_factor"], "announced_at": None, "known_from": known_from,
                        "origin": ORIGIN, "sequence": sequence,
                    }
                )  # fmt: skip
    return rows


def _changes(where: str, text: str) -> Iterator[tuple[date, Row]]:
    """The last day before each split and dividend, with what it amounts to in the money and shares of that day."""
    lines = [(day, *_numbers(where, fields)) for day, fields in _lines(where, text)]
    for (day, price, split, close), (_, next_price, next_split, _) in pairwise(lines):
        if next_split != split:
            ratio = plain_ratio(next_split / split)
            yield day, {"action": "split", "ratio": _decimal(ratio, NINE), "price_factor": float(1 / ratio)}
        if next_price != price:
            factor = price / next_price
            amount = _decimal(close * (1 - factor), SIX)
            yield day, {"action": "dividend", "amount": amount, "price_factor": float(factor)}


def plain_ratio(measured: Fraction) -> Fraction:
    """New shares per old: the fraction of small numbers that is meant (7 for 6.9999972), else as measured (1.0027)."""
    if measured < 1:
        return 1 / plain_ratio(1 / measured)
    meant = measured.limit_denominator(SPLIT_TERMS)
    return meant if meant != 1 and abs(meant / measured - 1) <= SPLIT_NOISE else measured


def _decimal(value: Fraction, step: Decimal) -> Decimal:
    return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(step)


def _numbers(where: str, fields: list[str]) -> tuple[Fraction, Fraction, Fraction]:
    try:
        price, split, close = (Fraction(field) for field in fields)
    except (ValueError, ZeroDivisionError) as error:
        raise SettingsError(
            f"{where}: expected price factor, split factor and reference price, found {fields}. Nothing was loaded. "
            f"Restore the file from its source."
        ) from error
    if price <= 0 or split <= 0:
        raise SettingsError(f"{where}: expected factors above 0, found {fields}. Nothing was loaded. Restore the file.")
    return price, split, close


def _lines(where: str, text: str) -> Iterator[tuple[date, list[str]]]:
    """The lines of a file, oldest first; a date out of order means that the file is damaged."""
    before = date.min
    for number, line in enumerate(text.split(), start=1):
        stamp, *fields = line.split(",")
        try:
            day = date.fromisoformat(f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:]}")
        except ValueError:
            day = date.min
        if day < before or day == date.min or not fields:
            raise SettingsError(
                f"{where}:{number}: expected a day as YYYYMMDD, not before the line above, found {line!r}. Nothing was "
                f"loaded. Restore the file from its source."
            )
        before = day
        yield day, fields


def refuse_shared_tickers(rows: Iterable[Row]) -> None:
    """Refuse listings of which two would carry one ticker on one day: prints of that day could not be told apart."""
    ordered = sorted(rows, key=lambda row: (row["ticker"], row["valid_from"]))
    for one, other in pairwise(ordered):
        overlaps = one["valid_to"] is None or one["valid_to"] >= other["valid_from"]
        if one["ticker"] == other["ticker"] and overlaps:
            raise SettingsError(
                f"silver.instruments: expected one instrument to carry {one['ticker']} on {other['valid_from']}, found "
                f"{one['instrument_id']} ({one['origin']}) and {other['instrument_id']} ({other['origin']}). Nothing "
                f"was loaded. Correct the interval of one of them."
            )
