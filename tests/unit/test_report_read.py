"""What a report reads of a session, what it says where there is none, and that it leaves nothing out in silence."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs import report as job
from jobs.cli import FAILED, OK, USAGE
from lakehouse.errors import TableError
from lakehouse.tables.gold import BARS
from serving.report import build, limits
from serving.report.build import Wanted, read_report
from serving.report.page import Report, page_of
from tests.report_lake import DAY, EVIL, bar, stamp, write_session
from tests.unit.test_board import write

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2025, 3, 4, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_session(tmp_path_factory.mktemp("report")))


def read(lake: str, *symbols: str, interval: str = "1m", day: date = DAY) -> Report:
    return read_report(lake, Wanted(day, symbols, interval), exchange="XNYS", zone=ZONE, now=NOW, series={})


def test_the_head_counts_what_the_tables_hold_of_that_day(lake: str) -> None:
    head = read(lake).head

    assert [row["session"] for row in head.sessions] == ["pre", "regular", "post"]
    assert [row["symbol"] for row in head.symbols] == [EVIL, "ACME"]
    assert [(row["interval"], row["rows"]) for row in head.bars] == [("1m", 108)]
    assert head.prints[0]["rows"] == 5
    assert {row["reason"]: row["rows"] for row in head.flags} == {"halt": 1, "print": 1}
    assert {row["rule"]: row["rows"] for row in head.alerts} == {"quick-jump": 2, "<b>bold</b>": 1}
    jump = next(row for row in head.alerts if row["rule"] == "quick-jump")
    assert (jump["attempts"], jump["accepted"], jump["failed"], jump["copies"], jump["untold"]) == (2, 1, 1, 1, 1)
    assert {row["state"]: row["minutes"] for row in head.feeds} == {"live": 20, "symbol_mute": 6}
    assert head.complete[0]["lost"] == 3


def test_refused_are_those_of_the_day_and_those_judged_beside_its_prints(lake: str) -> None:
    refused = read(lake).head.refused

    assert [(row["reasons"], row["rows"], row["settled"]) for row in refused] == [("BAD_PRICE", 2, 1)]


def test_a_sheet_holds_everything_of_its_symbol_and_nothing_of_others(lake: str) -> None:
    acme = next(sheet for sheet in read(lake).sheets if sheet.symbol == "ACME")

    assert len(acme.bars) == 54
    assert acme.bars[0]["rsi"] == 55.0
    assert [row["reason"] for row in acme.flags.rows] == ["halt"]
    assert (acme.signals.of_all, acme.other_signals) == (1, 1)
    assert [row["alert_id"] for row in acme.alerts.rows] == ["a1"]
    assert [row["state"] for row in acme.stretches.rows] == ["symbol_mute"]
    assert [bar["revision"] for bar in acme.revised] == [3]


def test_alerts_about_no_symbol_are_told_apart(lake: str) -> None:
    assert [row["alert_id"] for row in read(lake).others.rows] == ["a3"]
    assert read(lake, "ACME").others.rows == ()


def test_only_the_symbols_asked_for_are_read_and_one_that_was_silent_says_so(lake: str) -> None:
    asked = read(lake, "QUIET", "ACME")

    assert [sheet.symbol for sheet in asked.sheets] == ["ACME", "QUIET"]
    assert {row["reason"]: row["rows"] for row in asked.head.flags} == {"halt": 1}
    assert "Nothing of it traded that day" in page_of(asked)


def test_a_symbol_nobody_carries_is_an_error_that_says_so(lake: str) -> None:
    with pytest.raises(TableError, match="expected that something carried NOPE on 2025-03-03, found nothing"):
        read(lake, "ACME", "NOPE")


def test_a_date_without_bars_names_the_dates_there_are_and_whether_the_exchange_was_closed(lake: str) -> None:
    with pytest.raises(TableError, match="found none; XNYS was closed on that Sunday. The nearest .* are 2025-03-03,"):
        read(lake, day=date(2025, 3, 2))
    with pytest.raises(TableError, match=r"found none\. The nearest dates with bars are 2025-03-03, all lie from"):
        read(lake, day=date(2025, 3, 4))


def test_a_lake_without_bars_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"gold.bars: there is no table at .* `tickhouse tables create`"):
        read(str(tmp_path))
    write(tmp_path, BARS, [])
    with pytest.raises(TableError, match="found none of any date.* `tickhouse demo`"):
        read(str(tmp_path))


def test_tables_that_were_never_made_leave_their_parts_empty(tmp_path: Path) -> None:
    write(tmp_path, BARS, [bar("ACME", minute, 50.0) for minute in range(3)])

    found = read(str(tmp_path))

    assert (found.head.flags, found.head.sessions, found.head.feeds) == ([], [], [])
    page = page_of(found)
    assert "silver.sessions has no row for the date" in page
    assert "`tickhouse indicators build` makes them" in page


def test_too_many_bars_are_drawn_from_longer_ones_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    five = [stamp("ACME", 5 * one, "5m", 5) | {"volume": Decimal(1)} for one in range(3)]
    write(tmp_path, BARS, [bar("ACME", minute, 50.0) for minute in range(15)] + five)
    monkeypatch.setattr(limits, "BARS_AT_MOST", 10)

    sheet = read(str(tmp_path)).sheets[0]

    assert (sheet.choice.interval, len(sheet.bars)) == ("5m", 3)
    assert sheet.choice.why == "It has 15 bars of 1m, a chart holds 10: drawn from 5m bars."
    assert "There are no 1s bars of it" in read(str(tmp_path), interval="1s").sheets[0].choice.why


def test_a_page_is_bounded_and_says_what_it_left_out(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CHARTS_AT_MOST", 1)
    monkeypatch.setattr(build, "CHARTS_AT_MOST", 1)

    found = read(lake)

    assert len(found.sheets) == 1
    assert found.left_out[0].startswith("1 of 2 symbols have no chart")
    assert found.left_out[0] in page_of(found)


def test_charts_go_to_the_symbols_with_the_most_alerts_then_flags_then_turnover(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        {"symbol": symbol, "alerts": alerts, "flags": flags, "notional": notional}
        for symbol, alerts, flags, notional in (("A", 0, 0, 9.0), ("B", 0, 0, 8.0), ("C", 0, 3, 1.0), ("D", 1, 0, 0.0))
    ]
    monkeypatch.setattr(limits, "CHARTS_AT_MOST", 3)

    assert limits.choose_charts(rows) == {"D", "C", "A"}


def test_the_job_writes_one_file_and_says_where(lake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--set", f"paths.warehouse={lake}"]
    out = tmp_path / "new" / "r.html"

    assert job.main(["2025-03-03", "--symbols", "acme", "--out", str(out), *given]) == OK

    assert f"{out}: 1 symbol, 1 chart, " in capsys.readouterr().out.replace("\n", "")
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [file.name for file in out.parent.iterdir()] == ["r.html"]


def test_what_cannot_be_done_ends_with_its_exit_code_and_leaves_no_file(
    lake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--set", f"paths.warehouse={lake}", "--out", str(tmp_path / "r.html")]

    assert job.main(["yesterday", *given]) == USAGE
    assert "expected a date such as 2025-03-03, found 'yesterday'" in capsys.readouterr().err
    assert job.main(["2025-03-03", "--symbols", "ACME,,IBM", *given]) == USAGE
    assert "expected tickers separated by commas" in capsys.readouterr().err
    assert job.main(["2025-03-05", *given]) == FAILED
    assert capsys.readouterr().err.count("\n") == 1
    assert job.main(["2025-03-03", *given[:2], "--out", str(tmp_path)]) == FAILED
    assert "expected a file that can be written there" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
