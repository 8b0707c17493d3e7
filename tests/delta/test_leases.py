"""One process at a time writes the tables of one owner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.clock import fixed_clock, system_clock
from lakehouse.errors import LeaseError
from lakehouse.files import Files
from lakehouse.lake import Lake
from lakehouse.leases import lease

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CLOCK = fixed_clock(NOON)


def path_of(lake: Lake) -> str:
    return f"{lake.root}/_leases/stream.json"


def test_a_second_runner_is_refused_while_the_first_lives_and_free_afterwards(lake: Lake) -> None:
    with lease(lake.files, lake.root, "stream", purpose="the first", seconds=30, clock=CLOCK):
        with (
            pytest.raises(LeaseError, match=r"being written by the first .*Nothing was started"),
            lease(lake.files, lake.root, "stream", purpose="the second", seconds=30, clock=CLOCK),
        ):
            pytest.fail("two runners hold one lease")
        with lease(lake.files, lake.root, "load_reference", purpose="another owner", seconds=30, clock=CLOCK):
            assert lake.files.exists(path_of(lake))

    assert not lake.files.exists(path_of(lake))


def test_the_lease_of_a_killed_process_of_this_host_is_taken_at_once(lake: Lake) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    write_holder(lake, pid=ended.pid, started="1", until=NOON + timedelta(hours=1))

    with lease(lake.files, lake.root, "stream", purpose="the heir", seconds=30, clock=CLOCK):
        holder = json.loads(lake.files.read_text(path_of(lake)))

    assert (holder["pid"], holder["purpose"]) == (os.getpid(), "the heir")


def test_a_lease_of_another_host_is_respected_until_its_time_is_up(lake: Lake) -> None:
    write_holder(lake, host="elsewhere", until=NOON + timedelta(seconds=1))

    with (
        pytest.raises(LeaseError, match="elsewhere"),
        lease(lake.files, lake.root, "stream", purpose="too early", seconds=30, clock=CLOCK),
    ):
        pytest.fail("a living lease was taken")
    later = fixed_clock(NOON + timedelta(seconds=2))
    with lease(lake.files, lake.root, "stream", purpose="in time", seconds=30, clock=later):
        holder = json.loads(lake.files.read_text(path_of(lake)))

    assert holder["purpose"] == "in time"


def test_a_holder_hears_that_its_lease_was_taken_and_leaves_the_new_one_alone(lake: Lake) -> None:
    with lease(lake.files, lake.root, "stream", purpose="the first", seconds=0.3, clock=CLOCK) as lost:
        write_holder(lake, host="elsewhere", until=NOON + timedelta(hours=1))
        assert lost.wait(timeout=10)

    assert json.loads(lake.files.read_text(path_of(lake)))["host"] == "elsewhere"


def test_a_damaged_lease_file_is_named_with_the_way_out(lake: Lake) -> None:
    lake.files.write_text(path_of(lake), "{")

    with (
        pytest.raises(LeaseError, match=r"stream\.json: .*cannot be read.*delete the file"),
        lease(lake.files, lake.root, "stream", purpose="anyone", seconds=30, clock=CLOCK),
    ):
        pytest.fail("a damaged lease was taken")


class Failing(Files):
    """A file system whose disk is full or whose store answers 503, for so many writes."""

    failures = 0

    def write_text(self, path: str, text: str, *, overwrite: bool = True) -> None:
        if Failing.failures > 0:
            Failing.failures -= 1
            super().write_text(path, "", overwrite=overwrite)
            raise OSError("No space left on device")
        super().write_text(path, text, overwrite=overwrite)


def test_a_lease_that_cannot_be_written_is_refused_with_the_reason_and_free_once_there_is_room(lake: Lake) -> None:
    files, Failing.failures = Failing(lake.spark), 1

    with (
        pytest.raises(LeaseError, match=r"could not be written \(No space left on device\)\. Nothing was started"),
        lease(files, lake.root, "stream", purpose="too full", seconds=30, clock=CLOCK),
    ):
        pytest.fail("a lease was held that is not written")

    with lease(files, lake.root, "stream", purpose="again", seconds=30, clock=CLOCK):
        assert json.loads(files.read_text(path_of(lake)))["purpose"] == "again"


def test_a_renewal_that_fails_is_tried_again_and_a_lease_that_ran_out_is_given_up(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    files = Failing(lake.spark)
    with lease(files, lake.root, "stream", purpose="a", seconds=1.5, clock=system_clock) as lost:
        Failing.failures = 1
        assert not lost.wait(timeout=2.2)
        assert json.loads(files.read_text(path_of(lake)))["until"] > system_clock().isoformat()
        Failing.failures = 1000
        assert lost.wait(timeout=10)
    Failing.failures = 0

    assert "not renewed (No space left on device)" in caplog.text


def write_holder(lake: Lake, *, until: datetime, host: str | None = None, pid: int = 1, started: str = "1") -> None:
    import socket

    holder = {"token": "x", "host": host or socket.gethostname(), "pid": pid, "started": started}
    text = json.dumps({**holder, "purpose": "someone", "until": until.isoformat()})
    lake.files.replace_text(path_of(lake), text)


def test_a_file_that_is_replaced_is_read_whole_all_the_while(lake: Lake, tmp_path: Path) -> None:
    files, path, done = lake.files, f"{tmp_path}/lease.json", threading.Event()
    files.replace_text(path, "0" * 600)

    def replace_on_and_on() -> None:
        for number in range(150):
            files.replace_text(path, str(number % 10) * 600)
        done.set()

    writer = threading.Thread(target=replace_on_and_on)
    writer.start()
    read = []
    while not done.is_set():
        read.append(files.read_text(path))
    writer.join()

    assert len(read) > 10
    assert {(len(text), len(set(text))) for text in read} == {(600, 1)}
