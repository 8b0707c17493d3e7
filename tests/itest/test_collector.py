"""The collector as a process: killed at random it loses nothing it had received without saying so; it stops cleanly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streaming.feeds.spool_files import segment_numbers, segment_path
from streaming.feeds.spool_frames import decode_frames
from tests.faults.harness import fault
from tests.finnhub_double import Refusal, Visit, WebsocketDouble, websocket_double

pytestmark = pytest.mark.itest
ROOT = Path(__file__).resolve().parents[2]
KEY = "canary-k3y-of-the-process"
KILLS = 6
CLOCK_MS = 50  # what may pass between the server's stamp and the collector's, on a loaded machine


class Market:
    """Sends a print every few milliseconds, whose `t` is when it was sent and whose size is its number."""

    def __init__(self) -> None:
        self.sent: dict[int, int] = {}  # by size, when

    async def serve(self, connection: Any, visit: Visit) -> None:
        while not visit.asked:
            await asyncio.sleep(0.005)
        while True:
            size, now = len(self.sent) + 1, int(time.time() * 1000)
            one = {"s": "AAPL", "p": 10.5, "t": now, "v": size, "c": None}
            await connection.send(json.dumps({"data": [one], "type": "trade"}))
            self.sent[size] = now
            await asyncio.sleep(0.004)


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    (tmp_path / "watchlist.yaml").write_text(
        "version: 1\ninstruments:\n  - {ticker: AAPL, name: Apple, exchange: XNYS, valid_from: 1998-01-02}\n"
    )
    return tmp_path


def start(ground: Path, address: str, **environ: str) -> subprocess.Popen[str]:
    given = {
        "paths.landing": ground / "landing", "feeds.spool.folder": ground / "spool",
        "feeds.finnhub.websocket": address, "feeds.finnhub.retry_seconds": 0.05,
        "reference.watchlist": ground / "watchlist.yaml",
    }  # fmt: skip
    command = [sys.executable, "-m", "jobs", "collect-trades", "--json", *(f"--set={k}={v}" for k, v in given.items())]
    environment = {**os.environ, "TICKHOUSE__FEEDS__FINNHUB__TOKEN": KEY, **environ}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def killed(process: subprocess.Popen[str], double: WebsocketDouble, visits: int, seconds: float) -> int:
    """Kill a collector some time after it connected, unless it meets its crash point before; its exit code."""
    wait_for(lambda: len(double.visits) > visits or process.poll() is not None)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    return process.returncode


def wait_for(enough: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not enough():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def landed(ground: Path) -> list[dict[str, Any]]:
    """Every message that reached the stream, in the order of its files."""
    files = sorted((ground / "landing").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]


def prints_of(messages: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Prints by id; a second copy must be the same print."""
    found: dict[str, dict[str, Any]] = {}
    for message in messages:
        for one in message["data"] if message["type"] == "trade" else ():
            assert found.setdefault(one["id"], one) == one
    return found


def spooled(ground: Path) -> dict[str, dict[str, Any]]:
    """What lies in the spool of a collector that was killed."""
    folder = ground / "spool" / "finnhub"
    if not folder.is_dir():
        return {}
    texts = [segment_path(folder, number).read_bytes() for number in segment_numbers(folder)]
    return prints_of([json.loads(record.data) for text in texts for record, _ in decode_frames(text)])


def test_kills_at_random_lose_nothing_that_was_on_disk_and_every_print_that_is_missing_lies_in_a_noted_gap(
    ground: Path,
) -> None:
    market = Market()
    known: dict[str, dict[str, Any]] = {}
    with fault("collector.kill", 20261128) as dice, websocket_double(market.serve) as double:
        for number in range(KILLS):
            places = (f"spool.after_write:{dice.randint(3, 30)}", f"spool.after_put:{dice.randint(1, 9)}")
            point = dice.choice(["", "", *places])
            process = start(ground, double.address, TICKHOUSE_CRASHPOINT=point)
            assert killed(process, double, number, dice.uniform(0.1, 2.5) if not point else 20) == -signal.SIGKILL
            known |= spooled(ground)
        process = start(ground, double.address)
        wait_for(lambda: len(double.visits) > KILLS and len(spooled(ground)) > 20)
        time.sleep(1.5)
        process.terminate()
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err

    messages = landed(ground)
    found = prints_of(messages)
    assert known.items() <= found.items(), "what was on disk arrived"
    by_run: dict[str, set[int]] = {}
    for one in found:
        run, number_text = one.rsplit("-AAPL-", 1)
        by_run.setdefault(run, set()).add(int(number_text))
    assert all(numbers == set(range(len(numbers))) for numbers in by_run.values()), "no hole in any run"
    gaps = [(frame["from"], frame["until"]) for frame in messages if frame.get("event") == "gap"]
    seen = {one["v"] for one in found.values()}
    last = max(one["t"] for one in found.values())
    lost = [at for size, at in market.sent.items() if size not in seen and at < last]
    unexplained = [at for at in lost if not any(first - CLOCK_MS <= at <= until + CLOCK_MS for first, until in gaps)]
    assert len(by_run) >= 2
    assert len(found) > 100
    assert unexplained == []
    assert json.loads(out)["waiting_records"] == 0
    assert "canary" not in out + err


def test_a_refused_key_ends_the_process_with_one_clear_line_and_exit_code_1(ground: Path) -> None:
    with websocket_double(Refusal(401, b'{"error":"Invalid API key"}')) as double:
        process = start(ground, double.address)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "expected that the key is accepted, found 401" in err
    assert "Traceback" not in err
    assert "canary" not in out + err
    assert len(double.visits) == 1


def test_without_a_key_nothing_is_tried_and_a_second_collector_on_the_spool_is_refused(ground: Path) -> None:
    market = Market()
    with websocket_double(market.serve) as double:
        none = start(ground, double.address, TICKHOUSE__FEEDS__FINNHUB__TOKEN="")
        assert "expected Finnhub's key, found none" in none.communicate(timeout=60)[1]
        assert none.returncode == 1
        assert double.visits == []
        first = start(ground, double.address)
        wait_for(lambda: bool(market.sent))
        second = start(ground, double.address)
        assert "another process collects into this spool" in second.communicate(timeout=60)[1]
        first.terminate()
        first.communicate(timeout=30)
        assert (first.returncode, second.returncode) == (0, 1)
