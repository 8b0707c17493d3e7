"""Which lines of a filing's text are headings of items: not its contents, not a mention, not a page's repeated header.

A line is told by how it goes on; then the best series of lines is taken: items in the order of their form, each at most
once, where a line counts most whose title is that of the item.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lakehouse.filings.contents import PAGE_NUMBER, contents_among
from lakehouse.filings.items import Item
from lakehouse.filings.text import is_wrapped

_PART = r"PART[ \t]+(?P<{}>I{{1,3}}|IV)\b"
_DASHES = "\u2010-\u2015-"
HEADING = re.compile(
    rf"^[ \t]*(?:{_PART.format('same_line')}[ \t,.:;{_DASHES}]*)?"
    r"I ?T ?E ?M(?P<plural>S)?\s{0,3}"
    r"(?P<number>\d{1,2}(?:\.\d\d)?)(?:\s?(?P<letter>\(?[A-K]\)?(?![A-Za-z]))|\.\s?(?P<dotted>[A-K])(?=[.):]))?"
    r"(?P<t>\s?\(?T\)?(?![A-Za-z]))?"
    r"(?(plural)(?:(?:,|\s(?:and|&)|\sthrough)\s(?:Items?\s)?\d{1,2}[A-K]?(?:\.\d\d)?)*)"
    rf"(?![\w(])(?P<gap>[\s.:|{_DASHES}]{{0,20}})",
    re.IGNORECASE | re.MULTILINE,
)
PART_LINE = re.compile(rf"^[ \t]*{_PART.format('part')}[^\n]{{0,80}}$", re.IGNORECASE | re.MULTILINE)
# What goes on like this speaks of an item and does not begin it.
MENTION = re.compile(
    r"[\u201c\u201d\"'\u2019,;)]|(?:of|in|and|or|to|is|are|was|has|for|above|below|under|which|that|on|as|contains?|"
    r"includes?|herein|hereof|shall|should|will|may|through)\b"
)
GOES_ON = re.compile(
    r"[^\n.:\u2013\u2014]{0,120}?[\"\u201d\u2019]?,?\s(?:of|in|to) (?:this|our|the|its|Part|Item)\b"
    r"[^\n]{0,40}?\b(?:report|form 10|10-[KQ]|filing)\b",
    re.IGNORECASE,
)
PAGE_BREAK = re.compile(r"[\s\-=_*]*\d{0,3}[\s\-=_*]*")
LONGEST_TITLE = 200
LONE, PLACED, TITLED = 1, 2, 3  # what an unknown title counts, the same below its part's heading, and the right title


@dataclass(frozen=True)
class Candidate:
    """A line that may be a heading: where it begins, its title, and what it counts as each item it may be, by index."""

    start: int
    number: str
    title: str
    weights: dict[int, int] = field(hash=False)
    has_page: bool = False


def headings_in(text: str, items: Sequence[Item]) -> list[tuple[Item, Candidate]]:
    """The headings of items, in their order."""
    found = list(_candidates(text, items))
    contents = contents_among(text, found)
    body = [one for at, one in enumerate(found) if at not in contents]
    return [(items[index], one) for index, one in _best_series(body, len(items))]


def _candidates(text: str, items: Sequence[Item]) -> Iterator[Candidate]:
    indexes = {item.number: [at for at, one in enumerate(items) if one.number == item.number] for item in items}
    parts = [(one.start(), one["part"]) for one in PART_LINE.finditer(text)]
    wrapped, here, part = is_wrapped(text), 0, ""
    for match in HEADING.finditer(text):
        while here < len(parts) and parts[here][0] <= match.start():
            part, here = parts[here][1], here + 1
        number = _number(match)
        is_one = number in indexes and (not wrapped or _begins_paragraph(text, match.start()))
        title = _title(text, match)
        if is_one and title is not None:
            weights = _weights(items, indexes[number], title, (match["same_line"] or part).upper())
            if weights:
                yield Candidate(match.start(), number, title, weights, PAGE_NUMBER.search(title) is not None)


def _number(match: re.Match[str]) -> str:
    """The item's number as the forms write it: 1A, 9A(T), 15T, 5.02."""
    number, letter = match["number"].lstrip("0"), (match["letter"] or match["dotted"] or "").strip("()").upper()
    mark = "" if match["t"] is None else "(T)" if letter else "T"
    return f"{number}{letter}{mark}"


def _title(text: str, match: re.Match[str]) -> str | None:
    """What follows the number: a title, nothing, or None where the line speaks of an item or goes on for too long.

    A known title may open a long line; an unknown one may not, and a paragraph on the next line is none.
    """
    end = text.find("\n", match.end())
    line = text[match.end() : end if end >= 0 else len(text)]
    if MENTION.match(line) or GOES_ON.match(line):
        return None
    return "" if len(line) > LONGEST_TITLE and "\n" in match["gap"] else line


def _weights(items: Sequence[Item], indexes: Sequence[int], title: str, part: str) -> dict[int, int]:
    """What a line counts as each item of its number; a title that is known settles which it is."""
    titled = {index: TITLED for index in indexes if items[index].title.match(title)}
    if titled or len(title) > LONGEST_TITLE:
        return titled
    return {index: PLACED if items[index].part == part else LONE for index in indexes}


def _begins_paragraph(text: str, start: int) -> bool:
    """Whether a line of wrapped text stands below an empty one, below the heading of a part, or on top of a page."""
    before = text[max(0, start - 300) : start].rstrip(" \t")
    above = before.rstrip("\n").rpartition("\n")[2]
    return (
        before.endswith("\n\n") or PART_LINE.match(above) is not None or PAGE_BREAK.fullmatch(above) is not None
    )  # fmt: skip


def _best_series(found: Sequence[Candidate], count: int) -> list[tuple[int, Candidate]]:
    """The candidates that count most together, each item once and in order; of equal series the one found first."""
    totals = [0] * (count + 1)  # of the best series of items before an index, and below, that series
    series: list[list[tuple[int, Candidate]]] = [[] for _ in totals]
    for one in found:
        for index, weight in sorted(one.weights.items(), reverse=True):
            total, extended = totals[index] + weight, [*series[index], (index, one)]
            for upper in range(index + 1, count + 1):
                if totals[upper] < total:
                    totals[upper], series[upper] = total, extended
    return series[count]
