"""Is one print, by itself, one that may be? Every fault gets a reason code and a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from lakehouse.tables.silver import NOTIONAL_CAP_USD, PRICE_CAP_USD, SIZE_CAP
from streaming.wire import KINDS, MICROS

FIRST_MS = 631_152_000_000  # 1990-01-01: earlier stamps are seconds read as milliseconds
LAST_MS = 4_102_444_800_000  # 2100-01-01: later ones are micro- or nanoseconds
SEQ_LIMIT = 1 << 20  # the counter must fit the low bits of `ord`
SYMBOL = re.compile(r"[A-Z][A-Z0-9.\-]{0,14}")
TRADE_ID = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
REF = re.compile(r"(?:(\d{4}-\d\d-\d\d)/)?([A-Za-z0-9._:\-]{1,64})")
CONDITION = re.compile(r"[!-+\--~]{1,16}")  # printable, no space, no comma: conditions are stored comma separated


def micros(number: int | Decimal) -> int:
    """Whole millionths, half up. Only for numbers that passed the checks."""
    return int((Decimal(number) * MICROS).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, Decimal)


def _check_symbol(one: dict[str, Any], faults: dict[str, str]) -> None:
    symbol = one.get("s")
    if symbol is None:
        faults["MISSING_FIELD"] = "s is missing"
    elif not isinstance(symbol, str):
        faults["WRONG_TYPE"] = f"s is {type(symbol).__name__}, expected a string"
    elif not SYMBOL.fullmatch(symbol):
        faults["BAD_SYMBOL"] = f"s is {symbol[:40]!r}, expected {SYMBOL.pattern}"


def _check_amounts(one: dict[str, Any], faults: dict[str, str]) -> None:
    found = []
    for name, code, cap in (("p", "BAD_PRICE", PRICE_CAP_USD), ("v", "BAD_SIZE", SIZE_CAP)):
        value = one.get(name)
        if value is None:
            if one.get("kind") != "cancel":
                faults["MISSING_FIELD"] = f"{name} is missing"
        elif not _is_number(value):
            faults["WRONG_TYPE"] = f"{name} is {type(value).__name__}, expected a number"
        elif not _is_sane(value, cap):
            faults[code] = f"{name} is {str(value)[:40]}, expected more than 0 and less than {cap}"
        else:
            found.append(micros(value))
    if len(found) == 2 and found[0] * found[1] > NOTIONAL_CAP_USD * MICROS * MICROS:
        notional = found[0] * found[1] / (MICROS * MICROS)
        faults["BAD_NOTIONAL"] = f"p x v is {notional:.3e}, at most {NOTIONAL_CAP_USD:.0e} is believed"


def _is_sane(value: int | Decimal, cap: int) -> bool:
    """Finite, and once rounded to millionths positive and under the cap. NaN compares with nothing, so it is
    asked first.
    """
    return Decimal(value).is_finite() and Decimal("0.0000005") <= value < cap and micros(value) < cap * MICROS


def _check_times(one: dict[str, Any], faults: dict[str, str]) -> None:
    traded = one.get("t")
    if traded is None:
        faults["MISSING_FIELD"] = "t is missing"
    elif not _is_whole(traded):
        faults["WRONG_TYPE"] = f"t is {type(traded).__name__}, expected whole milliseconds"
    elif not FIRST_MS <= traded < LAST_MS:
        faults["BAD_TS"] = f"t is {str(traded)[:40]}, expected milliseconds between 1990 and 2100"
    received = one.get("received_at")
    if received is not None and not (_is_whole(received) and FIRST_MS <= received < LAST_MS):
        faults["BAD_TS"] = f"received_at is {str(received)[:40]}, expected milliseconds between 1990 and 2100"


def _check_conditions(one: dict[str, Any], faults: dict[str, str]) -> None:
    conditions = one.get("c")
    if conditions is None:
        return
    listed = isinstance(conditions, list)
    if not listed or not all(isinstance(code, str) and CONDITION.fullmatch(code) for code in conditions):
        faults["BAD_CONDITIONS"] = f"c is {str(conditions)[:40]!r}, expected null or an array of short codes"


def _check_stamps(one: dict[str, Any], faults: dict[str, str]) -> None:
    identity, seq, venue = one.get("id"), one.get("seq"), one.get("x")
    if identity is not None and not (isinstance(identity, str) and TRADE_ID.fullmatch(identity)):
        faults["BAD_ID"] = f"id is {str(identity)[:40]!r}, expected {TRADE_ID.pattern}"
    if seq is not None and not (_is_whole(seq) and 0 <= seq < SEQ_LIMIT):
        faults["BAD_ID"] = f"seq is {str(seq)[:40]!r}, expected a whole number from 0 to {SEQ_LIMIT - 1}"
    if venue is not None and not (isinstance(venue, str) and CONDITION.fullmatch(venue)):
        faults["WRONG_TYPE"] = f"x is {str(venue)[:40]!r}, expected a short exchange code"


def _check_kind(one: dict[str, Any], faults: dict[str, str]) -> None:
    kind, ref = one.get("kind"), one.get("ref")
    if kind is not None and kind not in KINDS if isinstance(kind, str) else kind is not None:
        faults["BAD_KIND"] = f"kind is {str(kind)[:40]!r}, expected one of {KINDS}"
    elif kind in (None, "trade"):
        if ref is not None:
            faults["BAD_KIND"] = "a trade carries a ref; only a cancel or a correction may"
    elif ref is None:
        faults["MISSING_REF"] = f"a {kind} must name the print it refers to in ref"
    elif not (isinstance(ref, str) and REF.fullmatch(ref) and _is_date(ref)):
        faults["BAD_ID"] = f"ref is {str(ref)[:40]!r}, expected ID or YYYY-MM-DD/ID"


def _is_date(ref: str) -> bool:
    day, slash, _ = ref.partition("/")
    if not slash:
        return True
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


CHECKS: tuple[Callable[[dict[str, Any], dict[str, str]], None], ...] = (
    _check_symbol,
    _check_amounts,
    _check_times,
    _check_conditions,
    _check_stamps,
    _check_kind,
)
