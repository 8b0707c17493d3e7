"""From a filing's document to plain text: HTML, inline XBRL, old plain text, or a whole submission with its exhibits.

Of HTML, each paragraph and each row of a table is a line, cells are parted by tabs, and no line is empty. Plain text
keeps its lines, with empty ones between paragraphs. What a browser does not show (scripts, the hidden facts of inline
XBRL) is no text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from lakehouse.errors import DocumentError

BLOCKS = frozenset(
    ("address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "div", "dl", "dt", "footer",
     "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "li", "main", "ol", "p", "pre", "ul")
)  # fmt: skip
ROWS = frozenset(("tr", "table", "thead", "tbody", "tfoot"))
CELLS = frozenset(("td", "th"))
VOID = frozenset(("br", "hr", "img", "input", "link", "meta", "col"))
UNSHOWN = frozenset(("head", "script", "style", "ix:header"))
HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
BLOCK, ROW, CELL = "\n", "\x1e", "\t"

SHAPING, LINES_A_TAG = re.compile(r"<(?:p|div|td|br|font|span)\b", re.IGNORECASE), 20
TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,200}>")  # <PAGE>, <TABLE>, <S>, <C> of plain text, and a lonely <PRE>
RAW = re.compile(r"</?(?:style|script)\b[^<>]*>?", re.IGNORECASE)  # what follows one that never ends would be lost
MARKED = re.compile(r"<!\[[^<>]*>?")  # <![if ...]>, which Python's parser takes amiss
INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
SPACES, LINE_SPACES = re.compile(r"\s+"), re.compile(r"[^\S\n]+")
BREAKS = re.compile(r" *[\t\n\x1e][ \t\n\x1e]*")
DOCUMENT = re.compile(r"<DOCUMENT>(.*?)(?:</DOCUMENT>|(?=<DOCUMENT>)|\Z)", re.DOTALL)
TEXT = re.compile(r"<TEXT>(.*?)(?:</TEXT>|\Z)", re.DOTALL)
FIELD = r"^<{}>([^\n<]*)"
NO_TEXT = re.compile(r"GRAPHIC|ZIP|EXCEL|PDF|XML|JSON|EX-101", re.IGNORECASE)
MAIN = "main"


@dataclass(frozen=True)
class Part:
    """One document of a filing: `main`, or the type of an exhibit, its description, and its text."""

    kind: str
    description: str | None
    text: str


def parts_of(body: bytes) -> list[Part]:
    """The main document first, with the header of a whole submission before it, then exhibits that are text."""
    if body.startswith(b"%PDF"):
        raise DocumentError("expected a text, found a PDF. It is kept in bronze.filings and was not read.")
    source = decoded(body)
    documents = list(DOCUMENT.finditer(source))
    if not documents:
        return [Part(MAIN, None, text_of(source))]
    header, main = plain_text(source[: documents[0].start()]), text_of(_inner(documents[0][1]))
    whole = (header if is_wrapped(main) else re.sub(r"\n+", "\n", header)) + main
    exhibits = (_exhibit(one[1]) for one in documents[1:])
    return [Part(MAIN, None, whole), *(one for one in exhibits if one is not None)]


def decoded(body: bytes) -> str:
    """The characters of a document: UTF-8 where it is that, else what Windows makes of it."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def text_of(source: str) -> str:
    """The text of one document. HTML with hardly a tag is plain text that somebody has wrapped."""
    tags = sum(1 for _ in SHAPING.finditer(source))
    is_html = tags * LINES_A_TAG > source.count("\n")
    return html_text(source) if is_html else plain_text(source)


def html_text(source: str) -> str:
    """The lines a reader sees. Where something that hides text is never closed, nothing counts as hidden."""
    for hides in (True, False):
        shown = _Shown(hides)
        shown.feed(MARKED.sub("", source if hides else RAW.sub("", source)))
        shown.close()
        if not shown.is_hiding:
            break
    lines = BREAKS.sub(_break, re.sub("  +", " ", "".join(shown.pieces)))
    return lines.strip("\t\n ") + "\n"


def plain_text(source: str) -> str:
    """The lines as they are, without the marks of pages and tables; never more than one empty line at a time."""
    lines = html.unescape(TAG.sub("", source.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")))
    clean = INVISIBLE.sub("", CONTROL.sub(" ", lines)).replace("\xa0", " ")
    whole = re.sub(r"\n{3,}", "\n\n", re.sub(r"[^\S\n]+(?=\n)", "", clean))
    return whole.strip("\n").rstrip() + "\n\n"


class _Shown(HTMLParser):
    """Collects what is shown, with a mark where a block, row or cell begins or ends."""

    def __init__(self, hides: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hides, self._hidden_by, self._depth = hides, "", 0
        self._is_preformatted = False

    @property
    def is_hiding(self) -> bool:
        """Whether what hides text was not closed yet."""
        return self._depth > 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._depth:
            self._depth += tag == self._hidden_by
        elif self._hides and (tag in UNSHOWN or (tag not in VOID and _is_hidden(attrs))):
            self._hidden_by, self._depth = tag, 1
        else:
            self._mark(tag, begins=True)

    def handle_endtag(self, tag: str) -> None:
        if self._depth:
            self._depth -= tag == self._hidden_by
        else:
            self._mark(tag, begins=False)

    def handle_data(self, data: str) -> None:
        if not self._depth:
            spaces = LINE_SPACES if self._is_preformatted else SPACES
            self.pieces.append(spaces.sub(" ", INVISIBLE.sub("", CONTROL.sub(" ", data))))

    def _mark(self, tag: str, *, begins: bool) -> None:
        if tag == "pre":
            self._is_preformatted = begins
        mark = BLOCK if tag in BLOCKS else ROW if tag in ROWS else CELL if tag in CELLS else ""
        if mark:
            self.pieces.append(mark)


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    return any(name == "style" and value and HIDDEN.search(value) for name, value in attrs)


def _break(found: re.Match[str]) -> str:
    """One break for many: rows part lines whatever stands around them, paragraphs inside of cells do not."""
    marks = found[0]
    return "\n" if ROW in marks or CELL not in marks else "\t"


def _exhibit(document: str) -> Part | None:
    kind = _field(document, "TYPE") or "exhibit"
    if NO_TEXT.match(kind):
        return None
    return Part(kind, _field(document, "DESCRIPTION"), text_of(_inner(document)))


def _inner(document: str) -> str:
    found = TEXT.search(document)
    return found[1] if found else document


def _field(document: str, name: str) -> str | None:
    found = re.search(FIELD.format(name), document[:2000], re.MULTILINE)
    return (found[1].strip() or None) if found else None


def paragraphs(text: str) -> Iterator[str]:
    """The passages of a text: lines of what was HTML, blocks between empty lines of what was plain text."""
    yield from (one for one in text.split("\n\n" if is_wrapped(text) else "\n") if one.strip())


def is_wrapped(text: str) -> bool:
    """Whether lines are parts of paragraphs, as in plain text."""
    return "\n\n" in text
