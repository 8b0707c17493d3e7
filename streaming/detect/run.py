"""The life of `detect`: what is planned next, until it is told to stop or everything that is there has been seen.

It follows three things at once: batches of silver.trades, versions of gold.bars, and the clock. No source of Spark's
pins them together, so steps are numbered, planned and recorded here (DECISIONS 40).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from lakehouse.alert_ledger import merge_alerts
from lakehouse.alerts.engine import Engine
from lakehouse.alerts.lifecycle import Alert
from lakehouse.clock import Clock, to_ms
from lakehouse.errors import LeaseError, TickhouseError
from lakehouse.settings import DetectSettings
from streaming.detect.memory import LONG_AGO, Memory, Step, Steps
from streaming.detect.source import Reach, has_version, reach_of, waiting
from streaming.detect.step import Work, closed_ms, run_step
from streaming.detect.touched import over
from streaming.detect.watch import Interrupted

LOGGER = logging.getLogger("tickhouse.detect")
DAY_MS = 86_400_000
Report = Callable[[Step, dict[str, int], int], None]
Told = Callable[[], Iterable[Alert]]


@dataclass
class Detector:
    """Steps over one lake and checkpoint. `told` gives the alerts that others, such as the fast lane, have told of."""

    work: Work
    steps: Steps
    settings: DetectSettings
    clock: Clock
    report: Report
    told: Told
    stop: threading.Event
    lost: threading.Event
    memory: Memory = field(init=False)
    _quiet_since_ms: int = field(init=False)
    _folded_ms: int = field(default=LONG_AGO, init=False)
    _seen_all_of: int | None = field(default=None, init=False)
    _engine: tuple[int, Engine] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.memory = self.steps.memory()
        self._quiet_since_ms = self._now_ms()

    def run(self) -> None:
        """Follow the stream until told to stop."""
        with suppress(Interrupted):  # the step it broke off is done again by the next start
            self._follow()

    def _follow(self) -> None:
        self.resume()
        while not self.stop.is_set():
            self._require_lease()
            step = self.next_step() or self.idle_step()
            if step:
                self.do(step)
            elif not self.stop.wait(self.settings.poll_seconds):
                self._fold_now_and_then()

    def drain(self, *, keep_open: bool) -> None:
        """See everything that is there. At its end the newest date is over, if the wall clock says so too.

        With `keep_open` bars that no later print has closed stay open: more of that session is to come.
        """
        self.resume()
        while not self.stop.is_set() and (step := self.next_step()):
            self._require_lease()
            self.do(step)
        closing = None if keep_open or self.stop.is_set() else self.closing_step()
        if closing:
            self.do(closing)
        self.fold_told()

    def resume(self) -> None:
        """Do again what a process before this one had planned and did not finish."""
        step = self.steps.begun()
        if step:
            self.do(step)

    def do(self, step: Step) -> None:
        """One step, and a word on it."""
        began = self._now_ms()
        if step.through > self.memory.through:
            self._quiet_since_ms = began
        engine = self._engine_of(step)
        self.memory, counts = run_step(self.work, self.steps, step, self.memory, engine, self.stop)
        self.report(step, counts, self._now_ms() - began)

    def next_step(self) -> Step | None:
        """What has come since the last step; None where nothing has."""
        if self._seen_all_of is not None and not has_version(self.work.lake, self._seen_all_of + 1):
            return None
        reach = reach_of(self.work.lake)
        found = waiting(self.work.lake, self.memory, reach, prints_at_most=self.settings.prints_per_step)
        self._seen_all_of = reach.version if found is None else None
        if found is None:
            return None
        newest = max(found.newest_ms, self.memory.newest_ms)
        horizon = max(newest - round(self.settings.settle_seconds * 1000), self.memory.horizon_ms)
        return self._step(reach, found.through, newest, horizon)

    def idle_step(self) -> Step | None:
        """When nothing comes any more the clock runs on by itself, so that nobody waits for the next trade."""
        allowance = round(self.settings.idle_seconds * 1000)
        ran_on = self._now_ms() - self._quiet_since_ms - allowance
        if self.memory.newest_ms == LONG_AGO or ran_on <= 0:
            return None
        return self._later(self.memory.newest_ms + ran_on)

    def closing_step(self) -> Step | None:
        """The newest exchange date is over, as far as the wall clock agrees."""
        sessions = self.work.judgement.sessions
        begun = sessions.opens_ms <= self.memory.newest_ms
        if not begun.any():
            return None
        ends = int(sessions.closes_ms[sessions.session_day == sessions.session_day[begun].max()].max())
        return self._later(min(max(ends, self.memory.newest_ms) + self.work.grace_ms + 2, self._now_ms()))

    def _later(self, horizon_ms: int) -> Step | None:
        """A step that brings no prints, only a later hour; None where nothing waits for it."""
        memory = self.memory
        if horizon_ms <= memory.horizon_ms:
            return None
        holds_trades = memory.read_from <= memory.through
        if not (over(memory.touched, closed_ms(self.work, horizon_ms)) or holds_trades or memory.days):
            return None
        reach = reach_of(self.work.lake)
        step = self._step(reach, memory.through, memory.newest_ms, horizon_ms)
        return replace(step, judges=True)

    def _engine_of(self, step: Step) -> Engine:
        """The engine of rules, made anew each day: splits take effect, and what it remembers is put back."""
        day = step.horizon_ms // DAY_MS
        if self._engine is None or self._engine[0] != day:
            self._engine = day, self.work.watch.engine(self.work.lake, self.memory.engine)
        return self._engine[1]

    def _step(self, reach: Reach, through: int, newest_ms: int, horizon_ms: int) -> Step:
        every = round(self.settings.anomaly_seconds * 1000)
        return Step(
            number=self.steps.last + 1,
            after=self.memory.through,
            through=through,
            bars_version=reach.version,
            newest_ms=newest_ms,
            horizon_ms=horizon_ms,
            now_ms=self._now_ms(),
            judges=horizon_ms // every != self.memory.judged_ms // every,
        )

    def fold_told(self) -> int:
        """Bring alerts that others put into the outbox into gold.alerts; those that are there stay as they are."""
        self._folded_ms = self._now_ms()
        try:
            alerts = list(self.told())
        except TickhouseError as error:
            LOGGER.warning("alerts that others told of are folded later: %s", error)
            return 0
        if alerts:
            merge_alerts(self.work.lake, alerts, ())
        return len(alerts)

    def _fold_now_and_then(self) -> None:
        if self._now_ms() - self._folded_ms >= self.settings.fold_seconds * 1000:
            self.fold_told()

    def _now_ms(self) -> int:
        return to_ms(self.clock())

    def _require_lease(self) -> None:
        if self.lost.is_set():
            raise LeaseError(
                "The lease on the tables of 'detect' was taken by another process, or could not be renewed in time. "
                "This one has stopped; its last step is done or will be done again by the next start. `_leases/` in "
                "the warehouse names the holder."
            )
