"""Filings as EDGAR has them, small: the layouts of three decades, with all that leads a reader of sections astray."""

from __future__ import annotations

from collections.abc import Sequence

# A sentence of each section, so that one can tell whose text it is.
Items = Sequence[tuple[str, str, str]]  # number, title, text

ANNUAL: Items = (
    ("1", "Business", "We design widgets, see Item 1A of this report."),
    ("1A", "Risk Factors", "Supply constraints of widgets may hurt us. Item 7 says more."),
    ("1B", "Unresolved Staff Comments", "None."),
    ("1C", "Cybersecurity", "We have a committee against intruders."),
    ("2", "Properties", "We own a widget mill."),
    ("3", "Legal Proceedings", "A court has our papers."),
    ("4", "Mine Safety Disclosures", "Not applicable."),
    ("5", "Market for Registrant\u2019s Common Equity", "Our shares trade."),
    ("6", "[Reserved]", ""),
    ("7", "Management\u2019s Discussion and Analysis of Financial Condition", "Sales of widgets rose by 7%."),
    ("7A", "Quantitative and Qualitative Disclosures About Market Risk", "Rates may move."),
    ("8", "Financial Statements and Supplementary Data", "Assets, liabilities and so on."),
    ("9", "Changes in and Disagreements with Accountants", "None."),
    ("9A", "Controls and Procedures", "Our controls are effective."),
    ("9B", "Other Information", "None."),
    ("10", "Directors, Executive Officers and Corporate Governance", "Incorporated by reference."),
    ("11", "Executive Compensation", "Incorporated by reference."),
    ("15", "Exhibit and Financial Statement Schedules", "A list of exhibits."),
)
QUARTERLY: Sequence[tuple[str, Items]] = (
    ("I", (
        ("1", "Financial Statements", "Condensed balance sheets of widgets."),
        ("2", "Management\u2019s Discussion and Analysis of Financial Condition", "The quarter was good."),
        ("3", "Quantitative and Qualitative Disclosures About Market Risk", "No change."),
        ("4", "Controls and Procedures", "Effective."),
    )),
    ("II", (
        ("1", "Legal Proceedings", "The court still has our papers."),
        ("1A", "Risk Factors", "No change of risks."),
        ("2", "Unregistered Sales of Equity Securities and Use of Proceeds", "We bought back shares."),
        ("5", "Other Information", "None."),
        ("6", "Exhibits", "A list."),
    )),
)  # fmt: skip
HIDDEN = (
    "<div style='display:none'><ix:header><ix:hidden><ix:nonNumeric name='dei:AmendmentFlag'>hidden-fact"
    "</ix:nonNumeric></ix:hidden><ix:resources><xbrli:context id='c-1'>hidden-context</xbrli:context></ix:resources>"
    "</ix:header></div>"
)
SPAN = "<span style=\"color:#000000;font-family:'Helvetica',sans-serif;font-weight:700\">"


def contents_table(items: Items, *, pages: bool = True) -> str:
    """A table of contents as Workiva writes it: each cell a link, the page in the last."""
    rows = (
        f"<tr><td><div><a href='#i{at}'>Item&#160;{number}.</a></div></td><td><div><a href='#i{at}'>{title}</a></div>"
        f"</td><td><div>{at * 3 + 1 if pages else ''}</div></td></tr>"
        for at, (number, title, _) in enumerate(items)
    )
    return f"<table>{''.join(rows)}</table>"


def modern(items: Items, *, contents: str | None = None, form: str = "10-K") -> bytes:
    """Inline XBRL of the 2020s: facts inside of sentences, hidden ones, headings of several spans, page footers."""
    table = contents_table(items) if contents is None else contents
    body = [f"<div>{SPAN}FORM {form}</span></div><div>{SPAN}TABLE OF CONTENTS</span></div>{table}<hr/>"]
    for at, (number, title, text) in enumerate(items):
        body.append(
            f"<div id='i{at}'>{SPAN}Item</span>{SPAN}&#160;{number}</span>{SPAN}.&#160;&#160;&#160;{title}</span></div>"
            f"<div>{text} <ix:nonFraction name='us-gaap:Assets'>352,583</ix:nonFraction> in item-{number} too.</div>"
            f"<div><span>Widget Inc. | 2023 Form {form} | {at + 1}</span></div><hr style='page-break-after:always'/>"
            f"<div><a href='#toc'>Table of Contents</a></div>"
        )
    head = "<?xml version='1.0' encoding='UTF-8'?><!-- made -->\n<html xmlns='x'><head><title>wdgt</title></head><body>"
    return f"{head}{HIDDEN}{''.join(body)}</body></html>".encode()


def older(items: Items) -> bytes:
    """HTML of the 2000s: Windows' characters, upper case, number and title in two cells, headers on every page."""
    body = ["<HTML><HEAD><TITLE>Form 10-K</TITLE></HEAD><BODY><P ALIGN=CENTER><B>INDEX</B></P>", contents_table(items)]
    for number, title, text in items:
        body.append(
            f"<TABLE><TR VALIGN=TOP><TD NOWRAP><FONT SIZE=2><B>ITEM&nbsp;{number}.</B></FONT></TD>"
            f"<TD><P><FONT SIZE=2><B>{title.upper()}</B></FONT></P></TD></TR></TABLE>"
            f"<P><FONT SIZE=2>{text} In item-{number} too.</FONT></P><PAGE><P ALIGN=CENTER>12</P><HR>"
            f"<P><B>Item {number}. {title}</B> (continued)</P><P>More of it.</P>"
        )
    return "".join(body).encode("cp1252")


def quarterly(*, with_parts: bool = True) -> bytes:
    """A 10-Q whose two parts count their items anew; its contents list the statements below the first item."""
    statements = "".join(
        f"<tr><td></td><td>Condensed Statements of {name} for the Three Months Ended</td><td>{page}</td></tr>"
        for page, name in enumerate(("Operations", "Comprehensive Income", "Position", "Equity", "Cash Flows") * 2, 1)
    )
    entries, body = ["<tr><td>Part I</td></tr>"], []
    for part, items in QUARTERLY:
        if with_parts:
            body.append(f"<p><b>PART {part}. {'FINANCIAL' if part == 'I' else 'OTHER'} INFORMATION</b></p>")
        for number, title, text in items:
            page = "" if (part, number) == ("I", "1") else "7"
            entries.append(f"<tr><td>Item {number}.</td><td>{title}</td><td>{page}</td></tr>")
            entries.append("" if page else statements)
            body.append(f"<p><b>Item {number}.</b></p><p><b>{title}</b></p><p>{text} In item-{part}.{number} too.</p>")
    return f"<html><body><p>FORM 10-Q</p><table>{''.join(entries)}</table>{''.join(body)}</body></html>".encode()


def current(*items: tuple[str, str, str]) -> bytes:
    """An 8-K: headings that run into their text."""
    told = (
        f"<p><b>Item&nbsp;{number}</b>&nbsp;<u><b>{title}</b></u>. On May 4, 2023, {text} Pursuant to item-{number} "
        f"and for no other purpose whatsoever, this long sentence makes the paragraph longer than a heading may be, as "
        f"such paragraphs are.</p><p>Item {number} of this Current Report is furnished and not filed.</p>"
        for number, title, text in items
    )
    return f"<html><body><p>FORM 8-K</p>{''.join(told)}<p>SIGNATURES</p></body></html>".encode()


SUBMISSION = """\
<SEC-DOCUMENT>0000000001-96-000012.txt : 19960318
<SEC-HEADER>0000000001-96-000012.hdr.sgml : 19960318
CONFORMED SUBMISSION TYPE:\t10-K
ITEM INFORMATION:\tnone
</SEC-HEADER>
<DOCUMENT>
<TYPE>10-K
<SEQUENCE>1
<TEXT>

                       FORM 10-K

                     TABLE OF CONTENTS

                         PART I
Item 1.   Business . . . . . . . . . . . . . .     1
Item 2.   Properties . . . . . . . . . . . . .     4
                         PART II
Item 7.   Management's Discussion . . . . . . .    9

<PAGE>                      1

                         PART I

Item 1.   Business

     Widgets &amp; more, as we say in
Item 7. Management's Discussion and Analysis, are our trade.

<PAGE>                      2
ITEM 2.   PROPERTIES

     A mill.

                         PART II

ITEM 7.   MANAGEMENT'S DISCUSSION AND
          ANALYSIS

<TABLE>
<CAPTION>
                1995      1994
<S>             <C>       <C>
Sales            7         6
</TABLE>
</TEXT>
</DOCUMENT>
<DOCUMENT>
<TYPE>EX-13
<SEQUENCE>2
<DESCRIPTION>ANNUAL REPORT
<TEXT>
Item 1. Letter to shareholders
</TEXT>
</DOCUMENT>
<DOCUMENT>
<TYPE>GRAPHIC
<TEXT>
begin 644 logo.gif
M1TE&
</TEXT>
</DOCUMENT>
"""

CROSS_REFERENCES = (
    "<html><body><p>FORM 10-K CROSS REFERENCE INDEX</p>" + contents_table(ANNUAL) +
    "<h2>About the company</h2><p>" + "We make widgets. " * 200 + "</p></body></html>"
).encode()  # fmt: skip
