"""The files of a spool: segments by number, the position up to which everything was acknowledged, and the lock."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lakehouse.errors import FeedError

NAME = re.compile(r"segment-(\d{10})\.spool")
POSITION, LOCK = "acknowledged.json", "lock"


class Place(NamedTuple):
    """A place between two frames: the number of a segment and an offset in it. Places compare in order."""

    segment: int
    offset: int


def segment_path(folder: Path, number: int) -> Path:
    """The file of a segment."""
    return folder / f"segment-{number:010d}.spool"


def segment_numbers(folder: Path) -> list[int]:
    """The segments there are, in order."""
    return sorted(int(found[1]) for path in folder.iterdir() if (found := NAME.fullmatch(path.name)))


def write_all(file: int, data: bytes) -> None:
    """Write every byte, and have the disk confirm it."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
    os.fsync(file)


def replace_file(path: Path, text: str) -> None:
    """Put a small file in another's place: a reader sees the old one or the new one, whole."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def sync_folder(folder: Path) -> None:
    """Have the disk confirm that files were made or deleted."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_position(folder: Path) -> Place:
    """Up to where everything was acknowledged; the very beginning where that is not known.

    The file is not synced: losing it sends acknowledged records again, with the same ids, which silver drops.
    """
    try:
        found = json.loads((folder / POSITION).read_text(encoding="utf-8"))
        return Place(int(found["segment"]), int(found["offset"]))
    except (OSError, ValueError, TypeError, KeyError):
        return Place(0, 0)


def write_position(folder: Path, place: Place) -> None:
    """Note up to where everything was acknowledged."""
    replace_file(folder / POSITION, json.dumps(place._asdict()))


@contextmanager
def locked(place: str | Path) -> Iterator[Path]:
    """Hold the folder for this process; a second one is refused. The lock goes with the process, however it ends."""
    folder = Path(place)
    if "://" in str(place):
        raise FeedError(
            f"{place}: a spool lies in a folder of this machine, found an address of an object store. Nothing was "
            f"collected. Set feeds.spool.folder to a local folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FeedError(
                f"{folder}: another process collects into this spool. Nothing was collected. Stop it first, or give "
                f"this one a folder of its own with --set feeds.spool.folder=FOLDER."
            ) from error
        yield folder
