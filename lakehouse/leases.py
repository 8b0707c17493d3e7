"""Leases: one process at a time may write the tables of one owner."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from lakehouse.clock import Clock
from lakehouse.errors import LeaseError
from lakehouse.files import Files

LOGGER = logging.getLogger("tickhouse.leases")


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, and until when unless renewed."""

    token: str
    host: str
    pid: int
    started: str
    purpose: str
    until: str

    def is_gone(self, now: datetime) -> bool:
        """Whether the holder cannot be writing any more: its time is up, or its process on this host has ended."""
        if datetime.fromisoformat(self.until) < now:
            return True
        return self.host == socket.gethostname() and process_start(self.pid) != self.started


def process_start(pid: int) -> str:
    """When a process of this host started, in the kernel's ticks; empty where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[19]
    except FileNotFoundError:
        return ""


@contextmanager
def lease(
    files: Files, root: str, owner: str, *, purpose: str, seconds: float, clock: Clock
) -> Iterator[threading.Event]:
    """Hold the lease of `owner` on the warehouse at `root`; yields an event that is set if the lease is lost.

    The file is created exclusively, so of two processes that start together one is refused. It is renewed in the
    background.
    """
    path = f"{root.rstrip('/')}/_leases/{owner}.json"
    token = uuid.uuid4().hex
    _take(files, path, token, owner, purpose, seconds, clock)
    stop, lost = threading.Event(), threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(files, path, token, purpose, seconds, clock, stop, lost), name=f"lease-{owner}", daemon=True
    )
    keeper.start()
    try:
        yield lost
    finally:
        stop.set()
        keeper.join()
        if not lost.is_set():
            files.delete(path)


def _entry(token: str, purpose: str, seconds: float, clock: Clock) -> str:
    until = clock() + timedelta(seconds=seconds)
    holder = Holder(token, socket.gethostname(), os.getpid(), process_start(os.getpid()), purpose, until.isoformat())
    return json.dumps(asdict(holder), indent=2)


def _take(files: Files, path: str, token: str, owner: str, purpose: str, seconds: float, clock: Clock) -> None:
    current = _read(files, path)
    if current is not None and current.is_gone(clock()):
        files.delete(path)
    elif current is not None:
        raise LeaseError(
            f"{path}: the tables of {owner!r} are being written by {current.purpose} (process {current.pid} on "
            f"{current.host}, lease until {current.until}). Nothing was started. Stop that process and try again; "
            f"if it is gone, the lease frees itself at that time."
        )
    try:
        files.write_text(path, _entry(token, purpose, seconds, clock), overwrite=False)
    except Exception as error:
        if "FileAlreadyExists" in str(error):
            raise LeaseError(
                f"{path}: another process took the lease of {owner!r} at the same moment. Nothing was started. Try "
                f"again."
            ) from error
        if files.size(path) == 0:  # created by us, and not filled
            files.delete(path)
        raise LeaseError(
            f"{path}: the lease of {owner!r} could not be written ({reason_of(error)}). Nothing was started. Make room "
            f"or mend the file system, and try again."
        ) from error


def reason_of(error: Exception) -> str:
    """The last cause a Java error names, without its stack; of any other error its text."""
    lines = [line for line in str(error).splitlines() if line and not line.lstrip().startswith(("at ", "...", "Supp"))]
    return lines[-1].removeprefix("Caused by: ").lstrip(": ") if lines else type(error).__name__


def _read(files: Files, path: str) -> Holder | None:
    if not files.exists(path):
        return None
    text = files.read_text(path)
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise LeaseError(
            f"{path}: the lease file cannot be read ({error}); expected one JSON object. Nothing was started. If no "
            f"other process writes this warehouse, delete the file and try again."
        ) from error


def _keep(
    files: Files, path: str, token: str, purpose: str, seconds: float, clock: Clock,
    stop: threading.Event, lost: threading.Event,
) -> None:  # fmt: skip
    held_until = clock() + timedelta(seconds=seconds)
    while not stop.wait(seconds / 3):
        renewed = clock()
        try:
            current = _read(files, path)
            if current is None or current.token != token:
                lost.set()
                return
            files.replace_text(path, _entry(token, purpose, seconds, clock))
            held_until = renewed + timedelta(seconds=seconds)
        except Exception as error:  # noqa: BLE001 - whatever it is, without renewal the lease ends and this must say so
            LOGGER.warning("%s: not renewed (%s); the lease holds until %s.", path, reason_of(error), held_until)
            if renewed >= held_until:
                lost.set()
                return
