"""`tickhouse filings`: what was filed and said, as it was known at an instant, by whoever carried the ticker then."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs import filings
from jobs.cli import FAILED, OK
from lakehouse.errors import TableError
from lakehouse.filings.sections import sections_of
from lakehouse.tables.filings import FACTS, FILING_TEXTS, FILINGS
from lakehouse.tables.silver import INSTRUMENTS
from serving.filings import filers, filings_known, passages_known
from tests.unit.test_board import write

APPLE, OTHER, FORMER = 320193, 7, 8
ACCEPTED = datetime(2009, 10, 27, 20, 18, 29, tzinfo=UTC)
LATER = ACCEPTED + timedelta(days=90)
ANNUAL = (
    "Cover of the report\nItem 1A. Risk Factors\nSupply constraints may hurt us.\nThe Company\u2019s supply is short.\n"
    "Nothing constrains us.\nItem 7. Management\u2019s Discussion\nSupply was short; constraints were felt.\n"
)
QUARTERLY = "PART II\nItem 1A. Risk Factors\n\nSupply and other\nconstraints.\n\nUnrelated.\n\n"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two filings of Apple with text and one without, and one of another company; a ticker that changed hands."""
    root = tmp_path_factory.mktemp("filings")
    listing = {"valid_from": date(1998, 1, 2), "exchange": "XNYS"}
    write(root, INSTRUMENTS, [
        listing | {"instrument_id": "A", "ticker": "AAPL", "cik": APPLE},
        listing | {"instrument_id": "O", "ticker": "WM", "cik": FORMER, "valid_to": date(2008, 9, 26)},
        listing | {"instrument_id": "N", "ticker": "WM", "cik": OTHER, "valid_from": date(2009, 8, 5)},
        listing | {"instrument_id": "X", "ticker": "NOFILER"},
    ])  # fmt: skip
    told = [
        ("0000320193-09-000001", APPLE, "10-K", ACCEPTED, ANNUAL),
        ("0000320193-10-000002", APPLE, "10-Q", LATER, QUARTERLY),
        ("0000320193-09-000003", APPLE, "8-K", ACCEPTED - timedelta(days=1), None),
        ("0000320193-09-000004", APPLE, "4", ACCEPTED, None),
        ("0000000007-09-000001", OTHER, "10-K", ACCEPTED, ANNUAL),
    ]
    filed, said = [], []
    for accession, cik, form, known_from, text in told:
        filing = {"accession": accession, "cik": cik, "form": form, "known_from": known_from, "known_basis": "hours"}
        filed.append(filing | {"filed_date": known_from.date(), "report_date": date(2009, 9, 26)})
        said += [
            filing | {"ordinal": at, "section": one.name, "title": one.title, "text": one.text}
            for at, one in enumerate(sections_of(text, form) if text else [])
        ]
    fact = {"cik": APPLE, "accession": "0000320193-09-000001", "fiscal_year": 2009, "fiscal_period": "FY"}
    for table, rows in ((FILINGS, filed), (FILING_TEXTS, said), (FACTS, [fact, fact | {"concept": "Assets"}])):
        write(root, table, rows)
    return str(root)


def found(lake: str, words: str, section: str | None = None, at: datetime = LATER) -> list[tuple[str, str, str]]:
    passages = passages_known(lake, [APPLE], at, words.split(), section)
    return [(one.form, one.section, one.text) for one in passages]


def test_filings_are_those_known_by_then_newest_first(lake: str) -> None:
    def known(at: datetime) -> list[str]:
        return [one.accession[-6:] for one in filings_known(lake, [APPLE], at)]

    second = timedelta(seconds=1)
    assert known(LATER) == ["000002", "000001", "000003"]
    assert known(LATER - second) == known(ACCEPTED) == ["000001", "000003"]
    assert known(ACCEPTED - second) == ["000003"]
    annual = filings_known(lake, [APPLE], LATER)[1]
    assert (annual.fiscal_year, annual.fiscal_period, annual.sections) == (2009, "FY", "front 1A 7")
    assert annual.known_from == ACCEPTED
    assert filings_known(lake, [APPLE], LATER)[2].sections is None


def test_a_ticker_is_whoever_carried_it_that_day(lake: str) -> None:
    assert filers(lake, "WM", date(2008, 9, 26)) == [FORMER]
    assert filers(lake, "WM", date(2009, 8, 5)) == [OTHER]
    for symbol, day in (("WM", date(2009, 1, 2)), ("NOFILER", date(2009, 1, 2)), ("AAPL", date(1997, 1, 2))):
        with pytest.raises(TableError, match=f"a filer that carried the ticker {symbol} on {day}, found none"):
            filers(lake, symbol, day)


def test_a_passage_holds_every_word_in_any_case_and_of_its_section_only(lake: str) -> None:
    hurt, felt = "Supply constraints may hurt us.", "Supply was short; constraints were felt."
    other = "Supply and other\nconstraints."

    assert found(lake, "SUPPLY constraints") == [("10-Q", "II.1A", other), ("10-K", "1A", hurt), ("10-K", "7", felt)]
    assert found(lake, "supply constraints", at=ACCEPTED) == [("10-K", "1A", hurt), ("10-K", "7", felt)]
    assert found(lake, "supply constraints", "1a") == [("10-Q", "II.1A", other), ("10-K", "1A", hurt)]
    assert found(lake, "supply constraints", "II.1A") == [("10-Q", "II.1A", other)]
    assert found(lake, "company's", "1A") == [("10-K", "1A", "The Company\u2019s supply is short.")]
    assert found(lake, "cover hurt") == []
    assert found(lake, "%") == []


def test_a_section_without_words_is_told_whole(lake: str) -> None:
    assert [text for _, _, text in found(lake, "", "7")] == [
        "Item 7. Management\u2019s Discussion\nSupply was short; constraints were felt."
    ]


def run(lake: str, *argv: str) -> int:
    return filings.main([*argv, "--set", f"paths.warehouse={lake}"])


def test_people_see_filings_and_passages_and_programs_json(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lake, "aapl", "--as-of", "2009-10-28") == OK
    said = capsys.readouterr().out
    assert "AAPL as known at 2009-10-28 00:00:00" in said
    assert "2009-10-27 16:18:29" in said
    assert "2009 FY" in said
    assert "0000320193-10-000002" not in said
    assert run(lake, "AAPL", "--search", "supply constraints", "--most", "1") == OK
    said = capsys.readouterr().out
    assert "10-Q 0000320193-10-000002, accepted 2010-01-25, II.1A Risk Factors\nSupply and other\nconstraints." in said
    assert "1 of more; --most shows more." in said
    assert run(lake, "AAPL", "--section", "1A", "--json") == OK
    (told,) = json.loads(capsys.readouterr().out)
    assert told["text"].startswith("PART II\nItem 1A. Risk Factors")
    assert run(lake, "AAPL", "--most", "1") == OK
    assert "And 2 more" in capsys.readouterr().out


def test_what_is_not_there_is_said(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lake, "WM", "--as-of", "2009-08-06T12:00:00+00:00") == FAILED
    assert "expected filings of WM known at 2009-08-06T12:00:00+00:00, found none" in capsys.readouterr().err
    assert run(lake, "AAPL", "--as-of", "2009-10-27", "--search", "supply") == OK
    said = capsys.readouterr()
    assert said.out == "0 found.\n"
    assert "No text of these filings is here; `tickhouse collect-filings AAPL` fetches documents." in said.err


def test_a_time_without_a_zone_is_the_exchanges(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    moments: list[Any] = [ACCEPTED.astimezone(ZoneInfo("America/New_York")).replace(tzinfo=None), ACCEPTED]
    for at in moments:
        assert run(lake, "AAPL", "--as-of", at.isoformat(), "--json") == OK
        assert len(json.loads(capsys.readouterr().out)) == 2
