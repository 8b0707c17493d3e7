"""One step of `detect`, from its plan to its last commit; done again it changes nothing and tells nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event

import pyarrow as pa

from lakehouse.alerts import observations as seen
from lakehouse.alerts.engine import Engine
from lakehouse.alerts.memory import remembered
from lakehouse.crashpoints import crashpoint
from lakehouse.lake import Lake
from streaming.batches import BatchName
from streaming.detect.flags import Judgement, in_order, update_flags
from streaming.detect.memory import LONG_AGO, Memory, Step, Steps
from streaming.detect.series import Parameters, update_series
from streaming.detect.source import due_trades, new_prints, read_prints, unseen_from
from streaming.detect.touched import TouchedBar, over, touched_bars
from streaming.detect.watch import Watch, due_bars, due_indicators, hand_over, rows_of_others, told_by_rules

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Work:
    """What every step needs: the lake, the parameters of what it computes, the rules, and the bars' grace."""

    lake: Lake
    parameters: Parameters
    judgement: Judgement
    watch: Watch
    grace_ms: int
    generation: int


@dataclass(frozen=True)
class Seen:
    """What a step has found for rules to look at."""

    prints: pa.Table
    due: set[TouchedBar]
    indicators: pa.Table
    flags: tuple[seen.Flag, ...]


def run_step(
    work: Work, steps: Steps, step: Step, memory: Memory, engine: Engine, stop: Event
) -> tuple[Memory, dict[str, int]]:
    """Do one step; returns what is known after it and what it did, counted."""
    steps.begin(step)
    crashpoint("detect.after_plan")
    prints = read_prints(work.lake, step, memory)
    new = new_prints(prints, step)
    touched = memory.touched | touched_bars(new, work.judgement.sessions)
    due = over(touched, closed_ms(work, step.horizon_ms))
    days = memory.days | {bar.day for bar in due}
    found = Seen(prints, due, _series(work, step, memory, due), _flags(work, step, days))
    alerts = told_by_rules(work.lake, engine, rows_in_order(work, step, memory, found, engine))
    told = hand_over(work.watch.news(alerts, step.now_ms), work.watch.publish, stop)
    after = Memory(
        through=step.through,
        read_from=unseen_from(prints, step) if prints.num_rows else step.through + 1,
        newest_ms=step.newest_ms,
        horizon_ms=step.horizon_ms,
        judged_ms=step.horizon_ms if step.judges else memory.judged_ms,
        touched=frozenset(touched - due),
        days=frozenset() if step.judges else frozenset(days),
        engine=remembered(engine),
    )
    steps.remember(step, after)
    crashpoint("detect.after_memory")
    steps.finish(step)
    counts = {
        "prints": new.num_rows,
        "bars": len(due),
        "indicators": found.indicators.num_rows,
        "open": len(after.touched),
    }
    return after, {**counts, "flags": len(found.flags), "alerts": len(alerts), "told": told}


def closed_ms(work: Work, horizon_ms: int) -> int:
    """The last end of bars whose grace is over before an instant."""
    return horizon_ms - work.grace_ms - 1 if horizon_ms > LONG_AGO else LONG_AGO


def _name(work: Work, step: Step) -> BatchName:
    return BatchName("detect", work.generation, step.number)


def _series(work: Work, step: Step, memory: Memory, due: set[TouchedBar]) -> pa.Table:
    return update_series(
        work.lake,
        work.parameters,
        due,
        _name(work, step),
        bars_version=step.bars_version,
        closed_ms=closed_ms(work, step.horizon_ms),
        closed_before_ms=closed_ms(work, memory.horizon_ms),
        now=datetime.fromtimestamp(step.now_ms / 1000, UTC),
    )


def _flags(work: Work, step: Step, days: set[int] | frozenset[int]) -> tuple[seen.Flag, ...]:
    if not step.judges or not days:
        return ()
    until = closed_ms(work, step.horizon_ms)
    found = update_flags(
        work.lake, work.judgement, days, _name(work, step), bars_version=step.bars_version, closed_ms=until
    )
    return tuple(found)


def rows_in_order(work: Work, step: Step, memory: Memory, found: Seen, engine: Engine) -> Iterator[seen.Row]:
    """Everything that has become known since the step before, each kind in the order in which it did.

    A rule reads rows of one kind, so the kinds may follow one another. Where a kind's rows lie on the clock of the data
    is what they are ordered and chosen by: not how many prints a step happens to take in.
    """
    before, until = closed_ms(work, memory.horizon_ms), closed_ms(work, step.horizon_ms)
    if seen.Trade in engine.reads:
        yield from due_trades(found.prints, step, memory)
    if seen.Bar in engine.reads and found.due:
        since = max(before, min(bar.start_ms for bar in found.due))  # history from before the first print is no news
        yield from due_bars(work.lake, step.bars_version, work.watch, after_ms=since, until_ms=until)
    if seen.Indicators in engine.reads:
        yield from due_indicators(found.indicators, after_ms=before, until_ms=until)
    if seen.Flag in engine.reads:
        judged = closed_ms(work, memory.judged_ms)
        yield from in_order(found.flags, after_ms=judged, until_ms=until)
    if memory.horizon_ms // MINUTE_MS != step.horizon_ms // MINUTE_MS:
        yield from rows_of_others(work.lake, engine, step.horizon_ms)
