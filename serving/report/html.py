"""Pieces of HTML. Whatever comes from a table is text: escaped, and without characters that cannot be seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

UNSEEN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Column:
    """The head of a column of a table."""

    title: str
    is_number: bool = False


@dataclass(frozen=True)
class Link:
    """A cell that leads to a place of this page."""

    to: str
    shown: str


def clean(value: Any) -> str:
    """A value as text; control characters, and those that turn the direction of writing, are shown as a mark."""
    return "".join(one if one.isprintable() else " " if one.isspace() else UNSEEN for one in str(value))


def text(value: Any) -> str:
    """A value as text of a page, safe in an element and in a quoted attribute; None is nothing."""
    return "" if value is None else escape(clean(value), quote=True)


def paragraph(said: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{_class(kind)}>{text(said)}</p>"


def listed(items: Iterable[str], kind: str = "") -> str:
    """A list of plain texts, nothing for none."""
    lines = "".join(f"<li>{text(item)}</li>" for item in items)
    return f"<ul{_class(kind)}>{lines}</ul>" if lines else ""


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> str:
    """A table that scrolls by itself where it is wider than the page, also by keyboard."""
    head = "".join(f'<th scope="col"{_number(column)}>{text(column.title)}</th>' for column in columns)
    body = "".join(f"<tr>{_cells(columns, row)}</tr>" for row in rows)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def folded(title: str, content: str, *, is_open: bool = False) -> str:
    """Content behind a line that opens it."""
    opened = " open" if is_open else ""
    return f"<details{opened}><summary>{text(title)}</summary>{content}</details>"


def _cells(columns: Sequence[Column], row: Sequence[Any]) -> str:
    cells = [_cell(value) for value in row]
    first = f'<th scope="row">{cells[0]}</th>'
    return first + "".join(
        f"<td{_number(column)}>{cell}</td>" for column, cell in zip(columns[1:], cells[1:], strict=True)
    )


def _cell(value: Any) -> str:
    return f'<a href="#{text(value.to)}">{text(value.shown)}</a>' if isinstance(value, Link) else text(value)


def _number(column: Column) -> str:
    return _class("n") if column.is_number else ""


def _class(name: str) -> str:
    return f' class="{text(name)}"' if name else ""
