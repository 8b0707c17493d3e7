"""What a tree of processes has used: CPU seconds and memory, read from /proc, a JVM and its Python workers included."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass
class Measurement:
    """Wall and CPU seconds of one stretch of work; filled in when it ends."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def measured() -> Iterator[Measurement]:
    """Measure what happens inside, by this process and all its descendants."""
    found = Measurement()
    cpu, start = tree_cpu_seconds(os.getpid()), time.perf_counter()
    yield found
    found.wall = time.perf_counter() - start
    found.cpu = tree_cpu_seconds(os.getpid()) - cpu


def tree_cpu_seconds(root: int) -> float:
    """CPU seconds of a process, its living descendants, and those of them that have ended and were waited for."""
    return sum(sum(int(one) for one in _stat(pid)[11:15]) for pid in tree(root)) / TICKS


def tree_memory_bytes(root: int) -> int:
    """Memory of a process and its descendants now; pages shared by Python workers count for each."""
    return sum(_kilobytes(pid, "VmRSS") for pid in tree(root)) * 1024


def live_heap_bytes(root: int) -> int:
    """What is reachable in the heap of the JVM below a process; 0 where it has no `jcmd` beside it.

    A heap grows to its limit whatever is alive in it, so memory alone does not tell a leak from a heap not yet full.
    The histogram is taken within a full collection: asked for afterwards, the heap holds what was allocated since.
    """
    for pid in tree(root):
        program = _program(pid)
        if program.name == "java" and (jcmd := program.with_name("jcmd")).exists():
            asked = [jcmd, str(pid), "GC.class_histogram"]
            return total_bytes(subprocess.run(asked, check=True, capture_output=True, timeout=60).stdout.decode())
    return 0


def total_bytes(told: str) -> int:
    """The bytes in the last line of a class histogram: total, instances, bytes."""
    name, _, total = told.split()[-3:]
    if name != "Total":
        raise ValueError(f"class histogram: expected a last line `Total`, found {told[-80:]!r}")
    return int(total)


def tree(root: int) -> list[int]:
    """A process and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, ahead = [], [root]
    while ahead:
        pid = ahead.pop()
        found.append(pid)
        ahead += children.get(pid, [])
    return found


def _program(pid: int) -> Path:
    """The file a process runs; an empty path for one that is gone."""
    try:
        return (PROC / str(pid) / "exe").readlink()
    except OSError:
        return Path()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (state, parent, ...); zeros for a process that is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * 50
    return text.rpartition(")")[2].split()


def _kilobytes(pid: int, field: str) -> int:
    try:
        lines = (PROC / str(pid) / "status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)
