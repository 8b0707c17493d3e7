"""When `detect` takes a step: for new prints, when the clock has run on, at the end of a drain; never for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lakehouse.alerts.lifecycle import Alert
from lakehouse.errors import LeaseError, TickhouseError
from lakehouse.reference.calendar import SessionArrays
from lakehouse.settings import DetectSettings
from streaming.detect import run
from streaming.detect.memory import NOTHING, Memory, Step
from streaming.detect.run import Detector
from streaming.detect.source import Reach, Waiting
from streaming.detect.touched import TouchedBar
from streaming.detect.watch import Interrupted, hand_over
from tests.alert_doubles import SetClock, an_alert

DAY_MS, GRACE_MS = 86_400_000, 10_000
DAY = 19_800
OPENS = DAY * DAY_MS + 50_000_000
CLOSES = OPENS + 3_600_000
SESSIONS = SessionArrays(np.array([DAY]), np.ones(1, np.int8), np.array([OPENS]), np.array([CLOSES]))
MEMORY = Memory(
    through=4, read_from=5, newest_ms=OPENS + 50_000, horizon_ms=OPENS + 48_000, judged_ms=OPENS + 48_000,
    touched=frozenset([TouchedBar("1m", "I-A", DAY, OPENS, OPENS + 60_000)]),
)  # fmt: skip


@dataclass
class FakeSteps:
    """Steps that are done by writing them down."""

    known: Memory = MEMORY
    planned: Step | None = None
    last: int = 7
    done: list[Step] = field(default_factory=list)

    def memory(self) -> Memory:
        return self.known

    def begun(self) -> Step | None:
        return self.planned


@dataclass
class World:
    """A detector over nothing, a clock, and what is waiting for it."""

    clock: SetClock
    steps: FakeSteps
    waiting: list[Waiting] = field(default_factory=list)
    told: Callable[[], list[Alert]] = list

    def __post_init__(self) -> None:
        self.clock.now = datetime.fromtimestamp((OPENS + 60_000) / 1000, UTC)
        work: Any = SimpleNamespace(
            lake=None, grace_ms=GRACE_MS, judgement=SimpleNamespace(sessions=SESSIONS),
            watch=SimpleNamespace(engine=lambda *_: None),
        )  # fmt: skip
        steps: Any = self.steps
        self.lost, self.stop = threading.Event(), threading.Event()
        self.detector = Detector(
            work, steps, DetectSettings(), self.clock, lambda *_: None, lambda: self.told(), self.stop, self.lost
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(SetClock(), FakeSteps())

    def do(_: Any, steps: FakeSteps, step: Step, memory: Memory, *__: Any) -> tuple[Memory, dict[str, int]]:
        steps.done.append(step)
        steps.last = step.number
        after = replace(memory, through=step.through, newest_ms=step.newest_ms, horizon_ms=step.horizon_ms)
        return replace(after, touched=frozenset()), {}

    monkeypatch.setattr(run, "run_step", do)
    monkeypatch.setattr(run, "has_version", lambda *_: True)
    monkeypatch.setattr(run, "reach_of", lambda _: Reach(33, 9, None))
    monkeypatch.setattr(run, "waiting", lambda *_, **__: made.waiting.pop(0) if made.waiting else None)
    return made


def test_new_prints_make_a_step_whose_horizon_lies_behind_the_newest(world: World) -> None:
    world.waiting = [Waiting(9, OPENS + 70_000)]

    step = world.detector.next_step()

    assert step is not None
    assert (step.number, step.after, step.through, step.bars_version) == (8, 4, 9, 33)
    assert (step.newest_ms, step.horizon_ms, step.judges) == (OPENS + 70_000, OPENS + 68_000, True)
    assert world.detector.next_step() is None


def test_the_horizon_never_goes_back(world: World) -> None:
    world.waiting = [Waiting(9, OPENS)]

    step = world.detector.next_step()

    assert step is not None and (step.newest_ms, step.horizon_ms) == (MEMORY.newest_ms, MEMORY.horizon_ms)


def test_where_nothing_comes_any_more_the_clock_runs_on_until_the_last_bar_is_over(world: World) -> None:
    steps = []
    for _ in range(120):
        world.clock.go(1)
        step = world.detector.idle_step()
        if step:
            steps.append((step, world.clock()))
            world.detector.do(step)

    ((step, at),) = steps
    assert step.horizon_ms == OPENS + 60_000 + GRACE_MS + 1000
    assert (at - datetime.fromtimestamp((OPENS + 60_000) / 1000, UTC)).total_seconds() == 60 + 21
    assert step.judges and step.through == MEMORY.through


def test_a_drain_closes_the_newest_date_as_far_as_the_wall_clock_agrees(world: World) -> None:
    world.clock.go(5)
    world.detector.drain(keep_open=True)
    assert world.steps.done == []
    world.detector.drain(keep_open=False)
    assert world.steps.done == []  # its bar ends in five seconds, by the wall's clock

    world.clock.go(86_400)
    world.detector.drain(keep_open=False)
    assert [step.horizon_ms for step in world.steps.done] == [CLOSES + GRACE_MS + 2]


def test_before_the_first_print_there_is_nothing_to_close(world: World) -> None:
    world.detector.memory = Memory()
    world.clock.go(86_400)

    assert world.detector.closing_step() is None
    assert world.detector.idle_step() is None
    assert world.detector.memory.through == NOTHING


def test_a_step_that_broke_off_is_done_first_exactly_as_it_was_planned(world: World) -> None:
    world.steps.planned = Step(8, 4, 6, 20, OPENS + 1, OPENS, 77, judges=False)
    world.waiting = [Waiting(9, OPENS + 70_000)]

    world.detector.drain(keep_open=True)

    assert world.steps.done[0] == world.steps.planned
    assert [(step.after, step.through) for step in world.steps.done] == [(4, 6), (6, 9)]


def test_a_lost_lease_ends_it_before_the_next_step(world: World) -> None:
    world.waiting = [Waiting(9, OPENS + 70_000)]
    world.lost.set()

    with pytest.raises(LeaseError, match="'detect' was taken by another process"):
        world.detector.drain(keep_open=True)
    assert world.steps.done == []


def test_an_outbox_that_is_away_when_others_alerts_are_folded_does_not_end_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> list[Alert]:
        raise TickhouseError("no outbox")

    world.told = away

    world.detector.drain(keep_open=True)

    assert "folded later: no outbox" in caplog.text


def test_an_alert_waits_for_the_outbox_and_is_left_to_the_next_start_where_that_is_too_long() -> None:
    answers: list[bool | None] = [None, True]
    stop = threading.Event()

    def publish(_: Alert) -> bool:
        answer = answers.pop(0)
        if answer is None:
            raise TickhouseError("away")
        return answer

    assert hand_over([an_alert(1)], publish, stop) == 1

    answers, _ = [None], stop.set()
    with pytest.raises(Interrupted, match="the next start hands it over"):
        hand_over([an_alert(1)], publish, stop)
