"""Which lines that look like headings belong to a table of contents, or to an index of cross-references.

Such a table is a run of items in order with no more than titles and page numbers between them. A run without page
numbers is one only where its items come again: reports that incorporate by reference have short sections too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

PAGE_NUMBER = re.compile(r"(?:^|[\s.\u2026_])(?:[A-Z]-)?(?:\d{1,3}|[ivxl]{1,6})(?:\s?[-\u2013]\s?\d{1,3})?\s*$")
SENTENCE = re.compile(r"(?:[A-Za-z)\u201d]|.{60}\d)[.;]\s*$")
LONG_TITLE = 80  # a heading may end with a full stop, but not so late
NEAR, NEAR_WITH_PAGE, LONGEST_LIST = 250, 500, 3000
LEAST = 3


class Line(Protocol):
    """What has to be known of a line: where it begins, its number, which items it may be, whether a page ends it."""

    @property
    def start(self) -> int: ...  # noqa: D102
    @property
    def number(self) -> str: ...  # noqa: D102
    @property
    def weights(self) -> Mapping[int, int]: ...  # noqa: D102
    @property
    def has_page(self) -> bool: ...  # noqa: D102


def contents_among(text: str, found: Sequence[Line]) -> set[int]:
    """The places in `found` of all that belongs to contents or an index."""
    last = {one.number: at for at, one in enumerate(found)}
    contents = {at for at, one in enumerate(found) if one.has_page and last[one.number] > at}
    for begin, end in _runs(text, found):
        entries = [_lines(text, found[at], found[at + 1]) for at in range(begin, end - 1)]
        numbered = sum(_has_page(lines) for lines in entries)
        recurring = sum(last[found[at].number] >= end for at in range(begin, end))
        if 2 * numbered >= len(entries) or 2 * recurring >= end - begin:
            contents.update(range(_with_lists_before(text, found, begin, end, last), end))
    return contents


def _runs(text: str, found: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """Stretches of at least three lines in the order of their items with no more than an entry between each two."""
    begin, index = 0, -1
    for at, one in enumerate(found):
        following = min((other for other in one.weights if other > index), default=None)
        if following is None or (at > begin and not _is_entry(text, found[at - 1], one)):
            if at - begin >= LEAST:
                yield begin, at
            begin, following = at, min(one.weights)
        index = following
    if len(found) - begin >= LEAST:
        yield begin, len(found)


def _with_lists_before(text: str, found: Sequence[Line], begin: int, end: int, last: Mapping[str, int]) -> int:
    """Where the contents begin, with items before the run below which lists stand, as of financial statements."""
    while begin and last[found[begin - 1].number] >= end and _is_list(text, found[begin - 1], found[begin]):
        begin -= 1
    return begin


def _is_entry(text: str, one: Line, after: Line) -> bool:
    lines, length = _lines(text, one, after), after.start - one.start
    return length <= (NEAR_WITH_PAGE if _has_page(lines) else NEAR) and not _has_sentence(lines)


def _is_list(text: str, one: Line, after: Line) -> bool:
    lines = _lines(text, one, after)
    paged = sum(PAGE_NUMBER.search(line) is not None for line in lines)
    return after.start - one.start <= LONGEST_LIST and 3 * paged >= len(lines) and not _has_sentence(lines)


def _lines(text: str, one: Line, after: Line) -> list[str]:
    return [line for line in text[one.start : min(after.start, one.start + LONGEST_LIST)].splitlines() if line.strip()]


def _has_page(lines: Sequence[str]) -> bool:
    return any(PAGE_NUMBER.search(line) for line in lines)


def _has_sentence(lines: Sequence[str]) -> bool:
    return any(SENTENCE.search(line) for line in (lines[0][LONG_TITLE:], *lines[1:]))
