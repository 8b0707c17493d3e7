"""Tapes: Lean's ticks, Finnhub's frames and our own archive, read as they were recorded."""

from __future__ import annotations

import gzip
import zipfile
from collections import Counter
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from lakehouse.conditions import load_dialects
from lakehouse.errors import FeedError
from lakehouse.settings import CONF
from streaming.feeds.pack import by_receipt, pack
from streaming.feeds.tapes import (
    LEAN_FEED,
    SUSPICIOUS,
    archive_records,
    finnhub_frames,
    lean_days,
    lean_tape,
    lean_trades,
    raw_time,
)
from streaming.wire import Print

MONDAY, FRIDAY = date(2013, 10, 7), date(2013, 10, 11)
EVER = (date.min, date.max)


def write_lean(folder: Path, ticker: str, day: str, text: str) -> None:
    path = folder / "tick" / ticker / f"{day}_trade.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{day}_{ticker}_Trade_Tick.csv", text)


def utc_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_a_lean_line_becomes_a_print_stamped_by_the_tapes_own_clock(tmp_path: Path) -> None:
    lines = "34200000,1815200,283,P,20002020,0\n34200000,1815300,100,,,1\n34200001,1815200,7,D,1,1\n"
    write_lean(tmp_path, "ibm", "20131007", lines)

    prints = list(lean_trades(tmp_path, "IBM", MONDAY))

    opened = utc_ms("2013-10-07T13:30:00")  # New York is four hours behind in October
    assert prints == [
        Print("IBM", 181_520_000, 283_000_000, opened, "lean-ibm-20131007-1", 0, opened, ("20002020",), "P"),
        Print("IBM", 181_530_000, 100_000_000, opened, "lean-ibm-20131007-2", 1, opened, (SUSPICIOUS,), None),
        Print("IBM", 181_520_000, 7_000_000, opened + 1, "lean-ibm-20131007-3", 0, opened + 1, ("1", SUSPICIOUS), "D"),
    ]


def test_midnight_is_new_yorks_in_winter_and_in_summer(tmp_path: Path) -> None:
    for day in ("20140106", "20140609"):
        write_lean(tmp_path, "aapl", day, "0,6400000,1,Q,1,0")

    traded = [one.traded_ms for one in lean_tape(tmp_path, ["aapl"], *EVER)]

    assert traded == [utc_ms("2014-01-06T05:00:00"), utc_ms("2014-06-09T04:00:00")]


def test_the_word_for_a_suspicious_print_is_the_one_the_dialect_of_lean_knows() -> None:
    dialect = load_dialects(CONF / "sale_conditions.yaml").by_feed[LEAN_FEED]

    assert dialect.judge(("1",))[0] != 0
    assert dialect.judge(("1", SUSPICIOUS))[0] == 0
    assert dialect.unknown(SUSPICIOUS) == ()


def test_several_tickers_are_merged_by_time_and_missing_days_are_passed_over(tmp_path: Path) -> None:
    write_lean(tmp_path, "ibm", "20131007", "1,10000,1,P,1,0\n5,10000,2,P,1,0\n")
    write_lean(tmp_path, "bac", "20131007", "2,10000,3,P,1,0\n5,10000,4,P,1,0\n")
    write_lean(tmp_path, "bac", "20131008", "1,10000,5,P,1,0\n")

    tape = list(lean_tape(tmp_path, ["IBM", "BAC"], *EVER))

    assert [(one.symbol, one.size_micros // 1_000_000) for one in tape] == [
        ("IBM", 1), ("BAC", 3), ("IBM", 2), ("BAC", 4), ("BAC", 5),
    ]  # fmt: skip
    assert lean_days(tmp_path, "BAC") == [MONDAY, date(2013, 10, 8)]
    assert {one.trade_id for one in lean_tape(tmp_path, [], MONDAY, MONDAY)} == {one.trade_id for one in tape[:4]}


@pytest.mark.parametrize("line", ["1,2,3", "a,10000,1,P,1,0", "1,10000,1,P,1,x"])
def test_a_damaged_lean_line_is_named_with_its_file_and_number(tmp_path: Path, line: str) -> None:
    write_lean(tmp_path, "ibm", "20131007", f"1,10000,1,P,1,0\n{line}\n")

    prints = lean_trades(tmp_path, "ibm", MONDAY)

    assert next(prints).trade_id == "lean-ibm-20131007-1"
    with pytest.raises(FeedError, match=r"20131007_trade\.zip.*line 2 is"):
        next(prints)


def test_a_missing_or_damaged_lean_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tick" / "ibm").mkdir(parents=True)
    (tmp_path / "tick" / "ibm" / "20131007_trade.zip").write_bytes(b"no archive")

    with pytest.raises(FeedError, match=r"20131007_trade\.zip: expected lines of ms, price"):
        list(lean_trades(tmp_path, "ibm", MONDAY))
    with pytest.raises(FeedError, match=r"20131011_trade\.zip: expected a day of Lean's tick trades, found no file"):
        list(lean_trades(tmp_path, "ibm", FRIDAY))
    with pytest.raises(FeedError, match="expected tick trades of IBM between 2013-10-08"):
        list(lean_tape(tmp_path, ["IBM"], date(2013, 10, 8), FRIDAY))


def test_the_real_tape_of_ibm_is_read_to_the_row(shared_data: Path) -> None:
    prints = list(lean_trades(shared_data / "lean", "ibm", MONDAY))

    assert len(prints) == 24_293
    assert prints[0] == Print(
        "IBM", 181_520_000, 283_000_000, utc_ms("2013-10-07T08:00:30.270"), "lean-ibm-20131007-1", 0,
        utc_ms("2013-10-07T08:00:30.270"), ("20002020",), "P",
    )  # fmt: skip
    assert prints[-1].trade_id == "lean-ibm-20131007-24293"
    assert all(before.traded_ms <= after.traded_ms for before, after in pairwise(prints))
    assert len({one.trade_id for one in prints}) == len({(one.traded_ms, one.seq) for one in prints}) == len(prints)


def test_the_real_tapes_of_two_symbols_are_merged_for_a_day(shared_data: Path) -> None:
    prints = list(lean_tape(shared_data / "lean", ["ibm", "bac"], MONDAY, MONDAY))

    assert Counter(one.symbol for one in prints) == {"IBM": 24_293, "BAC": 88_172}
    assert all(before.traded_ms <= after.traded_ms for before, after in pairwise(prints))


def test_the_flagged_vintage_marks_its_bad_prints(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "tick").symlink_to(shared_data / "lean" / "tick_flagged")

    prints = lean_trades(tmp_path, "ibm", date(2013, 10, 8))

    assert sum(SUSPICIOUS in (one.conditions or ()) for one in prints) == 4


def test_finnhub_frames_pass_verbatim_pings_included(shared_data: Path) -> None:
    path = shared_data / "finnhub_frames" / "raw_frames.jsonl"

    frames = list(finnhub_frames(path))
    records = list(pack(frames, feed="finnhub"))

    assert [one for _, one in frames] == [line for line in path.read_bytes().split(b"\n") if line]
    assert [one.data for one in records] == [one for _, one in frames]
    assert sum(one.prints for one in records) == 59
    assert all(before[0] <= after[0] for before, after in pairwise(frames))
    assert frames[0][0] == 1_672_348_887_785


def test_the_time_of_a_raw_record_is_its_latest_receipt_else_its_latest_trade() -> None:
    assert (
        raw_time(b'{"data":[{"t":1672348887195,"received_at":1672348887300},{"t":1672348887400}]}') == 1_672_348_887_300
    )
    assert raw_time(b'{"data":[{"t":1672348887195},{"t": 1672348887400}]}') == 1_672_348_887_400
    assert raw_time(b'{"data":[{"t":1672348887195000}]}') is None
    assert raw_time(b'{"type":"ping"}') is None


def test_frames_whose_trades_are_older_than_those_before_are_not_delivered_in_the_past(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_bytes(b'{"data":[{"t":1672348887195}]}\n{"data":[{"t":1672348800000}]}\n\n{"type":"ping"}\n')

    assert [at for at, _ in finnhub_frames(path)] == [1_672_348_887_195] * 3


def test_the_archive_is_read_back_verbatim_by_time_within_each_date(tmp_path: Path) -> None:
    lines = {
        "date=2026-03-03/symbol=ACME/1.jsonl": [b'{"data":[{"p":1,"t":1772500000000}]}'],
        "date=2026-03-02/symbol=ACME/1.jsonl.gz": [b'{"data":[{"p":1,"t":1772400000000}]}', b'{"type":"ping"}'],
        "date=2026-03-02/symbol=ACME/2.jsonl": [b'{"data":[{"p":1,"t":1772400000500},{"p":2,"t":1772400000400}]}'],
        "date=2026-03-02/symbol=BRK%2FB/1.jsonl": [b'{"data":[{"p":1,"t":1772400000300}]}'],
        "date=2026-03-02/symbol=ACME/.3.jsonl.part": [b"half"],
    }
    for name, some in lines.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = b"".join(line + b"\n" for line in some)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    records = list(archive_records(tmp_path, *EVER))

    assert [(one.key, one.prints, one.at_ms) for one in records] == [
        ("ACME", 1, 1772400000000), ("ACME", 0, 1772400000000), ("BRK/B", 1, 1772400000300),
        ("ACME", 2, 1772400000500), ("ACME", 1, 1772500000000),
    ]  # fmt: skip
    assert [one.data for one in records[:2]] == lines["date=2026-03-02/symbol=ACME/1.jsonl.gz"]
    assert len(list(archive_records(tmp_path, date(2026, 3, 3), date(2026, 3, 3)))) == 1


def test_a_damaged_archive_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "date=2026-03-02" / "symbol=ACME" / "1.jsonl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(b'{"type":"ping"}\n' * 1000)[:-12])

    with pytest.raises(FeedError, match=r"1\.jsonl\.gz: expected whole JSON Lines"):
        list(archive_records(tmp_path, *EVER))


def test_a_replayed_tape_is_the_same_records_every_time(tmp_path: Path) -> None:
    write_lean(tmp_path, "ibm", "20131007", "".join(f"{ms},1815200,100,P,1,0\n" for ms in range(0, 5_000, 7)))

    once, twice = (list(pack(by_receipt(lean_tape(tmp_path, ["ibm"], *EVER)), feed=LEAN_FEED)) for _ in range(2))

    assert once == twice
    assert sum(one.prints for one in once) == len(range(0, 5_000, 7))
