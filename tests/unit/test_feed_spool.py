"""The spool: what was appended comes out once and in order, whatever byte a crash ended at; it never overfills."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lakehouse.errors import FeedError
from streaming.feeds import spool as module
from streaming.feeds.pack import Record
from streaming.feeds.spool import Spool, SpoolFull
from streaming.feeds.spool_files import Place, locked, segment_numbers, segment_path
from streaming.feeds.spool_frames import decode_frames, encode_frame

RECORDS = st.builds(
    Record, st.text(max_size=8), st.binary(max_size=200), st.integers(0, 1000), st.integers(-(2**40), 2**50)
)


def numbered(first: int, count: int, size: int = 20) -> list[Record]:
    return [Record("ACME", f"{at}".encode().ljust(size, b"."), 1, at) for at in range(first, first + count)]


def opened(folder: Path, *, segment_bytes: int = 300, max_bytes: int = 100_000) -> Spool:
    folder.mkdir(exist_ok=True)
    return Spool(folder, segment_bytes=segment_bytes, max_bytes=max_bytes)


def drain(spool: Spool, most: int = 7) -> list[Record]:
    """Everything that is left, acknowledged."""
    found: list[Record] = []
    place = spool.acknowledged
    while True:
        some, place = spool.read(place, most)
        if not some:
            return found
        found += some
        spool.acknowledge(place, len(some))


@given(st.lists(RECORDS, max_size=8))
def test_frames_give_back_what_went_in_and_where_each_ends(records: list[Record]) -> None:
    frames = [encode_frame(one) for one in records]

    found = list(decode_frames(b"".join(frames)))

    assert [record for record, _ in found] == records
    assert [end for _, end in found] == [sum(map(len, frames[: at + 1])) for at in range(len(frames))]


@given(st.lists(RECORDS, min_size=1, max_size=5), st.data())
def test_a_cut_or_a_flipped_bit_anywhere_loses_nothing_before_it_and_invents_nothing(
    records: list[Record], data: st.DataObject
) -> None:
    frames = [encode_frame(one) for one in records]
    whole = b"".join(frames)
    at = data.draw(st.integers(0, len(whole) - 1))
    spoiled = bytearray(whole)
    spoiled[at] ^= 1 << data.draw(st.integers(0, 7))
    before = next(number for number in range(len(frames)) if sum(map(len, frames[: number + 1])) > at)

    assert [one for one, _ in decode_frames(whole[:at])] == records[:before]
    assert [one for one, _ in decode_frames(bytes(spoiled))][:before] == records[:before]
    assert len(list(decode_frames(bytes(spoiled)))) == before


def test_zeros_a_lost_write_left_behind_are_no_frames() -> None:
    assert list(decode_frames(bytes(4096))) == []


class SpoolLife(RuleBasedStateMachine):
    """Appends, reads, acknowledgements and crashes in any order, against a list. A crash may tear the last write."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-"))
        self.next = 0
        self.kept: list[Record] = []  # appended and not acknowledged
        self.read_ahead: list[Record] = []
        self.spool = opened(self.folder)
        self.place = self.spool.acknowledged

    @rule(count=st.integers(0, 12), size=st.integers(0, 90))
    def append(self, count: int, size: int) -> None:
        records = numbered(self.next, count, size)
        self.spool.append(records)
        self.next += count
        self.kept += records

    @rule(most=st.integers(1, 9))
    def read(self, most: int) -> None:
        some, self.place = self.spool.read(self.place, most)
        unread = self.kept[len(self.read_ahead) :]
        assert some == unread[: len(some)]
        assert some or not unread
        self.read_ahead += some

    @precondition(lambda self: self.read_ahead)
    @rule()
    def acknowledge(self) -> None:
        self.spool.acknowledge(self.place, len(self.read_ahead))
        self.kept = self.kept[len(self.read_ahead) :]
        self.read_ahead = []

    @rule(torn=st.binary(max_size=60), forgets=st.booleans(), cut=st.integers(1, 40))
    def crash(self, torn: bytes, forgets: bool, cut: int) -> None:
        """The process dies: in the middle of a write, or after one; a note of the position may be lost too."""
        last = segment_path(self.folder, segment_numbers(self.folder)[-1])
        unfinished = encode_frame(Record("TORN", torn, 1, 1))
        with last.open("ab") as file:
            file.write(unfinished[: min(cut, len(unfinished) - 1)])
        self.spool.close()
        self.spool = opened(self.folder)
        self.place = self.spool.acknowledged
        self.read_ahead = []

    @invariant()
    def counts_what_waits(self) -> None:
        assert self.spool.waiting == len(self.kept)

    def teardown(self) -> None:
        self.spool.close()
        self.spool = opened(self.folder)
        assert drain(self.spool) == self.kept
        self.spool.append(numbered(0, 1))
        assert len(segment_numbers(self.folder)) <= 2, "acknowledged segments are deleted"
        self.spool.close()
        shutil.rmtree(self.folder, ignore_errors=True)


TestSpoolLife: Any = SpoolLife.TestCase
TestSpoolLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_cut_at_any_byte_keeps_every_record_that_was_synced_before_it(
    tmp_path: Path, data: st.DataObject
) -> None:
    folder = tmp_path / "spool"
    shutil.rmtree(folder, ignore_errors=True)
    spool = opened(folder, segment_bytes=10_000)
    records = numbered(0, 12)
    spool.append(records)
    spool.close()
    path = segment_path(folder, segment_numbers(folder)[-1])
    length = len(encode_frame(records[0]))
    at = data.draw(st.integers(0, path.stat().st_size))
    os.truncate(path, at)

    again = opened(folder)

    assert drain(again) == records[: at // length]
    assert again.cut_bytes == at % length


def test_what_is_cut_off_is_kept_beside_and_records_after_damage_in_an_old_segment_still_come(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", segment_bytes=100)
    for first in range(0, 12, 3):
        spool.append(numbered(first, 3))
    spool.close()
    oldest = segment_path(tmp_path / "s", segment_numbers(tmp_path / "s")[0])
    spoiled = bytearray(oldest.read_bytes())
    spoiled[70] ^= 0xFF
    oldest.write_bytes(spoiled)

    again = opened(tmp_path / "s")

    assert [int(one.data.rstrip(b".")) for one in drain(again)] == [0, *range(3, 12)]
    assert oldest.with_suffix(".cut").stat().st_size == again.cut_bytes > 0


def test_a_full_spool_refuses_the_whole_batch_and_takes_again_once_segments_were_acknowledged(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", segment_bytes=500, max_bytes=1_000)
    taken = 0
    with pytest.raises(SpoolFull, match=r"at most 1,000, and 5 records were refused; what it holds is safe"):
        while True:
            spool.append(numbered(taken, 5))
            taken += 5
    assert not spool.has_room
    assert sum(path.stat().st_size for path in (tmp_path / "s").glob("*.spool")) == spool.size <= 1_000

    found = drain(spool)

    assert [one.at_ms for one in found] == list(range(taken))
    assert spool.has_room
    spool.append(numbered(taken, 5))
    assert [one.at_ms for one in drain(spool)] == list(range(taken, taken + 5))


def test_a_disk_that_is_full_in_the_middle_of_a_write_leaves_no_half_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path / "s", segment_bytes=10_000)
    spool.append(numbered(0, 3))

    def half(file: int, data: bytes) -> None:
        os.write(file, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_all", half)
        with pytest.raises(SpoolFull, match=r"2 records could not be written \(No space left on device\)"):
            spool.append(numbered(3, 2))
    spool.append(numbered(3, 1))

    assert [one.at_ms for one in drain(spool)] == [0, 1, 2, 3]


def test_a_lost_note_of_the_position_sends_again_and_skips_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", segment_bytes=10_000)
    spool.append(numbered(0, 6))
    some, place = spool.read(spool.acknowledged, 4)
    spool.acknowledge(place, len(some))
    spool.close()
    (tmp_path / "s" / "acknowledged.json").write_text("")

    assert [one.at_ms for one in drain(opened(tmp_path / "s"))] == list(range(6))


def test_a_note_of_a_position_in_files_that_are_gone_never_skips_new_records(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append(numbered(0, 8))
    drain(spool)
    spool.close()
    for path in (tmp_path / "s").glob("*.spool"):
        path.unlink()

    for first in (100, 200):
        spool = opened(tmp_path / "s")
        spool.append(numbered(first, 3))
        spool.close()

    assert [one.at_ms for one in drain(opened(tmp_path / "s"))] == [100, 101, 102, 200, 201, 202]


def test_damage_under_a_running_collector_is_named_and_nothing_is_skipped(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", segment_bytes=10_000)
    spool.append(numbered(0, 2))
    path = segment_path(tmp_path / "s", segment_numbers(tmp_path / "s")[-1])
    path.write_bytes(bytes(path.stat().st_size))

    with pytest.raises(FeedError, match=r"segment-\d+\.spool: expected a whole frame at byte 0, found a damaged one"):
        spool.read(spool.acknowledged, 5)


def test_one_thread_appends_while_another_reads_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", segment_bytes=400, max_bytes=10_000_000)
    found: list[int] = []

    def read() -> None:
        place = spool.acknowledged
        while len(found) < 600:
            some, place = spool.read(place, 5)
            found.extend(one.at_ms for one in some)
            if some:
                spool.acknowledge(place, len(some))
            else:
                spool.wait(place, 0.05)

    reader = threading.Thread(target=read)
    reader.start()
    for first in range(0, 600, 4):
        spool.append(numbered(first, 4))
    reader.join(30)

    assert found == list(range(600))
    assert spool.waiting == 0


def test_a_second_collector_on_one_spool_is_refused_and_an_address_of_a_store_too(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "s"),
        pytest.raises(FeedError, match="another process collects into this spool"),
        locked(tmp_path / "s"),
    ):
        pass
    with locked(tmp_path / "s"):
        pass
    with pytest.raises(FeedError, match="found an address of an object store"), locked("s3a://bucket/spool"):
        pass


def test_places_compare_in_order_and_the_note_is_plain_json(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append(numbered(0, 1))
    some, place = spool.read(spool.acknowledged, 1)
    spool.acknowledge(place, len(some))

    assert json.loads((tmp_path / "s" / "acknowledged.json").read_text()) == place._asdict()
    assert Place(1, 500) < Place(2, 0)
