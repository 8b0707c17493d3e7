"""Bronze to files by date and symbol: every record once, byte for byte, whatever breaks off in between."""

from __future__ import annotations

import gzip
import shutil
import threading
from collections import Counter
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from lakehouse.errors import CheckpointError, TickhouseError
from lakehouse.tables.bronze import MARKET_EVENTS
from streaming import archive as module
from streaming.archive import forget, start_archive
from streaming.archive_lines import UNDECODABLE, unwrapped
from streaming.supervise import run_one_by_one
from tests.delta.played import Played, more_market
from tests.faults import corpus
from tests.faults.harness import forget_last_commit
from tests.faults.market import Record
from tests.faults.pipeline import Crash


@pytest.fixture(scope="module")
def recorded(operated: Played, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A lake whose bronze holds a market and every kind of bad record, archived once. Tests take copies."""
    found = operated.copy(tmp_path_factory.mktemp("recorded"))
    bad = [Record(corpus.ARRIVED_MS, case.payload) for case in corpus.CASES if len(case.payload) < 100_000]
    found.take_in(bad, shard="bad")
    assert archived(found) == bronze_count(found)
    return found


def archived(played: Played) -> int:
    """Run the archive query until it is dry; returns the records it counted."""
    done: list[int] = []
    start = partial(start_archive, played.lake, played.settings, lambda _, records, __: done.append(records))
    run_one_by_one([start], stop=threading.Event(), lost=threading.Event())
    return sum(done)


def bronze_count(played: Played) -> int:
    return played.lake.read(MARKET_EVENTS).count()


def in_bronze(played: Played) -> Counter[bytes]:
    return Counter(bytes(row[0] or b"") for row in played.lake.read(MARKET_EVENTS).select("payload").collect())


def in_archive(played: Played) -> Counter[bytes]:
    found: Counter[bytes] = Counter()
    for path in Path(played.settings.paths.archive).glob("date=*/symbol=*/*.jsonl.gz"):
        for line in gzip.decompress(path.read_bytes()).split(b"\n")[:-1]:
            found[unwrapped(line) if path.parent.name == f"symbol={UNDECODABLE}" else line] += 1
    return found


def files(played: Played) -> dict[str, bytes]:
    root = Path(played.settings.paths.archive)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.gz")}


def test_the_archive_holds_every_record_once_under_its_date_and_symbol(recorded: Played) -> None:
    assert in_archive(recorded) == in_bronze(recorded)

    root = Path(recorded.settings.paths.archive)
    folders = {path.parent.relative_to(root).as_posix() for path in root.rglob("*.gz")}
    assert {"date=2024-11-29/symbol=AAPL", "date=2024-11-29/symbol=MULTI"} <= folders
    assert all(name.split("symbol=")[1].strip("_").replace(".", "").isalpha() for name in folders)
    assert not (root / "_aside").exists()


def test_lines_of_a_file_are_in_order_of_arrival(recorded: Played) -> None:
    rows = recorded.lake.read(MARKET_EVENTS).orderBy("arrived_at", "shard", "sequence").select("payload").collect()
    in_order = [bytes(row[0] or b"") for row in rows]

    paths = Path(recorded.settings.paths.archive).glob("date=*/symbol=MULTI/*.jsonl.gz")
    files_of_lines = [gzip.decompress(path.read_bytes()).split(b"\n")[:-1] for path in paths]

    assert max(map(len, files_of_lines)) > 5
    assert files_of_lines == [[one for one in in_order if one in lines] for lines in files_of_lines]


def test_a_second_run_adds_nothing_and_a_later_one_only_what_is_new(recorded: Played, tmp_path: Path) -> None:
    played = recorded.copy(tmp_path)
    before = files(played)

    assert archived(played) == 0
    assert files(played) == before
    played.take_in(more_market(12, 40), shard="1")
    assert archived(played) == bronze_count(played) - bronze_count(recorded) > 10

    assert in_archive(played) == in_bronze(played)
    assert before.items() <= files(played).items()


@pytest.mark.parametrize("point", ["archive.before_publish", "archive.mid_publish"])
def test_a_run_that_dies_in_a_batch_leaves_no_record_out_and_none_twice(
    recorded: Played, point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = recorded.copy(tmp_path)
    played.take_in(more_market(12, 40), shard="1")

    def crash(name: str) -> None:
        if name == point:
            raise Crash(name)

    with monkeypatch.context() as patched, pytest.raises(TickhouseError, match="Crash"):
        patched.setattr(module, "crashpoint", crash)
        archived(played)

    archived(played)

    assert in_archive(played) == in_bronze(played)


def test_a_batch_whose_commit_entry_is_lost_overwrites_its_own_files(recorded: Played, tmp_path: Path) -> None:
    played = recorded.copy(tmp_path)
    before = files(played)
    forget_last_commit(Path(played.settings.checkpoint("archive_raw")))

    assert archived(played) == bronze_count(played)

    assert files(played) == before


def test_a_lost_checkpoint_is_refused_until_the_archive_is_made_anew(recorded: Played, tmp_path: Path) -> None:
    played = recorded.copy(tmp_path)
    checkpoint = played.settings.checkpoint("archive_raw")
    shutil.rmtree(checkpoint)
    with pytest.raises(CheckpointError, match="lost or foreign.*--rebuild"):
        archived(played)

    forget(played.lake.files, played.settings.paths.archive, checkpoint)
    archived(played)

    assert in_archive(played) == in_bronze(played)


def test_the_replay_feed_reads_the_archive_back_byte_for_byte(recorded: Played) -> None:
    from streaming.feeds.tapes import archive_records

    found = Counter(one.data for one in archive_records(recorded.settings.paths.archive, date.min, date.max))

    assert found == +Counter({payload: count for payload, count in in_bronze(recorded).items() if payload})
