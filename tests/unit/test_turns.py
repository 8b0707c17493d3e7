"""Taking turns: ingest goes on once what it wrote has come to gold.bars, and never waits for what will not come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from streaming.progress import NUMBER, THROUGH
from streaming.turns import Turns

LONG, SHORT = 60.0, 0.05


def refined(number: int, prints: int = 2) -> dict[str, int]:
    return {"decoded": 7 + prints, "undecodable": 1, "quarantined": 3, "duplicates": 5, NUMBER: number}


class Asked(threading.Condition):
    """A condition that tells a test each time somebody begins to wait for it, or has looked and waits on."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = threading.Semaphore(0)

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        def look() -> bool:
            found = predicate()
            self.looks.release()
            return found

        return super().wait_for(look, timeout)


class Waiting(Turns):
    """Turns that can be asked whether somebody has looked and found that it must wait."""

    def __init__(self, longest_seconds: float) -> None:
        super().__init__(longest_seconds)
        self.asked = self._told = Asked()

    def looked(self, times: int = 1) -> None:
        for _ in range(times):
            assert self.asked.looks.acquire(timeout=LONG)


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def ingest_waits(turns: Waiting, aside: ThreadPoolExecutor) -> Future[int]:
    waiting = aside.submit(turns.wait)
    turns.looked()
    return waiting


def test_ingest_waits_for_refine_and_then_until_bars_has_reached_what_refine_wrote(aside: ThreadPoolExecutor) -> None:
    turns = Waiting(LONG)
    waiting = ingest_waits(turns, aside)

    turns.hear("refine", refined(5))
    turns.looked(2)  # refine has written, bars has not
    turns.hear("bars", {THROUGH: 4})
    turns.looked()
    assert not waiting.done()

    turns.hear("bars", {THROUGH: 5})
    assert waiting.result(LONG) >= 0


def test_a_wait_that_was_given_up_does_not_leave_bars_a_batch_behind_for_ever(aside: ThreadPoolExecutor) -> None:
    turns = Waiting(SHORT)
    turns.begin("refine")
    turns.wait()  # refine takes too long, and ingest has gone on
    turns.looked()
    turns._longest = LONG
    waiting = ingest_waits(turns, aside)

    turns.hear("refine", refined(5))
    turns.begin("refine")  # with what ingest has written since
    turns.hear("bars", {THROUGH: 5})
    turns.looked(3)
    assert not waiting.done()
    turns.hear("refine", refined(6))
    turns.looked()
    assert not waiting.done()

    turns.hear("bars", {THROUGH: 6})
    assert waiting.result(LONG) >= 0


def test_ingest_does_not_wait_for_bars_where_no_print_is_new(aside: ThreadPoolExecutor) -> None:
    turns = Waiting(LONG)
    waiting = ingest_waits(turns, aside)

    turns.hear("refine", refined(5, prints=0))

    assert waiting.result(LONG) < LONG * 1000


def test_a_wait_that_leads_to_nothing_is_given_up_and_its_length_told() -> None:
    turns = Waiting(SHORT)

    waited = turns.wait()

    assert waited >= SHORT * 1000
