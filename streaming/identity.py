"""Which checkpoint belongs to which table: a lost or foreign one is recognised before a single row is written."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass

from lakehouse.errors import CheckpointError
from lakehouse.lake import Lake
from lakehouse.tables import Table

PROPERTY = "tickhouse.query"
LOGS = ("offsets", "commits")


@dataclass(frozen=True)
class Identity:
    """A query's name, its own id, and the generation of its checkpoint; kept in the checkpoint and beside its table."""

    query: str
    id: str
    generation: int


@dataclass(frozen=True)
class Claim:
    """The identity a query may run under, and whether its checkpoint begins anew over a table that holds rows."""

    identity: Identity
    is_replay: bool


def claim(lake: Lake, table: Table, query: str, checkpoint: str, *, allow_replay: bool) -> Claim:
    """Match the checkpoint of `query` with its table. Fresh, matching, or replay asked for; anything else is refused.

    Nothing is recorded yet: a replay first repairs what it must, then calls `record`.
    """
    kept, found = _beside_table(lake, table), _in_checkpoint(lake, query, checkpoint)
    require_readable_logs(lake, query, checkpoint)
    if kept is None and found is None:
        return Claim(Identity(query, uuid.uuid4().hex, 0), is_replay=False)
    if kept == found and kept is not None:
        return Claim(kept, is_replay=False)
    if kept is not None and found is not None and kept.id == found.id and kept.generation < found.generation:
        return Claim(found, is_replay=False)  # raising the generation broke off before the table had it
    if found is not None and not has_run(lake, checkpoint):
        return Claim(found, is_replay=kept is not None)
    if not allow_replay:
        raise CheckpointError(_refusal(lake, table, query, checkpoint, kept, found))
    if found is not None:
        raise CheckpointError(
            f"{checkpoint}: this checkpoint belongs to another run of {query!r} ({found.id}, generation "
            f"{found.generation}). A replay starts from an empty checkpoint. Nothing was read or written. Move "
            f"that folder away, or set paths.checkpoints to a new one, and start again with --allow-replay."
        )
    return Claim(Identity(query, uuid.uuid4().hex, (kept.generation if kept else 0) + 1), is_replay=True)


def identity_of(lake: Lake, table: Table) -> Identity | None:
    """The identity kept beside a table, None where no query has ever written it."""
    return _beside_table(lake, table)


def next_generation(lake: Lake, table: Table, checkpoint: str, steps: int = 1) -> Identity:
    """Raise the generation of a query that is stopped, in both places; later batches number above everything before."""
    kept = _beside_table(lake, table)
    if kept is None:
        kept = Identity("", uuid.uuid4().hex, 0)
    raised = Identity(kept.query, kept.id, kept.generation + steps)
    record(lake, table, checkpoint, raised)
    return raised


def _path(checkpoint: str) -> str:
    return f"{checkpoint.rstrip('/')}/tickhouse.json"


def record(lake: Lake, table: Table, checkpoint: str, identity: Identity) -> None:
    """Write an identity into the checkpoint and beside the table; nothing happens where both have it.

    Checkpoint first: a crash in between leaves a checkpoint that has not run, which the next start takes up.
    """
    if identity == _in_checkpoint(lake, identity.query, checkpoint) == _beside_table(lake, table):
        return
    lake.files.replace_text(_path(checkpoint), json.dumps(asdict(identity), indent=2))
    text = json.dumps(asdict(identity)).replace("'", "")
    lake.spark.sql(f"ALTER TABLE delta.`{lake.path(table)}` SET TBLPROPERTIES ('{PROPERTY}' = '{text}')")


def _beside_table(lake: Lake, table: Table) -> Identity | None:
    text = lake.properties(table).get(PROPERTY)
    return Identity(**json.loads(text)) if text else None


def _in_checkpoint(lake: Lake, query: str, checkpoint: str) -> Identity | None:
    if not lake.files.exists(_path(checkpoint)):
        return None
    try:
        return Identity(**json.loads(lake.files.read_text(_path(checkpoint))))
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{_path(checkpoint)}: this file of the checkpoint of {query!r} is damaged ({error}). Nothing was read or "
            f"written. Restore it from a backup, or move the folder {checkpoint} away and start with --allow-replay."
        ) from error


def has_run(lake: Lake, checkpoint: str) -> bool:
    """Whether a query has begun a batch with this checkpoint."""
    return any(lake.files.names(f"{checkpoint.rstrip('/')}/{log}") for log in LOGS)


def _refusal(
    lake: Lake, table: Table, query: str, checkpoint: str, kept: Identity | None, found: Identity | None
) -> str:
    had = f"{found.id}, generation {found.generation}" if found else "none"
    wanted = f"{kept.id}, generation {kept.generation}" if kept else "none, though the table holds rows"
    return (
        f"{checkpoint}: the checkpoint of {query!r} is lost or foreign. {table.full_name} was written by {wanted}; the "
        f"checkpoint says {had}. Nothing was read or written. Point paths.checkpoints at the right folder; or, to read "
        f"everything again into the same tables without doubling a row, start with --allow-replay."
    )


def require_readable_logs(lake: Lake, query: str, checkpoint: str) -> None:
    """Refuse a checkpoint whose metadata, offset or commit log holds an empty or cut file, and name the file."""
    root = checkpoint.rstrip("/")
    suspects = [f"{root}/metadata"] if lake.files.exists(f"{root}/metadata") else []
    for log in LOGS:
        numbers = [name for name in lake.files.names(f"{root}/{log}") if name.isdigit()]
        suspects += [f"{root}/{log}/{name}" for name in sorted(numbers, key=int)[-2:]]
    for path in suspects:
        text = lake.files.read_text(path)
        if not _is_whole(path, text):
            raise CheckpointError(
                f"{path}: this file of the checkpoint of {query!r} is damaged ({len(text)} characters, expected "
                f"{'one JSON object' if path.endswith('metadata') else 'a version line and its entries'}). Nothing was "
                f"read or written. Restore the file from a backup; or move the folder {root} away and start with "
                f"--allow-replay, which reads everything again without doubling a row."
            )


def _is_whole(path: str, text: str) -> bool:
    """`metadata` is one JSON object; a log file is a version line, then JSON values, or a dash for no offset."""
    is_metadata = path.endswith("metadata")
    version, _, body = ("v1", "", text) if is_metadata else text.partition("\n")
    entries = [line for line in body.splitlines() if line.strip() not in ("", "-")]
    try:
        readable = all(isinstance(json.loads(line), dict | list | int) for line in entries)
    except ValueError:
        return False
    return readable and version.startswith("v") and (bool(entries) or not is_metadata)
