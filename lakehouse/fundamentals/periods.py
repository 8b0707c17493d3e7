"""Quarters and trailing twelve months of one concept, from the stretches that filings tell of.

Filings tell of three months, of the year to date, or of a year; cash flows only of the year to date. Only its first and
last day say what a stretch is: the fiscal period that a filing names is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lakehouse.fundamentals.answers import Arithmetic
from lakehouse.fundamentals.derivations import Derivation, Method, Reason, added_up, as_reported, first_sound
from lakehouse.fundamentals.figures import LENGTHS, Figure, Figures, has_length, near_days

REACH_DAYS = 680  # before the end of a stretch lie the ends of all figures that answers about it depend on
MISFIT_DAYS = 45  # dates that miss each other by no more were meant to be one boundary

Finder = Callable[[int], Derivation | None]


class Periods:
    """Answers from what is known at one instant; `forget` them whenever a figure is learnt.

    Per share a fourth quarter is the year less three quarters rather than less nine months, so that the four add up to
    the year: nine months' earnings per share are not the sum of their quarters'.
    """

    def __init__(self, figures: Figures, arithmetic: Arithmetic) -> None:
        self._figures = figures
        self._misfit = arithmetic.misfit
        self._prefer_quarters = arithmetic.unit == "per_share"
        self._quarters: dict[int, Derivation | Reason] = {}

    def forget(self) -> None:
        """Answer anew: figures have changed."""
        self._quarters.clear()

    def year(self, end: int) -> Derivation | Reason | None:
        """The twelve months to a day as reported, None where none are."""
        year = self._figures.reported(end, 4)
        if year is not None:
            return as_reported(year)
        return Reason.CONFLICT if self._figures.candidates(end, 4) else None

    def quarter(self, end: int) -> Derivation | Reason:
        """The quarter to a day, or why there is none."""
        answer = self._quarters.get(end)
        if answer is None:
            answer = first_sound(self._ways_to_quarter(end), self._misfit) or self._why_no_quarter(end)
            self._quarters[end] = answer
        return answer

    def trailing_year(self, end: int) -> Derivation | Reason:
        """The twelve months to a day: the sum of four reported quarters wherever those exist; or why there are none."""
        return first_sound(self._ways_to_trailing_year(end), self._misfit) or self._why_no_trailing_year(end)

    def _ways_to_quarter(self, end: int) -> Iterator[Derivation]:
        reported = self._figures.reported(end, 1)
        if reported is not None:
            yield as_reported(reported)
        wholes = [whole for quarters in (2, 3, 4) if (whole := self._figures.reported(end, quarters))]
        ways = (self._less_prior, self._less_quarters)
        for way in reversed(ways) if self._prefer_quarters else ways:
            yield from (quarter for whole in wholes if (quarter := way(whole)))

    def _less_prior(self, whole: Figure) -> Derivation | None:
        prior = self._figures.starting(whole.start, whole.quarters - 1)
        if prior is None or not has_length(whole.end - prior.end, 1):
            return None
        return Derivation(prior.end + 1, whole.end, ((whole, 1), (prior, -1)), Method.YEAR_TO_DATE_LESS_PRIOR)

    def _less_quarters(self, whole: Figure) -> Derivation | None:
        parts: list[Figure] = []
        start = whole.start
        for _ in range(whole.quarters - 1):
            part = self._figures.starting(start, 1)
            if part is None:
                return None
            parts.append(part)
            start = part.end + 1
        if not has_length(whole.end - start + 1, 1):
            return None
        taken_away = tuple((part, -1) for part in parts)
        return Derivation(start, whole.end, ((whole, 1), *taken_away), Method.YEAR_TO_DATE_LESS_QUARTERS)

    def _ways_to_trailing_year(self, end: int) -> Iterator[Derivation]:
        yield from self._four(end, self._reported_quarter, Method.FOUR_QUARTERS)
        year = self._figures.reported(end, 4)
        if year is not None:
            yield as_reported(year)
        if self._prefer_quarters:
            yield from self._four(end, self._any_quarter, Method.FOUR_QUARTERS_SOME_DERIVED)
        yield from self._year_and_years_to_date(end)
        if not self._prefer_quarters:
            yield from self._four(end, self._any_quarter, Method.FOUR_QUARTERS_SOME_DERIVED)

    def _four(self, end: int, find: Finder, method: Method) -> Iterator[Derivation]:
        parts: list[Derivation] = []
        while len(parts) < 4:
            before = parts[-1].start - 1 if parts else end
            days = near_days(self._figures.by_end, before) if parts else (end,)
            part = next(filter(None, map(find, days)), None)
            if part is None:
                return
            parts.append(part)
        if has_length(end - parts[-1].start + 1, 4):
            yield added_up(parts, method)

    def _reported_quarter(self, end: int) -> Derivation | None:
        figure = self._figures.reported(end, 1)
        return None if figure is None else as_reported(figure)

    def _any_quarter(self, end: int) -> Derivation | None:
        found = self.quarter(end)
        return found if isinstance(found, Derivation) else None

    def _year_and_years_to_date(self, end: int) -> Iterator[Derivation]:
        for quarters in (3, 2, 1):
            now = self._figures.reported(end, quarters)
            year = now and self._figures.ending(now.start - 1, 4)
            prior = year and self._figures.starting(year.start, quarters)
            if now and year and prior and has_length(end - prior.end, 4):
                terms = ((year, 1), (now, 1), (prior, -1))
                yield Derivation(prior.end + 1, end, terms, Method.YEAR_AND_YEARS_TO_DATE)

    def _why_no_quarter(self, end: int) -> Reason:
        if self._is_in_conflict(end):
            return Reason.CONFLICT
        has_prior = any(
            self._figures.candidates(day, quarters - 1)
            for quarters in (2, 3, 4)
            if self._figures.candidates(end, quarters)
            for day in self._figures.ends(end - LENGTHS[1][1], end - LENGTHS[1][0])
        )
        return Reason.OVERLAP if has_prior else Reason.MISSING_YEAR_TO_DATE

    def _why_no_trailing_year(self, end: int) -> Reason:
        if self._is_in_conflict(end):
            return Reason.CONFLICT
        now = next((now for quarters in (3, 2, 1) if (now := self._figures.reported(end, quarters))), None)
        if now is None:
            return Reason.MISSING_QUARTER
        if self._figures.ending(now.start - 1, 4):
            return Reason.MISSING_YEAR_TO_DATE
        if now.quarters == 1:
            return self._why_no_four(end)
        misfits = [
            abs(now.start - 1 - day)
            for day in self._figures.ends(now.start - LENGTHS[4][1], end)
            if self._figures.candidates(day, 4)
        ]
        if any(misfit <= MISFIT_DAYS for misfit in misfits):
            return Reason.OVERLAP
        is_changed = any(misfit < LENGTHS[4][0] - MISFIT_DAYS for misfit in misfits)
        return Reason.FISCAL_YEAR_CHANGED if is_changed else Reason.MISSING_YEAR

    def _why_no_four(self, end: int) -> Reason:
        before = end
        for _ in range(4):
            quarter = self._figures.ending(before, 1)
            if quarter is None:
                near = self._figures.ends(before - MISFIT_DAYS, min(before + MISFIT_DAYS, end - 1))
                overlapping = any(self._figures.candidates(day, 1) for day in near)
                return Reason.OVERLAP if overlapping else Reason.MISSING_QUARTER
            before = quarter.start - 1
        return Reason.OVERLAP

    def _is_in_conflict(self, end: int) -> bool:
        return any(self._figures.is_in_conflict(end, quarters) for quarters in LENGTHS)
