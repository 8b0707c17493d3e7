"""The checkpoint of `detect`: what each step is going to do, what was known after it, and that it is done.

A step is planned in a file before anything is written, so a step that broke off is done again exactly so: from the same
prints, the same version of gold.bars and the same instant. The folders are named as in Spark's checkpoints, and read by
the same code (`streaming.identity`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from lakehouse.errors import CheckpointError
from lakehouse.files import Files
from streaming.detect.touched import TouchedBar

PLANNED, KNOWN, DONE = "offsets", "memory", "commits"
FIRST_LINE = "v1"
NOTHING, LONG_AGO = -1, -(1 << 62)
KEPT = 20


@dataclass(frozen=True)
class Step:
    """What one step takes in: silver's batches behind `after` up to `through`, as gold.bars has them at a version.

    What was received before `horizon_ms` is complete. `judges` says whether anomalies are judged up to there.
    """

    number: int
    after: int
    through: int
    bars_version: int
    newest_ms: int
    horizon_ms: int
    now_ms: int
    judges: bool


@dataclass(frozen=True)
class Memory:
    """What is known between steps.

    `read_from` is the first batch that holds trades no rule has seen, `judged_ms` the horizon anomalies were judged up
    to, `touched` the bars that are not over yet, `days` the dates whose anomalies are to be judged anew, and `engine`
    what alert rules remember.
    """

    through: int = NOTHING
    read_from: int = 0
    newest_ms: int = LONG_AGO
    horizon_ms: int = LONG_AGO
    judged_ms: int = LONG_AGO
    touched: frozenset[TouchedBar] = frozenset()
    days: frozenset[int] = frozenset()
    engine: str = ""

    def to_text(self) -> str:
        """As one line of JSON."""
        return json.dumps({**asdict(self), "touched": sorted(self.touched), "days": sorted(self.days)})

    @classmethod
    def from_text(cls, text: str) -> Memory:
        """What `to_text` wrote."""
        said: dict[str, Any] = json.loads(text)
        touched = frozenset(TouchedBar(*one) for one in said["touched"])
        return cls(**{**said, "touched": touched, "days": frozenset(said["days"])})


@dataclass
class Steps:
    """The steps of one checkpoint folder, by their numbers from 0."""

    files: Files
    checkpoint: str
    last: int = field(init=False)

    def __post_init__(self) -> None:
        self.last = max(self._numbers(DONE), default=NOTHING)

    def memory(self) -> Memory:
        """What was known after the last step that is done."""
        return Memory() if self.last == NOTHING else Memory.from_text(self._read(KNOWN, self.last))

    def begun(self) -> Step | None:
        """The step that was planned and not finished."""
        number = self.last + 1
        return Step(**json.loads(self._read(PLANNED, number))) if number in self._numbers(PLANNED) else None

    def begin(self, step: Step) -> None:
        """Settle what a step is going to do."""
        self._write(PLANNED, step.number, json.dumps(asdict(step)))

    def remember(self, step: Step, memory: Memory) -> None:
        """Keep what is known after a step."""
        self._write(KNOWN, step.number, memory.to_text())

    def finish(self, step: Step) -> None:
        """A step is done; what only steps long before needed is let go."""
        self._write(DONE, step.number, json.dumps({"through": step.through}))
        self.last = step.number
        for folder in (PLANNED, KNOWN, DONE):
            if step.number % KEPT == 0:
                for old in self._numbers(folder):
                    if old < step.number - KEPT:
                        self.files.delete(self._path(folder, old))

    def _numbers(self, folder: str) -> set[int]:
        return {int(name) for name in self.files.names(f"{self.checkpoint}/{folder}") if name.isdigit()}

    def _path(self, folder: str, number: int) -> str:
        return f"{self.checkpoint}/{folder}/{number}"

    def _write(self, folder: str, number: int, text: str) -> None:
        self.files.replace_text(self._path(folder, number), f"{FIRST_LINE}\n{text}\n")

    def _read(self, folder: str, number: int) -> str:
        path = self._path(folder, number)
        if self.files.exists(path):
            first, _, text = self.files.read_text(path).partition("\n")
            if first == FIRST_LINE and text.endswith("}\n"):
                return text
        raise CheckpointError(
            f"{path}: this file of the checkpoint of 'detect' is missing or damaged. Nothing was read or written. "
            f"Restore it from a backup; or move the folder {self.checkpoint} away and start with --allow-replay, which "
            f"judges everything again and tells no alert twice."
        )
