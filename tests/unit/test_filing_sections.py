"""Sections of filings: the section and not the contents line, whatever the decade and the layout; nothing is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import DocumentError
from lakehouse.filings.forms import FORMS, base_form
from lakehouse.filings.items import ITEMS_OF
from lakehouse.filings.sections import Section, filing_sections, sections_of
from lakehouse.filings.text import paragraphs, parts_of
from tests import filing_pages as pages
from tests.filing_pages import ANNUAL, QUARTERLY

ANNUAL_NAMES = [number for number, _, _ in ANNUAL]
QUARTERLY_NAMES = [f"{part}.{number}" for part, items in QUARTERLY for number, _, _ in items]


def named(found: list[Section]) -> dict[str, Section]:
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def own_marks(found: list[Section]) -> None:
    """Each section holds the mark of its item, and of no other one."""
    for one in found:
        marks = set(re.findall(r"item-([\w.]*\w)", one.text))
        assert marks == ({one.name} if one.name != "front" else set()), one.name


@pytest.mark.parametrize(
    "body",
    [
        pages.modern(ANNUAL),
        pages.modern(ANNUAL, contents=pages.contents_table(ANNUAL, pages=False)),
        pages.modern(ANNUAL, contents=""),
        pages.older(ANNUAL),
    ],
    ids=["modern", "contents without pages", "no contents", "older, headers repeated"],
)
def test_a_10_k_has_its_items_and_not_their_contents_lines(body: bytes) -> None:
    found = filing_sections(body, "10-K")

    assert [one.name for one in found] == ["front", *ANNUAL_NAMES]
    own_marks(found)
    titles = {number: title for number, title, _ in ANNUAL}
    assert all((one.title or "").upper() == titles[one.name].upper() for one in found[1:])


@pytest.mark.parametrize("with_parts", [True, False])
def test_a_10_q_counts_twice_and_its_sections_say_of_which_part(with_parts: bool) -> None:
    found = filing_sections(pages.quarterly(with_parts=with_parts), "10-Q/A")

    assert [one.name for one in found] == ["front", *QUARTERLY_NAMES]
    own_marks(found)
    first = "PART I. FINANCIAL INFORMATION\n" if with_parts else ""
    assert named(found)["I.1"].text.startswith(f"{first}Item 1.\nFinancial Statements\n"), "and not where it is listed"
    assert named(found)["II.1"].text.startswith("PART II. OTHER INFORMATION\nItem 1." if with_parts else "Item 1.")
    assert named(found)["I.2"].title == QUARTERLY[0][1][1][1]


def test_an_8_k_has_its_items_where_headings_run_into_the_text() -> None:
    told = ("2.02", "Results of Operations and Financial Condition", "we told our results."), (
        "9.01", "Financial Statements and Exhibits", "we attached them.",
    )  # fmt: skip
    found = filing_sections(pages.current(*told), "8-K")

    assert [one.name for one in found] == ["front", "2.02", "9.01"]
    own_marks(found)
    assert [one.name for one in filing_sections(pages.current(("5", "Other Events", "it rained.")), "8-K")][1:] == ["5"]


def test_a_20_f_has_its_items() -> None:
    items = (
        ("3", "Key Information", "D. Risk factors. Item 4 tells more."), ("4", "Information on the Company", "Wafers."),
        ("4A", "Unresolved Staff Comments", "None."), ("5", "Operating and Financial Review and Prospects", "Up."),
        ("8", "Financial Information", "See F-1."), ("16G", "Corporate Governance", "Different."),
    )  # fmt: skip
    found = filing_sections(pages.modern(items, form="20-F"), "20-F")

    assert [one.name for one in found][1:] == ["3", "4", "4A", "5", "8", "16G"]
    own_marks(found)


def test_an_amendment_may_hold_one_item_and_nothing_else() -> None:
    only = (("11", "Executive Compensation", "The whole story of what we pay."),)

    found = filing_sections(pages.modern(only, contents="", form="10-K/A"), "10-K/A")

    assert [one.name for one in found] == ["front", "11"]


def test_short_sections_that_stand_close_are_sections_and_no_contents() -> None:
    part_three = [one for one in ANNUAL if one[0] in ("9B", "10", "11", "15")]
    text = "Cover\n" + "".join(f"Item {number}. {title}\n{told}\n" for number, title, told in part_three)

    assert [one.name for one in sections_of(text, "10-K")] == ["front", "9B", "10", "11", "15"]


def test_a_whole_submission_has_its_header_in_front_and_its_exhibits_behind() -> None:
    found = filing_sections(pages.SUBMISSION.replace("\n", "\r\n").encode(), "10-K")

    assert [one.name for one in found] == ["front", "1", "2", "7", "EX-13"]
    by_name = named(found)
    assert "CONFORMED SUBMISSION TYPE" in by_name["front"].text
    assert (
        by_name["1"]
        .text.lstrip()
        .startswith("PART I\n\nItem 1.   Business\n\n     Widgets & more, as we say in\nItem 7.")
    )
    assert "Sales            7         6" in by_name["7"].text
    assert (by_name["EX-13"].title, by_name["EX-13"].text.strip()) == (
        "ANNUAL REPORT",
        "Item 1. Letter to shareholders",
    )
    assert not any("begin 644" in one.text or "<PAGE>" in one.text for one in found)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (pages.CROSS_REFERENCES, "10-K"),
        (b"<p>We are pleased to tell you that Item 1A of the report is good.</p>", "10-K"),
        (b"Item 1A. Risk Factors in this report are many", "10-K"),
        (pages.modern(ANNUAL), "SC 13G"),
        (b" \n", "10-Q"),
    ],
)
def test_a_text_without_items_is_one_section(body: bytes, form: str) -> None:
    assert [(one.name, one.title) for one in filing_sections(body, form)] == [("whole", None)]


@pytest.mark.parametrize(
    ("heading", "form", "name"),
    [
        ("ITEM 1A.RISK FACTORS", "10-K", "1A"),
        ("Item\u00a01A \u2014 Risk Factors", "10-K", "1A"),
        ("I T E M 1A: Risk Factors", "10-K", "1A"),
        ("Part I, Item 1A. Risk Factors", "10-K", "1A"),
        ("Item 1(a). Risk Factors", "10-K", "1A"),
        ("Items 1 and 2. Business and Properties", "10-K", "1"),
        ("Item 9A(T). Controls and Procedures", "10-K", "9A(T)"),
        ("Item 6. Whatever we like to call it", "10-K", "6"),
        ("Item 7.\nManagement's Discussion", "10-K", "7"),
        ("Item 7.\n" + "We sold more widgets than ever. " * 10, "10-K", "7"),
        ("Items 2.02 and 7.01. Results of Operations", "8-K", "2.02"),
        ("Part II. Item 2. Issuer Purchases of Equity Securities", "10-Q", "II.2"),
        ("PART II\nItem 5. Something new", "10-Q", "II.5"),
        ("ITEM 16.B.\tCode of Ethics", "20-F", "16B"),
        ("Item 15T. Controls and Procedures", "20-F", "15T"),
        ("Item 1A, Risk Factors, is long", "10-K", "whole"),
        ("Item 1A of our report", "10-K", "whole"),
        ("Item 7. Management's Discussion and Analysis in our 2023 Form 10-K tells more", "10-K", "whole"),
        ("Item 1 \u201cBusiness \u2014 Regulation\u201d in our Form 10-K", "10-Q", "whole"),
        ("Item 21. Business", "10-K", "whole"),
        ("Item 1Z. Business", "10-K", "whole"),
        ("Items of business", "10-K", "whole"),
        ("Item 6. Whatever we " + "like very much to call it, " * 10, "10-K", "whole"),
    ],
)
def test_headings_in_many_hands(heading: str, form: str, name: str) -> None:
    (found,) = sections_of(f"{heading}\nText.\n", form)

    assert found.name == name


@pytest.mark.parametrize(
    ("text", "form", "sections"),
    [
        (  # two close headings are no contents, though pages repeat them
            "Cover\nItem 5. Market\nItem 6. [Reserved]\nIt is.\nItem 5. Market\nItem 6. [Reserved]\nStill.\n", "10-K",
            {"front": "Cover\n", "5": "Item 5. Market\n", "6": "Item 6. [Reserved]\nIt is.\nItem 5. Market\nItem 6. "
             "[Reserved]\nStill.\n"},
        ),
        (  # a line inside of a paragraph is no heading
            "Item 1. Business\n\nAs told in\nItem 2. Properties we own.\n\nItem 2. Properties\n\nA mill.\n\n", "10-K",
            {"1": "Item 1. Business\n\nAs told in\nItem 2. Properties we own.\n\n",
             "2": "Item 2. Properties\n\nA mill.\n\n"},
        ),
        (  # a heading below that of its part, and the part goes with it
            "Cover\n\nPART I\nItem 1. Business\n\nText.\n\n", "10-K",
            {"front": "Cover\n\n", "1": "PART I\nItem 1. Business\n\nText.\n\n"},
        ),
        ("\n \nItem 1. Business\n", "10-K", {"1": "\n \nItem 1. Business\n"}),  # nothing is no front
        ("PART I\nItem 3. Something new\n", "10-Q", {"I.3": "PART I\nItem 3. Something new\n"}),
        (
            "PART I Item 1. Business\nItem 2. Properties\nMill.\n", "10-K",
            {"1": "PART I Item 1. Business\n", "2": "Item 2. Properties\nMill.\n"},
        ),
    ],
)  # fmt: skip
def test_where_sections_begin(text: str, form: str, sections: dict[str, str]) -> None:
    assert {one.name: one.text for one in sections_of(text, form)} == sections


def test_a_whole_submission_may_hold_html() -> None:
    body = (
        b"<SEC-HEADER>\nA\n\nB\n</SEC-HEADER>\n<DOCUMENT>\n<TYPE>10-K\n<TEXT>\n<p>Item 1. Business</p><p>x</p></TEXT>"
    )

    assert [(one.name, one.text) for one in filing_sections(body, "10-K")] == [
        ("front", "A\nB\n"), ("1", "Item 1. Business\nx\n")
    ]  # fmt: skip


@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_form_we_fetch_has_items(form: str) -> None:
    items = ITEMS_OF[base_form(form)]
    assert len({item.name for item in items}) == len(items)


def test_a_pdf_is_no_text() -> None:
    with pytest.raises(DocumentError, match="found a PDF"):
        filing_sections(b"%PDF-1.4 ...", "10-K")


PIECES = st.sampled_from(
    ("Item 1.", "ITEM 1A. Risk Factors", "Item 7. Management's Discussion", "Item 2.02 Results of", "PART II", "Part I",
     "Item 5.", "12", "None.", "Item 1. Legal Proceedings", "Words of no meaning.", "\n", "\n\n", " ", "\t", "\x0b",
     "Item 3. Key Information ... 4", "\u2028", "Item\n2.")
)  # fmt: skip
WRAPPINGS = st.sampled_from(
    ("<DOCUMENT>", "</DOCUMENT>", "<TYPE>EX-99\n", "<TEXT>", "</TEXT>", "Item 1. Business\n", "x ", "<div>", "\xff",
     "<PAGE>\n")
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join) | st.text(), st.sampled_from(sorted(ITEMS_OF)))
def test_nothing_is_lost_sections_in_order_are_the_text(text: str, form: str) -> None:
    found = sections_of(text, form)

    assert "".join(one.text for one in found) == text
    names = [one.name for one in found if one.name not in ("front", "whole")]
    order = [item.name for item in ITEMS_OF[form]]
    assert sorted(names, key=order.index) == names
    assert len(set(names)) == len(names)


@given(st.lists(WRAPPINGS, max_size=30), st.sampled_from(sorted(ITEMS_OF)))
def test_nothing_is_lost_of_whatever_comes(pieces: list[str], form: str) -> None:
    body = "".join(pieces).encode("latin-1")

    assert "".join(one.text for one in filing_sections(body, form)) == "".join(one.text for one in parts_of(body))


@given(st.sets(st.sampled_from(ANNUAL_NAMES), min_size=1), st.sampled_from(["modern", "older"]))
def test_any_items_are_found_in_either_layout(chosen: set[str], layout: str) -> None:
    items = [one for one in ANNUAL if one[0] in chosen]
    body = pages.modern(items) if layout == "modern" else pages.older(items)

    found = filing_sections(body, "10-K")

    assert [one.name for one in found] == ["front", *(number for number, _, _ in items)]
    own_marks(found)


def test_passages_are_lines_of_html_and_blocks_of_plain_text() -> None:
    (web,) = parts_of(b"<p>One\n line</p><table><tr><td>a</td><td><p>b</p></td></tr></table>")
    (plain,) = parts_of(b"One\nline\n\n\n\n  Two\n")

    assert list(paragraphs(web.text)) == ["One line", "a\tb"]
    assert list(paragraphs(plain.text)) == ["One\nline", "  Two"]
