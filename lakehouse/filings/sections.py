"""The sections of a filing: the items of its form, what stands before the first (`front`), and exhibits by their type.

Put together in order, the sections are the whole text. A text without items is one section, `whole`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from lakehouse.filings.forms import base_form
from lakehouse.filings.headings import PART_LINE, headings_in
from lakehouse.filings.items import ITEMS_OF
from lakehouse.filings.text import MAIN, parts_of

FRONT, WHOLE = "front", "whole"
LONGEST_PART_LINE = 200


@dataclass(frozen=True)
class Section:
    """A part of a filing's text, what its heading says besides the number, and the text, heading included."""

    name: str
    title: str | None
    text: str


def filing_sections(body: bytes, form: str) -> list[Section]:
    """The sections of a document as it was fetched."""
    found: list[Section] = []
    for part in parts_of(body):
        is_main = part.kind == MAIN
        found += sections_of(part.text, form) if is_main else [Section(part.kind, part.description, part.text)]
    return found


def sections_of(text: str, form: str) -> list[Section]:
    """The sections of a main document's text."""
    headings = headings_in(text, ITEMS_OF.get(base_form(form), ()))
    if not headings:
        return [Section(WHOLE, None, text)]
    starts = [one.start for _, one in headings]
    begins = [_with_part_line(text, before, start) for before, start in pairwise([-1, *starts])]
    front = [Section(FRONT, None, text[: begins[0]])]
    if not front[0].text.strip():
        begins[0], front = 0, []
    return front + [
        Section(item.name, " ".join(one.title.split()) or None, text[begin:end])
        for (item, one), begin, end in zip(headings, begins, [*begins[1:], len(text)], strict=True)
    ]


def _with_part_line(text: str, before: int, start: int) -> int:
    """Where a section begins: at the heading of its part, where that stands right above that of the item."""
    first = max(before + 1, start - LONGEST_PART_LINE)
    line = first + text[first:start].rstrip().rfind("\n") + 1
    return line if PART_LINE.match(text, line, start) else start
