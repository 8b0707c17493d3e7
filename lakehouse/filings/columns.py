"""Python values as Arrow columns of one type; what is not of that type becomes NULL, never an error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

FIRST_YEAR, LAST_YEAR = 1900, 2100  # a date outside is a slip of the pen
ACCESSION = re.compile(r"[0-9]{10}-[0-9]{2}-[0-9]{6}")
ISO_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
COMPACT_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
SAFE_DIGITS = 15  # of at most so many digits, the shortest text of the double is the number itself


class Inexact(str):
    """The text of a number that no double holds."""

    __slots__ = ()


def texts(values: Sequence[object]) -> pa.Array:
    """Text as a column; anything else, and text that UTF-8 cannot hold, is NULL."""
    if set(map(type, values)) <= {str, type(None)}:
        try:
            return pa.array(values, pa.string())
        except UnicodeEncodeError:
            pass  # a lone surrogate somewhere: look at each
    return pa.array([value if is_text(value) else None for value in values], pa.string())


def is_text(value: object) -> bool:
    """Whether a value is text that UTF-8 can hold."""
    try:
        return type(value) is str and value.encode() is not None
    except UnicodeEncodeError:
        return False


def filled_texts(values: Sequence[object]) -> pa.Array:
    """Text as a column, NULL where it is empty."""
    return texts([value or None for value in values])


def days(values: Sequence[object]) -> pa.Array:
    """Dates written YYYY-MM-DD; NULL where that is no day of the calendar from 1900 to 2100."""
    return converted(texts(values), iso_day, pa.date32())


def accessions(values: Sequence[object]) -> pa.Array:
    """Accession numbers; NULL where the text is none."""
    return converted(texts(values), accession, pa.string())


def whole_numbers(values: Sequence[object]) -> pa.Array:
    """Whole numbers of 32 bits."""
    return pa.array([value if type(value) is int and abs(value) < 2**31 else None for value in values], pa.int32())


def numbers(values: Sequence[object]) -> pa.Array:
    """Finite numbers that a double holds."""
    if set(map(type, values)) <= {int, float, type(None)}:
        try:
            found = pa.array(values, pa.float64())
        except ValueError:
            pass  # a great whole number somewhere: look at each
        else:
            if pc.all(pc.is_finite(found), min_count=0).as_py():
                return found
    return pa.array([_held(value) for value in values], pa.float64())


def converted(column: pa.Array, convert: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    """A text column value by value; each text that occurs is looked at once."""
    encoded = column.dictionary_encode()
    return pa.array([convert(text) for text in encoded.dictionary.to_pylist()], kind).take(encoded.indices)


def iso_day(text: str) -> date | None:
    """The day YYYY-MM-DD stands for, if it is one."""
    return _day(ISO_DAY.fullmatch(text))


def compact_day(text: str) -> date | None:
    """The day YYYYMMDD stands for, if it is one."""
    return _day(COMPACT_DAY.fullmatch(text))


def accession(text: str) -> str | None:
    """The text, if it is an accession number."""
    return text if ACCESSION.fullmatch(text) else None


def exact_number(text: str) -> float | None:
    """The double that a decimal number stands for, None where writing it out again gives another number."""
    value = float(text)
    if len(text) <= SAFE_DIGITS and not ("e" in text or "E" in text):
        return value
    return value if math.isfinite(value) and _is_written(value, text) else None


def _is_written(value: float, text: str) -> bool:
    try:
        return Decimal(repr(value)) == Decimal(text)
    except InvalidOperation:  # an exponent beyond what decimals can count
        return False


def _day(match: re.Match[str] | None) -> date | None:
    if match is None:
        return None
    year, month, day = map(int, match.groups())
    try:
        return date(year, month, day) if FIRST_YEAR <= year <= LAST_YEAR else None
    except ValueError:
        return None


def _held(value: object) -> float | None:
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is not int:
        return None
    try:
        held = float(value)
    except OverflowError:
        return None
    return held if int(held) == value or Decimal(repr(held)) == value else None
