"""How an answer came about, or why there is none: figures with their signs, and the codes of ways and reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

from lakehouse.fundamentals.figures import Figure


class Method(StrEnum):
    """How a value was come by."""

    REPORTED = "reported"  # as it stands in a filing
    YEAR_TO_DATE_LESS_PRIOR = "year_to_date_less_prior"  # of two figures that start on one day
    YEAR_TO_DATE_LESS_QUARTERS = "year_to_date_less_quarters"
    FOUR_QUARTERS = "four_quarters"  # each of them reported
    YEAR_AND_YEARS_TO_DATE = (
        "year_and_years_to_date"  # the year, and this year to date, less the same of the year before
    )
    FOUR_QUARTERS_SOME_DERIVED = "four_quarters_some_derived"
    FORMULA = "formula"  # composed of other concepts


class Reason(StrEnum):
    """Why a value cannot be derived."""

    MISSING_QUARTER = "missing_quarter"  # the quarters before it have a gap, and no year is known to start from
    MISSING_YEAR = "missing_year"  # a year to date is known, and no year before it
    MISSING_YEAR_TO_DATE = (
        "missing_year_to_date"  # there is nothing to take away: the part of the year that went before
    )
    FISCAL_YEAR_CHANGED = "fiscal_year_changed"  # the year before does not end where this one starts
    OVERLAP = "overlap"  # stretches that should meet overlap or leave days out
    CONFLICT = "conflict"  # the newest filing gives two values for one stretch
    UNIT_CHANGED = "unit_changed"  # the operands are in different currencies
    SCALE_CHANGED = (
        "scale_changed"  # average shares differ as only a split that is not known, or thousands, would have it
    )
    MISSING_OPERAND = "missing_operand"  # a concept that the formula needs is not reported for that time


Term = tuple[Figure, int]  # a figure, and whether it is added (1) or taken away (-1)


class Derivation(NamedTuple):
    """A stretch of days, the figures that tell of it, and how they are put together."""

    start: int
    end: int
    terms: tuple[Term, ...]
    method: Method


Misfit = Callable[[Derivation], Reason | None]  # why the operands of a derivation cannot be put together


def as_reported(figure: Figure) -> Derivation:
    """A figure as it stands."""
    return Derivation(figure.start, figure.end, ((figure, 1),), Method.REPORTED)


def added_up(parts: Iterable[Derivation], method: Method) -> Derivation:
    """Stretches that follow one another, as one; the last comes first."""
    parts = tuple(parts)
    return Derivation(parts[-1].start, parts[0].end, tuple(term for part in parts for term in part.terms), method)


def first_sound(ways: Iterable[Derivation], misfit: Misfit) -> Derivation | Reason | None:
    """The first derivation whose operands fit; else why the first of them do not, or None where there was no way."""
    found: Reason | None = None
    for way in ways:
        reason = misfit(way)
        if reason is None:
            return way
        found = found or reason
    return found
