"""Damaged tables: a commit file that is empty, cut or gone, a data file that cannot be read. Never a partial answer.

Delta takes an empty commit file for a commit without effect, and a missing last one for a commit that never was: both
answer with rows missing. Beside each commit Delta leaves a `.crc` file that counts the table's files; what a log says
is held against it before the table is used.
"""

from __future__ import annotations

import json
import re

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types

from lakehouse.errors import TableError
from lakehouse.files import Files
from lakehouse.tables import ALL_TABLES, Table

UNREADABLE = re.compile(r"Encountered error while reading file (\S+?)\.?\s")
LAST_CHECKPOINT = "_last_checkpoint"


def require_whole_log(files: Files, table: Table, folder: str) -> None:
    """Refuse a table whose commits since its last checkpoint are not all there, and name the file that is damaged."""
    log = f"{folder}/_delta_log"
    first = _checkpointed(files, log) + 1
    version = first
    while size := files.size(_commit(log, version)):
        version += 1
    if size == 0:
        raise TableError(message(table, _commit(log, version), "it is empty"))
    # Another process may have made this commit since we looked; then it is there now.
    if files.exists(_checksum(log, version)) and not files.exists(_commit(log, version)):
        raise TableError(message(table, _commit(log, version), "it is gone, though the commit was made"))
    if version > first:
        _require_whole_commit(files, table, log, version - 1)


def _require_whole_commit(files: Files, table: Table, log: str, version: int) -> None:
    """The newest commit changes the number of the table's files by as much as Delta counted when it made it.

    Upkeep may add again what is there (dataChange is false), so it may count more.
    """
    path = _commit(log, version)
    try:
        actions = [json.loads(line) for line in files.read_text(path).splitlines()]
    except (ValueError, Py4JJavaError) as error:
        raise TableError(message(table, path, "it is cut")) from error
    before, after = (_file_count(files, _checksum(log, one)) for one in (version - 1, version))
    if before is None or after is None:
        return
    found = sum(("add" in one) - ("remove" in one) for one in actions)
    is_upkeep = any(not one["add"]["dataChange"] for one in actions if "add" in one)
    if found < after - before or (found > after - before and not is_upkeep):
        raise TableError(message(table, path, f"it lacks lines (files {found:+}, but {after - before:+} were counted)"))


def _file_count(files: Files, checksum: str) -> int | None:
    try:
        return int(json.loads(files.read_text(checksum))["numFiles"]) if files.exists(checksum) else None
    except (ValueError, KeyError, Py4JJavaError):
        return None  # a help that is damaged itself helps nobody


def _checkpointed(files: Files, log: str) -> int:
    path = f"{log}/{LAST_CHECKPOINT}"
    return int(json.loads(files.read_text(path))["version"]) if files.exists(path) else -1


def _commit(log: str, version: int) -> str:
    return f"{log}/{version:020d}.json"


def _checksum(log: str, version: int) -> str:
    return f"{log}/{version:020d}.crc"


def damaged_file(error: str) -> str | None:
    """What to tell a person whose job failed because Spark could not read a file of a table; None for other errors."""
    named = UNREADABLE.search(error)
    if named is None:
        return None
    path = named[1].removeprefix("file://").removeprefix("file:")
    is_gone = "FILE_NOT_EXIST" in error
    table = next((one for one in ALL_TABLES if f"/{one.layer.value}/{one.name}/" in path), None)
    return None if table is None else message(table, path, "it is gone" if is_gone else "it cannot be read")


def message(table: Table, path: str, what: str) -> str:
    """Where, what, what happened to the data, and the way out."""
    return (
        f"{path}: this file of {table.full_name} is damaged: {what}. No answer was given, and nothing was written. "
        f"Restore the file from a backup, or its older version in a versioned bucket. Without one: {way_out(table)}"
    )


def way_out(table: Table) -> str:
    """How a table is made anew."""
    if table.layer.value == "bronze":
        return (
            "no other table holds what bronze does; move the tables and checkpoints away and feed the archive again: "
            "`tickhouse replay` and `tickhouse stream`."
        )
    if table.owner == "stream":
        return (
            "everything is made again from bronze. Move the folders silver/trades, silver/quarantine and gold/bars of "
            "the warehouse and the checkpoints of refine and bars away, then run `tickhouse stream`."
        )
    return f"move the folder of the table away and run `tickhouse {table.owner.replace('_', '-')}` again."
