"""Clean-up of checkpoint folders: drafts of killed processes, log entries beyond what Spark keeps, and orphans.

Only while the query is stopped: the caller holds the lease of its owner.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from lakehouse.errors import CheckpointError
from lakehouse.files import Files
from streaming.identity import LOGS, Identity

IDENTITY = "tickhouse.json"


@dataclass(frozen=True)
class Orphan:
    """A checkpoint folder beside the one in force, and which run of the query it belonged to, where it says so."""

    path: str
    belonged_to: Identity | None


def broken_off(files: Files, checkpoint: str) -> int | None:
    """The batch that was begun and not finished when the query stopped, and will be run again; None where none was."""
    begun, done = (_newest(files, f"{checkpoint.rstrip('/')}/{log}") for log in LOGS)
    return begun if begun > done else None


def _newest(files: Files, log: str) -> int:
    return max((int(name) for name in files.names(log) if name.isdigit()), default=-1)


def tidy(files: Files, checkpoint: str, *, keep: int) -> list[str]:
    """Delete drafts, and entries older than the last `keep` that were committed; returns the paths deleted."""
    root = checkpoint.rstrip("/")
    done = [int(name) for name in files.names(f"{root}/commits") if name.isdigit()]
    oldest = max(done, default=0) - keep + 1
    gone = []
    for log in LOGS:
        names = files.names(f"{root}/{log}")
        old = [name for name in names if name.isdigit() and int(name) < oldest]
        drafts = [name for name in names if name.startswith(".") and ".tmp" in name]
        gone += [f"{root}/{log}/{name}" for name in (*old, *drafts)]
    for path in gone:
        files.delete(path)
    return gone


def orphans(files: Files, checkpoint: str, current: Identity | None) -> list[Orphan]:
    """Folders beside a query's checkpoint that no run will read again. One that matches the table is not among them."""
    folder, _, version = checkpoint.rstrip("/").rpartition("/")
    beside = [one.name for one in files.entries(folder) if one.is_folder and one.name != version]
    found = [Orphan(f"{folder}/{name}", _identity(files, f"{folder}/{name}/{IDENTITY}")) for name in beside]
    return [one for one in found if one.belonged_to is None or one.belonged_to != current]


def _identity(files: Files, path: str) -> Identity | None:
    if not files.exists(path):
        return None
    try:
        return Identity(**json.loads(files.read_text(path)))
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path}: expected the identity of a checkpoint, found {error}. Nothing was deleted. Look at the folder "
            f"and delete it by hand if nothing needs it."
        ) from error
