"""Collected splits and dividends beside those of other sources: one row for each event, never two. Pure.

What a source says of an instrument and an action is its newest document that says anything; older ones tell since when
it was known. Other sources' rows stay as they are, and where a claim says the same they gain when it was announced.
What contradicts them, or itself, is in no row. The rows depend on the set of documents alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

from lakehouse.reference.calendar import Row, TradingDays
from lakehouse.reference.claims import Claim
from lakehouse.reference.universe import Tickers, is_carried

COLLECTED, AGREES = ("finnhub",), ", "  # sources of documents; between who says so first and who agrees
TAKEN, SAME, CONTRADICTS, UNREADABLE = "taken", "same", "contradicts", "unreadable"
NO_INSTRUMENT, NOT_LISTED, OTHER_CURRENCY = "no_instrument", "not_listed", "other_currency"
NOISE = Decimal("0.0003")  # of old factors, as for splits in lakehouse/reference/lean.py
A_CENT, A_PERCENT = Decimal("0.01"), Decimal("0.01")  # amounts of factor files are computed from rounded factors
Found = tuple[Claim, Row | None]


@dataclass(frozen=True)
class Judged:
    """A claim, since when we have it, whose it is, and what is made of it."""

    claim: Claim
    first_had: datetime
    instrument_id: str | None
    verdict: str
    detail: str | None = None

    @property
    def row(self) -> Row:
        """A row of silver.collected_actions."""
        names = ("source", "symbol", "action", "effective_date", "ratio", "amount", "currency", "announced_date")
        return {
            "claim_id": self.claim.claim_id, **{name: getattr(self.claim, name) for name in names},
            "instrument_id": self.instrument_id, "verdict": self.verdict, "detail": self.detail,
            "fetched_at": self.first_had, "revised_at": self.claim.fetched_at,
            "document_hash": self.claim.document_hash,
        }  # fmt: skip


@dataclass(frozen=True)
class Ledger:
    """What others say of splits and dividends, who was listed when, and the trading days of an exchange in a zone."""

    actions: Sequence[Row]
    instruments: Sequence[Row]
    days: TradingDays
    zone: str

    def with_claims(self, claims: Iterable[Claim]) -> tuple[list[Row], list[Judged]]:
        """Rows of silver.corporate_actions, and what became of each claim."""
        judged = self._judged(list(claims))
        rows = {_key(row): row for row in self.actions}
        for one in judged:
            key = one.instrument_id, one.claim.action, one.claim.effective_date
            if one.verdict == SAME:
                rows[key] = self._with_word(rows[key], one)
            elif one.verdict == TAKEN:
                rows[key] = self._row(one)
        return list(rows.values()), judged

    def _judged(self, claims: Sequence[Claim]) -> list[Judged]:
        tickers, zone = Tickers(self.instruments), ZoneInfo(self.zone)
        found = [(one, tickers.carrier(one.symbol, one.fetched_at.astimezone(zone).date())) for one in claims]
        first_had: dict[tuple[object, ...], datetime] = {}
        for claim, carrier in found:
            said = (*_about(claim, carrier), claim.says)
            first_had[said] = min(first_had.get(said, claim.fetched_at), claim.fetched_at)
        newest = _newest(found)
        says = {(*_about(claim, carrier), claim.effective_date, claim.says) for claim, carrier in newest}
        figures = Counter(one[:-1] for one in says)
        judged = {}
        for claim, carrier in newest:
            about = _about(claim, carrier)
            several = figures[(*about, claim.effective_date)] > 1
            verdict = self._verdict(claim, carrier, several=several)
            instrument_id = carrier["instrument_id"] if carrier else None
            judged[claim.claim_id] = Judged(claim, first_had[(*about, claim.says)], instrument_id, *verdict)
        return [judged[name] for name in sorted(judged)]

    def _verdict(self, claim: Claim, carrier: Row | None, *, several: bool) -> tuple[str, str | None]:
        day = claim.effective_date
        if claim.problem is not None or day is None:
            return UNREADABLE, claim.problem
        if carrier is None:
            return NO_INSTRUMENT, f"nothing is known to have carried {claim.symbol} on {claim.fetched_at:%Y-%m-%d}"
        instrument_id = carrier["instrument_id"]
        if not any(is_carried(row, day) for row in self._lives[instrument_id]):
            return NOT_LISTED, f"{instrument_id} was not listed on {day}"
        if day not in self.days.opens:
            return NOT_LISTED, f"the calendar has no session on {day}"
        if claim.currency not in (None, carrier["currency"]):
            return OTHER_CURRENCY, f"expected {carrier['currency']}, found {claim.currency}"
        if several:
            return CONTRADICTS, f"{claim.source} tells of another {claim.action} on {day}"
        return self._beside_others(claim, day, self._by_instrument.get(instrument_id, []))

    def _beside_others(self, claim: Claim, day: date, others: Sequence[Row]) -> tuple[str, str | None]:
        """A verdict by the other sources' actions of the instrument, which are whole up to the last of them."""
        for row in others:
            if (row["action"], row["effective_date"]) == (claim.action, day):
                return (SAME, None) if _agree(row, claim) else (CONTRADICTS, f"{row['origin']} has {_figure(row)}")
        until = max((row["effective_date"] for row in others), default=date.min)
        if day <= until:
            said = f"{others[0]['origin']} tells of actions up to {until}, and of no {claim.action} on {day}"
            return CONTRADICTS, said
        return TAKEN, None

    @cached_property
    def _lives(self) -> dict[str, list[Row]]:
        return _grouped(self.instruments)

    @cached_property
    def _by_instrument(self) -> dict[str, list[Row]]:
        return _grouped(self.actions)

    def _with_word(self, row: Row, judged: Judged) -> Row:
        """A row of another source that a claim agrees with."""
        return {
            **row, "announced_at": row["announced_at"] or self._announced_at(judged.claim),
            "known_from": min(row["known_from"], self._known_from(judged)),
            "origin": f"{row['origin']}{AGREES}{judged.claim.source}",
        }  # fmt: skip

    def _row(self, judged: Judged) -> Row:
        claim = judged.claim
        return {
            "instrument_id": judged.instrument_id, "action": claim.action, "effective_date": claim.effective_date,
            "ratio": claim.ratio, "amount": claim.amount,
            "price_factor": float(1 / claim.ratio) if claim.ratio else None,
            "announced_at": self._announced_at(claim), "known_from": self._known_from(judged),
            "origin": claim.source, "sequence": int(f"{claim.fetched_at:%Y%m%d}"),
        }  # fmt: skip

    def _announced_at(self, claim: Claim) -> datetime | None:
        """The end of the day of the announcement: sources give no time."""
        if claim.announced_date is None:
            return None
        return datetime.combine(claim.announced_date + timedelta(days=1), time(), ZoneInfo(self.zone)).astimezone(UTC)

    def _known_from(self, judged: Judged) -> datetime:
        """When it was announced, else when we had it; at the latest when the first trades without it."""
        trades: datetime = self.days.opens[judged.claim.effective_date or date.min]
        return min(self._announced_at(judged.claim) or judged.first_had, trades)


def refusals(judged: Iterable[Judged]) -> list[str]:
    """What became no row and agrees with none, one line for each."""
    return [f"{one.claim.claim_id}: {one.verdict}: {one.detail}" for one in judged if one.verdict not in (TAKEN, SAME)]


def bare_action(row: Row, days: TradingDays) -> Row | None:
    """A stored row of silver.corporate_actions without what documents added, None where all of it is theirs."""
    first, _, agrees = row["origin"].partition(AGREES)
    if first in COLLECTED:
        return None
    if not agrees:
        return row
    known_from = days.opens.get(row["effective_date"], row["known_from"])
    return {**row, "origin": first, "announced_at": None, "known_from": known_from}


def _newest(found: Iterable[Found]) -> list[Found]:
    """The claims of the newest document about each instrument and action that says anything, in order.

    What could not be read counts for nothing, so a document that is damaged, or empty, withdraws nothing.
    """
    ordered = sorted(found, key=lambda one: (one[0].claim_id, one[0].fetched_at, one[0].document_hash, one[0].place))
    newest: dict[tuple[str, ...], tuple[datetime, str]] = {}
    for claim, carrier in ordered:
        if claim.problem is None:
            about = _about(claim, carrier)
            newest[about] = max(newest.get(about, _document(claim)), _document(claim))
    return [one for one in ordered if _document(one[0]) >= newest.get(_about(*one), _document(one[0]))]


def _about(claim: Claim, carrier: Row | None) -> tuple[str, ...]:
    """Who says something about what: of an instrument whatever its ticker was, else of the ticker."""
    return claim.source, claim.action, carrier["instrument_id"] if carrier else f"?{claim.symbol}"


def _document(claim: Claim) -> tuple[datetime, str]:
    return claim.fetched_at, claim.document_hash


def _key(row: Row) -> tuple[object, ...]:
    return row["instrument_id"], row["action"], row["effective_date"]


def _grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["instrument_id"], []).append(row)
    return found


def _agree(row: Row, claim: Claim) -> bool:
    """Whether a row and a claim tell of the same figure, as far as sources round."""
    theirs, ours = (row["ratio"], claim.ratio) if claim.action == "split" else (row["amount"], claim.amount)
    if theirs is None or ours is None:
        return False
    allowed = NOISE * ours if claim.action == "split" else min(A_CENT, A_PERCENT * ours)
    return bool(abs(theirs - ours) <= allowed)


def _figure(row: Row) -> str:
    return f"{row['ratio'] if row['action'] == 'split' else row['amount']}"
