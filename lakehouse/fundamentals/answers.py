"""From figures with signs to one number: splits between filings undone, averages weighed by their days."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from math import fsum, prod
from typing import NamedTuple

from lakehouse.fundamentals.concepts import Kind, Unit
from lakehouse.fundamentals.derivations import Derivation, Method, Reason, Term
from lakehouse.fundamentals.figures import Figure

EPOCH = date(1970, 1, 1).toordinal()
LARGEST_CHANGE = 10.0  # of average shares from one figure to another: NVDA's filings of 2010 give thousands of shares
DECIMALS = 9  # filings give no more than a few; what adding up binary fractions leaves behind lies beyond


class Answer(NamedTuple):
    """A value with how it was come by, or the reason why there is none; `filed` is the latest filing day of its terms.

    Per-share values and counts of shares stand on the share basis of that day.
    """

    value: float | None
    unit: str | None
    method: Method | None
    reason: Reason | None
    filed: int | None
    basis: int
    terms: tuple[Term, ...]

    @property
    def meaning(self) -> tuple[object, ...]:
        """What makes it another answer when it changes; that a filing repeats a figure does not."""
        return self.value, self.unit, self.method, self.reason, self.basis


@dataclass(frozen=True)
class Splits:
    """The splits of one company in order: the day each takes effect, and how many shares one share becomes."""

    days: tuple[int, ...] = ()
    ratios: tuple[float, ...] = ()

    @classmethod
    def of(cls, splits: Iterable[tuple[date, float]]) -> Splits:
        """Splits in any order."""
        ordered = sorted((day.toordinal() - EPOCH, ratio) for day, ratio in splits)
        return cls(tuple(day for day, _ in ordered), tuple(ratio for _, ratio in ordered))

    def basis_of(self, day: int) -> int:
        """How many splits a filing of that day knows of: those after it are on another basis."""
        return bisect_right(self.days, day)

    def ratio(self, basis: int, newest: int) -> float:
        """How many shares of the newer basis one share of the older became."""
        return prod(self.ratios[basis:newest])


def unanswered(reason: Reason) -> Answer:
    """No value, and why."""
    return Answer(None, None, None, reason, None, 0, ())


@dataclass(frozen=True)
class Arithmetic:
    """How figures of a concept are put together."""

    kind: Kind
    unit: Unit
    splits: Splits

    def basis_of(self, filed: int) -> int:
        """The share basis of a filing's figures; money has none."""
        return 0 if self.unit == "money" else self.splits.basis_of(filed)

    def misfit(self, derived: Derivation) -> Reason | None:
        """Why the figures of a derivation cannot be put together, None where they can."""
        if len(derived.terms) == 1:
            return None
        figures = [figure for figure, _ in derived.terms]
        if len({figure.unit for figure in figures}) > 1:
            return Reason.UNIT_CHANGED
        if self.kind == "average":
            basis = max(figure.basis for figure in figures)
            values = [abs(self._on_basis(figure, basis)) for figure in figures]
            if max(values) > LARGEST_CHANGE * min(values):
                return Reason.SCALE_CHANGED
        return None

    def answer(self, derived: Derivation | Reason) -> Answer:
        """The number that figures with their signs come to, on the share basis of the newest of them."""
        if isinstance(derived, Reason):
            return unanswered(derived)
        figures = [figure for figure, _ in derived.terms]
        filed = max(figure.filed for figure in figures)
        basis = self.basis_of(filed)
        value = figures[0].value if len(figures) == 1 else self._total(derived.terms, basis)
        return Answer(value, figures[0].unit, derived.method, None, filed, basis, derived.terms)

    def _total(self, terms: Sequence[Term], basis: int) -> float:
        values = [sign * self._on_basis(figure, basis) for figure, sign in terms]
        if self.kind != "average":
            return round(fsum(values), DECIMALS)
        weighed = fsum(value * figure.days for value, (figure, _) in zip(values, terms, strict=True))
        return round(weighed / sum(sign * figure.days for figure, sign in terms), DECIMALS)

    def _on_basis(self, figure: Figure, basis: int) -> float:
        if figure.basis == basis:
            return figure.value
        ratio = self.splits.ratio(figure.basis, basis)
        return figure.value * ratio if self.unit == "shares" else figure.value / ratio
