"""From documents to text: what a reader sees, each word once, and nothing a browser hides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.filings.text import decoded, html_text, parts_of, plain_text, text_of

WORDS = st.from_regex(r"[a-z]{1,8}", fullmatch=True)


def test_paragraphs_and_rows_are_lines_and_cells_are_parted_by_tabs() -> None:
    source = (
        "<div><p>Net sales of&nbsp;&nbsp;<b>wid</b>gets<br>rose</p></div><table><tr><td><div>Sales</div></td><td></td>"
        "<td align=right>7</td></tr>\n<tr><td>Costs</td><td>&#36;</td><td>6</td></tr></table>"
    )

    assert html_text(source) == "Net sales of widgets\nrose\nSales\t7\nCosts\t$\t6\n"


def test_what_a_browser_does_not_show_is_no_text() -> None:
    source = (
        "<?xml version='1.0'?><!DOCTYPE html><html><head><title>no</title><style>p {no: no}</style></head><body>"
        "<div style='DISPLAY: none'><div>no</div><img src=x>no</div><script>if (a<b) no()</script><!-- no --><p>yes"
        "<ix:nonFraction>1</ix:nonFraction></p><![if !supportEmptyParas]>&nbsp;<![endif]><p style='color:red'>also</p>"
        "<br style='display:none'>too"
    )

    assert html_text(source) == "yes1\nalso\ntoo\n"


@pytest.mark.parametrize("opening", ["<div style='display:none'>", "<style>", "<ix:header>", "<head>"])
def test_what_hides_and_is_never_closed_hides_nothing(opening: str) -> None:
    assert "the whole report" in html_text(f"<p>Cover</p>{opening}<p>the whole report</p>")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("\u2019 \u00e9".encode(), "\u2019 \u00e9"),
        (b"\xef\xbb\xbfx", "x"),
        (b"\x92 \xe9", "\u2019 \u00e9"),
        (b"\x81", "\ufffd"),
    ],
)
def test_documents_are_utf_8_or_what_windows_wrote(body: bytes, text: str) -> None:
    assert decoded(body) == text


def test_marks_that_nobody_sees_and_spaces_of_any_kind_do_not_part_words() -> None:
    assert html_text("<p>Ri\u00adsk\u200b Fac\x00tors\u2003\u202f&#8203;&#146;</p>") == "Risk Fac tors \u2019\n"
    assert plain_text("Ri\u00adsk\xa0Factors \n\n\n\n\ttwo\f<PAGE>three\r\n") == "Risk Factors\n\n\ttwo\n\nthree\n\n"


def test_a_lonely_pre_is_plain_text() -> None:
    assert text_of("<HTML><BODY><PRE>\nItem 1.   Business\n\n  AT&amp;T\n</PRE>") == "Item 1.   Business\n\n  AT&T\n\n"


def test_html_with_hardly_a_tag_is_plain_text_and_lines_of_a_pre_in_html_are_lines() -> None:
    lines = "".join(f"Line {at}\n\n" for at in range(50))

    assert text_of(f"<html><body><div>\n{lines}</div></body></html>") == lines
    assert (
        text_of("<p>One\nline</p><pre>Sales   7\nCosts   6\n\n</pre>end\nof it")
        == "One line\nSales 7\nCosts 6\nend of it\n"
    )


@given(st.recursive(
    st.lists(WORDS, min_size=1, max_size=4).map(lambda words: (" ".join(words), words)),
    lambda inner: st.tuples(st.sampled_from(["p", "div", "span", "b", "td", "tr", "table", "font", "li"]),
                            st.lists(inner, max_size=4)).map(
        lambda made: (f"<{made[0]}> {' '.join(one[0] for one in made[1])} </{made[0]}>",
                      [word for one in made[1] for word in one[1]])),
    max_leaves=20,
))  # fmt: skip
def test_every_word_is_there_once_and_in_order(made: tuple[str, list[str]]) -> None:
    source, words = made

    text = html_text(f"<p>{source}</p>")

    assert text.split() == words
    assert "\n\n" not in text
    assert all(line == line.strip() for line in text.splitlines())


STRANGE = st.sampled_from(
    (*"<>&/!-[]?=\"' \n;#x0%\xa0\x00\x1e\t", "<p", "<div", "</div", "<style", "<script>", "<![", "<![CDATA[", "<!--",
     "<?", "<!DOCTYPE [", " style='display:none'", "&#", "&#xD800;", "Item 1.", "<p>" * 9)
)  # fmt: skip


@given(st.lists(STRANGE, max_size=60).map("".join) | st.text())
def test_no_document_is_too_strange_to_read(source: str) -> None:
    for text in (html_text(source), plain_text(source)):
        assert "\x00" not in text
    assert parts_of(source.encode("utf-8", "replace"))


@given(st.lists(st.lists(WORDS, min_size=1, max_size=5), min_size=1, max_size=8))
def test_plain_text_keeps_its_lines_and_paragraphs(blocks: list[list[str]]) -> None:
    source = "\n\n\n".join("\n".join(block) for block in blocks)

    assert plain_text(source) == "\n\n".join("\n".join(block) for block in blocks) + "\n\n"
