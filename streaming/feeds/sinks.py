"""Where a feed's records go. This module: what a sink is, and files of the landing folder.

`put` hands over what it is given before it returns, or raises FeedError. A feed that is run again sends the same ids
and stamps, so silver drops what had been accepted already: running it again is the way out of every FeedError here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lakehouse.errors import FeedError
from streaming.feeds.pack import Record
from streaming.feeds.progress import Counts

AGAIN = "Then run the same feed again: it sends the same ids, and silver drops what it has already."


class Sink(Protocol):
    """What a feed needs of a sink: how many records it likes at once at most, and how long they may be gathered."""

    batch_records: int
    step_seconds: float
    counts: Counts

    def put(self, records: Sequence[Record]) -> None:
        """Hand records over, in order; on return they are safe."""

    def close(self) -> None:
        """Let go of what the sink holds. Nothing is pending: `put` has handed everything over."""


class FilesSink:
    """One JSON Lines file for each `put`, `PREFIX-000001.jsonl` and so on, written under another name and then renamed.

    A file that is there already with the same bytes counts as written: a feed that died may simply be run again.
    """

    step_seconds = 1.0

    def __init__(self, folder: str | Path, prefix: str, *, batch_records: int = 5000) -> None:
        if "://" in str(folder):
            raise FeedError(
                f"{folder}: files are landed in a local folder, found an address of an object store. Nothing was "
                f"written. Set paths.landing to a folder, or send to Kinesis or Kafka."
            )
        self.batch_records = batch_records
        self.counts = Counts()
        self._folder = Path(folder)
        self._prefix = prefix
        self._files = 0
        self._folder.mkdir(parents=True, exist_ok=True)

    def put(self, records: Sequence[Record]) -> None:
        """Write one file. It appears whole or not at all, and never changes afterwards."""
        if not records:
            return
        target = self._folder / f"{self._prefix}-{self._files + 1:06d}.jsonl"
        content = b"".join(_line(one, target) for one in records)
        if not target.exists():
            self._write(target, content)
        elif target.read_bytes() != content:
            raise FeedError(
                f"{target}: expected no such file or one of the same content, found another feed's, or this one's at "
                f"another pace. It was left alone; the {self._files} files before it are in place. Choose another "
                f"prefix, or empty the folder and run the feed again."
            )
        self._files += 1
        self.counts.add(records)

    def close(self) -> None:
        """Nothing is held between files."""

    def _write(self, target: Path, content: bytes) -> None:
        draft = target.with_name(f".{target.name}.part")  # readers skip dot files, and the ending is not theirs
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(target)


def _line(record: Record, target: Path) -> bytes:
    if not record.data or b"\n" in record.data:
        raise FeedError(
            f"{target}: a record of {record.key} is empty or holds a line feed, so it cannot be one line of a file. "
            f"The file was not written. Send such records to Kinesis or Kafka."
        )
    return record.data + b"\n"
