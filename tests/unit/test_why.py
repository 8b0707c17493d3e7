"""`tickhouse why`: what is stored about a symbol around an instant, and why there is nothing where there is nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs import why
from jobs.cli import OK
from lakehouse.tables.gold import ALERT_DELIVERIES, ALERTS, ANOMALIES, BARS, SIGNALS
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, QUARANTINE, SESSIONS, TRADES
from serving.why import Finding, asked, findings, silence
from tests.unit.test_board import write

ZONE = ZoneInfo("America/New_York")
DAY = date(2014, 6, 9)
AT = datetime(2014, 6, 9, 13, 31, 20, tzinfo=UTC)
MINUTE = AT.replace(second=0)
WIDE = timedelta(minutes=1)


def stamped(**more: Any) -> dict[str, Any]:
    return {"instrument_id": "AAPL-1", "symbol": "AAPL", "interval": "1m", "session_date": DAY} | more


@pytest.fixture
def lake(tmp_path: Path) -> str:
    """One minute of AAPL with everything that can happen to it, and as much of IBM, which is nobody's business."""
    listing = {"instrument_id": "AAPL-1", "ticker": "AAPL", "exchange": "XNYS", "valid_from": date(1998, 1, 2)}
    write(tmp_path, INSTRUMENTS, [listing, listing | {"instrument_id": "IBM-1", "ticker": "IBM"}])
    hours = {"exchange": "XNYS", "session_date": DAY, "session": "regular"}
    opens = {"opens_at": MINUTE - timedelta(minutes=1), "closes_at": MINUTE + timedelta(hours=6)}
    write(tmp_path, SESSIONS, [hours | opens])
    bar = stamped(bar_start=MINUTE, bar_end=MINUTE + timedelta(minutes=1), close=Decimal("93.5"), late_prints=2)
    write(tmp_path, BARS, [bar, bar | {"instrument_id": "IBM-1", "symbol": "IBM", "close": Decimal(7)}])
    write(tmp_path, CORPORATE_ACTIONS, [stamped(action="split", effective_date=DAY, ratio=Decimal(7))])
    write(tmp_path, TRADES, [stamped(kind="cancel", ref_trade_id="t1", traded_at=AT, received_at=AT)])
    refused = {"symbol": "AAPL", "arrived_at": AT, "reasons": "BAD_PRICE", "detail": "p is -1", "bronze_ref": "a"}
    write(tmp_path, QUARANTINE, [refused, refused | {"symbol": "IBM"}, refused | {"arrived_at": AT + 3 * WIDE}])
    evidence = '{"z": 9.5}'
    flag = stamped(bar_start=MINUTE, kind="move", score=9.5, reason="unexplained", evidence=evidence)
    write(tmp_path, ANOMALIES, [flag])
    write(tmp_path, SIGNALS, [stamped(bar_start=MINUTE, rule="golden_cross", direction="up", value=1.5, level=1.0,
                                      evidence=evidence)])  # fmt: skip
    alert = {"alert_id": "a1", "rule": "jump", "subject": "AAPL", "fired_at": AT, "text": "up 5 %.", "state": "fired"}
    write(tmp_path, ALERTS, [alert, alert | {"alert_id": "a2", "subject": "IBM"}])
    sent = {"alert_id": "a1", "recipient": "ann", "channel": "sns", "attempt": 1, "started_at": AT + 5 * WIDE}
    write(tmp_path, ALERT_DELIVERIES, [sent | {"accepted_at": AT + 5 * WIDE}, sent | {"alert_id": "a2"}])
    return str(tmp_path)


def told(lake: str, at: datetime = AT) -> list[Finding]:
    return findings(lake, asked("aapl", at, WIDE, ZONE))


def test_everything_stored_about_the_symbol_is_told_in_order_and_nothing_of_others(lake: str) -> None:
    found = told(lake)

    texts = [one.text for one in found]
    assert texts[0] == "split from this date on, ratio 7"
    assert [one.at for one in found[1:]] == sorted(one.at for one in found[1:] if one.at)
    assert any("close 93.5," in text and "2 late" in text for text in texts)
    assert "refused as BAD_PRICE: p is -1" in texts
    assert any(text.startswith("cancel of print t1") for text in texts)
    assert "1m move out of line by 9.5, reason: unexplained" in texts
    assert "1m signal golden_cross (up): 1.5 crossed 1" in texts
    assert any(text.startswith("alert jump: up 5 %.") for text in texts)
    assert texts[-1] == "attempt 1 to ann by sns: accepted"
    assert len(texts) == 8


def test_a_minute_that_is_there_is_no_silence_and_one_that_is_not_says_why(lake: str) -> None:
    assert silence(lake, asked("AAPL", AT, WIDE, ZONE)) is None
    later = silence(lake, asked("AAPL", AT + timedelta(minutes=5), WIDE, ZONE))
    night = silence(lake, asked("AAPL", AT + timedelta(hours=9), WIDE, ZONE))

    stranger = silence(lake, asked("NOPE", AT, WIDE, ZONE))

    assert stranger == "No minute: silver.instruments knows nothing that carried the ticker NOPE that day."
    assert later is not None
    assert "nobody traded, the last minute before ends 13:32:00 UTC and there is none after" in later
    assert night == "No minute: the exchange is closed then, and prints outside every session build no bar."


def test_the_answer_is_printed_for_people_in_the_time_of_the_exchange(
    lake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--set", f"paths.warehouse={lake}"]

    assert why.main(["AAPL", "2014-06-09T09:31:20", *given]) == OK
    shown = capsys.readouterr().out
    assert why.main(["AAPL", "2014-06-09T13:31:20+00:00", "--json", *given]) == OK

    assert "AAPL at 2014-06-09 09:31:20 (America/New_York)" in shown
    assert "z 9.5" in shown
    assert '"alert_id": "a1"' in capsys.readouterr().out


def test_a_lake_with_nothing_in_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, INSTRUMENTS, [])

    assert why.main(["AAPL", "2014-06-09T09:31", "--set", f"paths.warehouse={tmp_path}"]) == OK

    assert "Nothing else is stored about that stretch" in capsys.readouterr().out
