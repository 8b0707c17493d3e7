"""A log of JSON objects, one a line: `stream.jsonl` in the log folder tells of each batch. It never fails the stream.

Every line carries the run it belongs to and its number within the run, counted from 1. Whoever reads the lines can so
tell what he has seen, however files are rotated, copied or renamed. Where the log folder is on S3 the lines are written
to a local folder first and the files copied: after a rotation, once a minute, and at the end.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from py4j.protocol import Py4JError  # type: ignore[import-untyped]  # it ships no types

from lakehouse.clock import Clock
from lakehouse.files import Files, on_disk

LOGGER = logging.getLogger("tickhouse.batch_log")
ROTATE_AT_BYTES = 16 * 1024 * 1024
ROTATED_KEPT = 20
COPY_EVERY = timedelta(seconds=60)


def local_folder(folder: str, run: str) -> Path:
    """Where lines are written first: the folder itself where it is local, else one of the run's own."""
    return on_disk(folder) or Path(tempfile.gettempdir()) / f"tickhouse-{run}"


def is_remote(folder: str) -> bool:
    """Whether a log folder lies on another file system than the local one."""
    return on_disk(folder) is None


class BatchLog:
    """Appends lines, rotates by size, copies to a remote folder. A failure is logged once until writing works again."""

    def __init__(
        self,
        files: Files,
        folder: str,
        run: str,
        clock: Clock,
        *,
        name: str = "stream",
        rotate_at_bytes: int = ROTATE_AT_BYTES,
    ) -> None:
        self._files, self._clock, self._run, self._name = files, clock, run, name
        self._local = local_folder(folder, run)
        self._active = self._local / f"{name}.jsonl"
        self._remote = folder.rstrip("/") if is_remote(folder) else None
        self._rotate_at_bytes = rotate_at_bytes
        self._number = 0
        self._is_failing = False
        self._copied_at: datetime | None = None

    def write(self, line: Mapping[str, object]) -> None:
        """Append one line, numbered and stamped."""
        now = self._clock()
        self._number += 1
        text = json.dumps({"at": now.isoformat(), "run": self._run, "line": self._number, **line})
        try:
            self._append(text)
            if self._remote and (self._copied_at is None or now - self._copied_at >= COPY_EVERY):
                self._copied_at = now
                self._copy(self._active, f"{self._name}-{self._run}.jsonl")
            self._is_failing = False
        except (OSError, Py4JError) as error:
            self._complain(error)

    def close(self) -> None:
        """Copy what is not yet where it belongs."""
        try:
            if self._remote:
                self._copy(self._active, f"{self._name}-{self._run}.jsonl")
        except (OSError, Py4JError) as error:
            self._complain(error)

    def _append(self, text: str) -> None:
        if self._number == 1:
            self._local.mkdir(parents=True, exist_ok=True)
            _end_torn_line(self._active)
        with self._active.open("a", encoding="utf-8") as log:
            log.write(text + "\n")
            size = log.tell()
        if size >= self._rotate_at_bytes:
            self._rotate()

    def _rotate(self) -> None:
        """Set the file aside under a name that sorts by run and number, and let go of the oldest ones."""
        aside = self._active.with_name(f"{self._name}-{self._run}-{self._number:012d}.jsonl")
        self._active.rename(aside)
        if self._remote:
            self._copy(aside, aside.name)
        rotated = sorted(self._local.glob(f"{self._name}-*.jsonl"), key=lambda path: path.stat().st_mtime)
        for old in rotated[:-ROTATED_KEPT]:
            old.unlink()

    def _copy(self, local: Path, name: str) -> None:
        if local.exists():
            self._files.put(str(local), f"{self._remote}/{name}")

    def _complain(self, error: Exception) -> None:
        if not self._is_failing:
            LOGGER.warning("%s: a line could not be written (%s). The stream goes on without it.", self._local, error)
        self._is_failing = True


def _end_torn_line(path: Path) -> None:
    """A process that was killed may have left half a line; what follows must not be glued to it."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as log:
        log.seek(-1, os.SEEK_END)
        if log.read(1) != b"\n":
            log.write(b"\n")
