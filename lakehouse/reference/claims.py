"""Splits and dividends as fetched documents tell of them, each entry a claim, readable or not. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from lakehouse.reference.universe import plain

SPLITS, DIVIDENDS = "splits", "dividends"  # kinds of documents in bronze.reference
ACTION_OF = {SPLITS: "split", DIVIDENDS: "dividend"}
NINE, SIX = Decimal("1e-9"), Decimal("1e-6")
MOST = Decimal(10**8)  # what DECIMAL(18,9) holds, less a digit
SHOWN = 120


@dataclass(frozen=True)
class Claim:
    """One entry of one document. `problem` says why it tells of nothing, None where it does."""

    source: str
    symbol: str
    action: str
    place: str
    effective_date: date | None
    ratio: Decimal | None
    amount: Decimal | None
    currency: str | None
    announced_date: date | None
    fetched_at: datetime
    document_hash: str
    problem: str | None = None

    @property
    def says(self) -> tuple[Any, ...]:
        """What is said, whichever document says so."""
        return (self.effective_date, self.ratio, self.amount, self.currency, self.announced_date)

    @property
    def claim_id(self) -> str:
        """Source, symbol, action, day and figure, or the place in the document where it could not be read."""
        figure = self.ratio if self.ratio is not None else self.amount
        said = f"{self.effective_date}|{figure}" if self.problem is None else f"{self.document_hash[:16]}{self.place}"
        return "|".join((self.source, self.symbol, self.action, said))


class Unclear(Exception):
    """An entry that cannot be read; its text says what was expected and what was found."""


def claims_of(document: Mapping[str, Any]) -> Iterator[Claim]:
    """The claims of one row of bronze.reference of the kinds SPLITS and DIVIDENDS."""
    action = ACTION_OF[document["kind"]]
    common = {
        "source": document["source"], "symbol": document["symbol"], "action": action,
        "fetched_at": document["fetched_at"], "document_hash": document["content_hash"],
    }  # fmt: skip
    nothing: dict[str, Any] = dict.fromkeys(("effective_date", "ratio", "amount", "currency", "announced_date"))
    try:
        entries = json.loads(document["body"], parse_float=Decimal, parse_int=Decimal)
        if not isinstance(entries, list):
            raise Unclear(f"expected a list, found {_shown(entries)}")
    except (ValueError, RecursionError, Unclear) as error:
        yield Claim(**common, **nothing, place="", problem=f"expected entries, found none: {error}")
        return
    for number, entry in enumerate(entries):
        try:
            said = _said(action, entry, common["symbol"])
            yield Claim(**common, **{**nothing, **said}, place=f"[{number}]")
        except Unclear as error:
            yield Claim(**common, **nothing, place=f"[{number}]", problem=f"entry {number}: {error}")


def _said(action: str, entry: object, symbol: str) -> dict[str, Any]:
    """What an entry says, by our names."""
    if not isinstance(entry, dict):
        raise Unclear(f"expected an object, found {_shown(entry)}")
    named = entry.get("symbol")
    if named is not None and (not isinstance(named, str) or plain(named) != plain(symbol)):
        raise Unclear(f"symbol: expected {symbol}, found {_shown(named)}")
    day = _day(entry, "date")
    if day is None:
        raise Unclear("date: expected a day, found nothing")
    if action == "split":
        ratio = (_positive(entry, "toFactor") / _positive(entry, "fromFactor")).quantize(NINE)
        if ratio == 1 or not 0 < ratio < MOST:
            raise Unclear(f"expected other shares than before, found {ratio} for one")
        return {"effective_date": day, "ratio": ratio}
    amount, currency = _positive(entry, "amount").quantize(SIX), entry.get("currency") or None
    if amount <= 0:
        raise Unclear(f"amount: expected at least a millionth, found {_shown(entry['amount'])}")
    if currency is not None and not isinstance(currency, str):
        raise Unclear(f"currency: expected a text, found {_shown(currency)}")
    announced = _day(entry, "declarationDate")
    if announced is not None and announced > day:
        raise Unclear(f"declarationDate: expected a day up to {day}, on which it took effect, found {announced}")
    return {"effective_date": day, "amount": amount, "currency": currency, "announced_date": announced}


def _day(entry: Mapping[str, Any], name: str) -> date | None:
    """A day as `2019-11-07`; an empty text and null are none."""
    value = entry.get(name) or None
    if value is None:
        return None
    try:
        if isinstance(value, str) and len(value) == len("2019-11-07"):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise Unclear(f"{name}: expected a day, found {_shown(value)}")


def _positive(entry: Mapping[str, Any], name: str) -> Decimal:
    value = entry.get(name)
    try:
        if isinstance(value, Decimal) and value.is_finite() and Decimal("1e-9") <= value < MOST:
            return value
    except InvalidOperation:  # a signalling NaN
        pass
    raise Unclear(f"{name}: expected a number above zero, found {_shown(value)}")


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
