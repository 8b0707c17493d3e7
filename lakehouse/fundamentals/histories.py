"""How answers change as filings become known: of figures, of formulas, and of the best of several ways.

A history holds the instants (microseconds of UTC) at which an answer became another one, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from math import fsum
from operator import attrgetter

from lakehouse.fundamentals.answers import DECIMALS, Answer, Arithmetic, unanswered
from lakehouse.fundamentals.concepts import Formula
from lakehouse.fundamentals.derivations import Method, Reason, as_reported
from lakehouse.fundamentals.figures import Figure, Figures
from lakehouse.fundamentals.periods import REACH_DAYS, Periods

INSTANT, QUARTER, TRAILING_YEAR, YEAR = "instant", "quarter", "ttm", "year"
Key = tuple[str, int]  # a span, and the day it ends
History = list[tuple[int, Answer]]
Histories = dict[Key, History]
Combine = Callable[[Sequence[Answer | None]], Answer | None]


def histories_of(figures: Iterable[Figure], arithmetic: Arithmetic) -> Histories:
    """The histories that figures give, which come in the order in which they became known."""
    known, found = Figures(), Histories()
    periods = Periods(known, arithmetic)
    for instant, news in groupby(figures, attrgetter("known")):
        touched = {figure.end for figure in news if known.learn(figure)}
        periods.forget()
        if arithmetic.kind == "stock":
            for end in touched:
                _note(found, (INSTANT, end), instant, arithmetic.answer(as_reported(known.by_end[end][end])))
        else:
            for end in {end for first in touched for end in known.ends(first, first + REACH_DAYS)}:
                _note(found, (QUARTER, end), instant, arithmetic.answer(periods.quarter(end)))
                _note(found, (TRAILING_YEAR, end), instant, arithmetic.answer(periods.trailing_year(end)))
                if (year := periods.year(end)) is not None:
                    _note(found, (YEAR, end), instant, arithmetic.answer(year))
    return found


def first_answered(ways: Sequence[Histories]) -> Histories:
    """Of several ways the first that gives a value; where none does, the reason of the first that says one."""
    keys = dict.fromkeys(key for way in ways for key in way)
    return {key: _merged([way[key] for way in ways if key in way], _first_answer) for key in keys}


def composed(formula: Formula, histories: Mapping[str, Histories]) -> Histories:
    """The histories of a formula."""
    keys = dict.fromkeys(key for name in formula.operands for key in histories[name])

    def compose(answers: Sequence[Answer | None]) -> Answer | None:
        return composed_answer(formula, answers)

    merged = {key: _merged([histories[name].get(key, []) for name, _ in formula.terms], compose) for key in keys}
    return {key: history for key, history in merged.items() if history}


def composed_answer(formula: Formula, answers: Sequence[Answer | None]) -> Answer | None:
    """What a formula comes to, given the answers of its operands in order.

    None where nothing of it is known, or not the first that it cannot lack: there is nothing to compose.
    """
    leading = next((place for place, name in enumerate(formula.operands) if name not in formula.may_lack), None)
    if leading is not None and answers[leading] is None:
        return None
    present: list[tuple[Answer, int]] = []
    for (name, sign), answer in zip(formula.terms, answers, strict=True):
        if answer is not None and answer.value is not None:
            present.append((answer, sign))
        elif answer is not None and answer.reason is not None:
            return unanswered(answer.reason)
        elif name not in formula.may_lack:
            return unanswered(Reason.MISSING_OPERAND)
    if not present:
        return None
    if len(formula.operands) == 1:
        return present[0][0]
    if len({answer.unit for answer, _ in present}) > 1:
        return unanswered(Reason.UNIT_CHANGED)
    value = round(fsum(sign * (answer.value or 0.0) for answer, sign in present), DECIMALS)
    terms = tuple((figure, sign * own) for answer, sign in present for figure, own in answer.terms)
    filed = max(figure.filed for figure, _ in terms)
    return Answer(value, present[0][0].unit, Method.FORMULA, None, filed, 0, terms)


def _first_answer(answers: Sequence[Answer | None]) -> Answer | None:
    told = [answer for answer in answers if answer is not None]
    return next((answer for answer in told if answer.value is not None), told[0] if told else None)


def _merged(parts: Sequence[History], combine: Combine) -> History:
    if len(parts) == 1 and combine is _first_answer:
        return parts[0]
    news = sorted((instant, part) for part, history in enumerate(parts) for instant, _ in history)
    places, current, found = [0] * len(parts), list[Answer | None]([None] * len(parts)), History()
    for instant, changed in groupby(news, lambda one: one[0]):
        for _, part in changed:
            current[part] = parts[part][places[part]][1]
            places[part] += 1
        answer = combine(current)
        if answer is not None and (not found or found[-1][1].meaning != answer.meaning):
            found.append((instant, answer))
    return found


def _note(found: Histories, key: Key, instant: int, answer: Answer) -> None:
    history = found.setdefault(key, [])
    if not history or history[-1][1].meaning != answer.meaning:
        history.append((instant, answer))
