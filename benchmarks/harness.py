"""A row of the table: contenders run side by side in interleaved rounds, outputs compared first, ratios per round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

Answers = dict[str, dict[str, Any]]
Run = Callable[[str, str, dict[str, Any]], dict[str, Any]]  # host, call, arguments -> answer

OURS = "ours"
LONG_ROUND_SECONDS, COUNTED_ROUND_SECONDS = 60.0, 240.0
OK, VOID, FAILED = "OK", "VOID", "FAILED"


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a row: `module:function` in a host. With `once` only its compared run is shown."""

    name: str
    host: str
    call: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    once: bool = False


@dataclass(frozen=True)
class Goal:
    """What a ratio of speeds must reach against one rival, or the best of several.

    A ratio is our events per second over the rival's (per CPU second with `per_cpu`). `floor` and `aim` are such
    ratios; with `at_most` they are multiples of the rival's time that ours may take. Without them it is information.
    """

    rivals: tuple[str, ...]
    floor: float | None = None
    aim: float | None = None
    at_most: bool = False
    per_cpu: bool = False

    @property
    def against(self) -> str:
        """Whom we are measured against, in words."""
        return self.rivals[0] if len(self.rivals) == 1 else f"the better of {' and '.join(self.rivals)}"


@dataclass(frozen=True)
class Row:
    """One row: the work, who does it, what must come out equal, and what the ratios must reach."""

    key: str
    title: str
    contenders: tuple[Contender, ...]
    goals: tuple[Goal, ...]
    compare: Callable[[Answers], list[str]]
    rounds: int = 7
    note: str = ""


@dataclass
class Result:
    """What a row came to. `runs` holds per contender the answers of its rounds, `compared` that of the compared run."""

    key: str
    title: str
    status: str = OK
    detail: list[str] = field(default_factory=list)
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    compared: Answers = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    at: str = ""
    note: str = ""
    load: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Trial:
    """A row measured against limits, not against rivals: it runs itself and says what it came to."""

    key: str
    title: str
    run: Callable[[Run], Result]


def tell(line: str) -> None:
    """A line for whoever waits."""
    print(line, flush=True)


def run_row(row: Row, run: Run, *, most_rounds: int | None = None, say: Callable[[str], None] = tell) -> Result:
    """Run a row: everything once and compared, then the rounds; an error of a contender or a difference ends it."""
    result = begun(row.key, row.title, row.note)
    try:
        for one in row.contenders:
            result.compared[one.name] = _run(one, run, check=True, say=say)
        result.detail = row.compare(result.compared)
    except Exception as error:  # noqa: BLE001 - a row that fails is a result, the other rows still run
        result.status, result.detail = FAILED, [str(error)]
        return result
    if result.detail:
        result.status = VOID
        return result
    try:
        result.runs = _rounds(row, run, most_rounds, say, result.compared)
    except Exception as error:  # noqa: BLE001 - as above
        result.status, result.detail = FAILED, [str(error)]
        return result
    for one in row.contenders:
        if one.once:
            result.runs[one.name] = [result.compared[one.name]]
    result.verdicts = [verdict(goal, result.runs) for goal in row.goals]
    return result


def begun(key: str, title: str, note: str) -> Result:
    """An empty result of now."""
    return Result(key, title, at=datetime.now(UTC).isoformat(timespec="seconds"), note=note)


def limit(what: str, value: float, floor: float, aim: float, unit: str) -> dict[str, Any]:
    """The verdict on a figure that must stay at or under a floor and should reach an aim."""
    if value <= aim:
        word = "aim reached"
    else:
        word = (
            "floor held, aim not reached"
            if value <= floor
            else f"UNDER THE FLOOR: {value:.2f}{unit}, at most {floor:g}{unit}"
        )
    return {"against": what, "floor": floor, "aim": aim, "ratio": value, "unit": unit, "verdict": word}


def _run(one: Contender, run: Run, *, check: bool, say: Callable[[str], None]) -> dict[str, Any]:
    answer = run(one.host, one.call, {**one.arguments, "check": check})
    say(f"    {one.name:<28} {answer['wall']:8.2f} s wall {answer['cpu']:8.2f} s CPU{'  (compared)' if check else ''}")
    return answer


def _rounds(
    row: Row, run: Run, most: int | None, say: Callable[[str], None], compared: Answers
) -> dict[str, list[dict[str, Any]]]:
    """The rounds, every second one in reverse order; three where one takes long.

    Where even starting cold does not matter beside its length, the compared round is the first of them.
    """
    timed = [one for one in row.contenders if not one.once]
    is_counted = _seconds(compared[one.name] for one in timed) > COUNTED_ROUND_SECONDS
    runs = {one.name: [compared[one.name]] if is_counted else [] for one in timed}
    number, wanted = int(is_counted), min(3 if is_counted else row.rounds, most or row.rounds)
    while number < wanted:
        for one in timed if number % 2 == 0 else reversed(timed):
            runs[one.name].append(_run(one, run, check=False, say=say))
        number += 1
        if _seconds(answers[-1] for answers in runs.values()) > LONG_ROUND_SECONDS:
            wanted = min(wanted, 3)
    return runs


def _seconds(answers: Iterable[dict[str, Any]]) -> float:
    return sum(one.get("elapsed", one["wall"]) for one in answers)


def ratios(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], measure: str) -> list[float]:
    """Our speed over theirs, round by round; a rival that ran once is set against every round of ours."""
    theirs = list(theirs) * len(ours) if len(theirs) == 1 else theirs
    return [_speed(mine, measure) / _speed(other, measure) for mine, other in zip(ours, theirs, strict=False)]


def _speed(answer: dict[str, Any], measure: str) -> float:
    return float(answer.get("events", 1)) / max(float(answer[measure]), 1e-9)


def verdict(goal: Goal, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A goal against what was measured. Against several rivals the fastest counts."""
    measure = "cpu" if goal.per_cpu else "wall"
    every = {rival: median(ratios(runs[OURS], runs[rival], measure)) for rival in goal.rivals}
    rival = min(every, key=lambda name: every[name])
    found = {
        "against": goal.against, "measured_against": rival, "per_cpu": goal.per_cpu, "at_most": goal.at_most,
        "floor": goal.floor, "aim": goal.aim, "ratio": every[rival],
        "cpu_ratio": median(ratios(runs[OURS], runs[rival], "cpu")), "rounds": len(runs[OURS]),
        "rival_runs": len(runs[rival]),
    }  # fmt: skip
    return {**found, "verdict": judge(found)}


def judge(found: dict[str, Any]) -> str:
    """The verdict in words. A wall ratio that CPU time does not bear out by half is doubtful: somebody idled."""
    ratio = found["ratio"]
    value, better = (1 / ratio, False) if found["at_most"] else (ratio, True)
    if found["floor"] is None and found["aim"] is None:
        return "for information"
    if not found["at_most"] and not found["per_cpu"] and found["cpu_ratio"] < ratio / 2:
        return f"DOUBTFUL: CPU ratio only {found['cpu_ratio']:.2f}"
    if found["aim"] is not None and (value >= found["aim"] if better else value <= found["aim"]):
        return "aim reached"
    if found["floor"] is None:
        return "aim not reached (no floor)"
    if value >= found["floor"] if better else value <= found["floor"]:
        return "floor held, aim not reached"
    return f"UNDER THE FLOOR: {value:.2f}x, floor {found['floor']:g}x"
