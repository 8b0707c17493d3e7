"""Faults on purpose: real processes that are killed, crash points, checkpoints that are damaged or lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 240.0


@contextmanager
def fault(name: str, seed: int) -> Iterator[random.Random]:
    """Dice for one fault. The seed is printed; FAULT_SEED replays another one."""
    seed = int(os.environ.get("FAULT_SEED", seed))
    print(f"fault {name!r}: replay with FAULT_SEED={seed}")
    try:
        yield random.Random(f"{name}/{seed}")
    except Exception as error:
        error.add_note(f"fault {name!r}: replay with FAULT_SEED={seed}")
        raise


def forget_last_commit(checkpoint: Path) -> int:
    """Take away the newest entry of the commit log, as a crash just before it leaves a checkpoint; returns its
    number.
    """
    commits = checkpoint / "commits"
    last = max(int(path.name) for path in commits.iterdir() if path.name.isdigit())
    (commits / str(last)).unlink()
    (commits / f".{last}.crc").unlink(missing_ok=True)
    return last


def damage(checkpoint: Path, place: str, how: str) -> Path:
    """Empty, garble or cut the newest file of `offsets` or `commits`, or `metadata`; returns the damaged file."""
    path = checkpoint / place
    if path.is_dir():
        path = path / str(max(int(one.name) for one in path.iterdir() if one.name.isdigit()))
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "garbage": b"\x00\xff not a log", "cut": whole[: len(whole) - 4]}[how])
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
    return path


def lose(checkpoint: Path) -> None:
    """Take a checkpoint away altogether."""
    shutil.rmtree(checkpoint)


@dataclass(frozen=True)
class Job:
    """The stream job as a process of its own, in a group of its own, over the folders under `root`."""

    root: Path
    settings: Mapping[str, str]

    def command(self, *flags: str) -> list[str]:
        """The command line."""
        given = {
            "paths.warehouse": self.root / "lake",
            **{f"paths.{name}": self.root / name for name in ("checkpoints", "landing", "archive", "logs")},
            "reference.sale_conditions": self.root / "dialects.yaml",
            "spark.shuffle_partitions": 1,
            **self.settings,
        }
        sets = [f"--set={key}={value}" for key, value in given.items()]
        return [sys.executable, "-m", "jobs", "stream", *sets, *flags]

    def start(self, *flags: str, crashpoint: str | None = None) -> subprocess.Popen[bytes]:
        """Start it; everything it prints goes to a file under `root`."""
        environment = {name: value for name, value in os.environ.items() if name != "TICKHOUSE_CRASHPOINT"}
        if crashpoint:
            environment["TICKHOUSE_CRASHPOINT"] = crashpoint
        with (self.root / "output.txt").open("ab") as output:
            return subprocess.Popen(
                self.command(*flags),
                cwd=REPOSITORY,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def drain(self, *flags: str, crashpoint: str | None = None) -> int:
        """Run until everything is read, or until it dies; returns the exit code."""
        with self.running("--drain", *flags, crashpoint=crashpoint) as process:
            return process.wait(PATIENCE_SECONDS)

    @contextmanager
    def running(self, *flags: str, crashpoint: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """The job while the block lasts; afterwards its whole group is dead, whatever happened."""
        process = self.start(*flags, crashpoint=crashpoint)
        try:
            yield process
        finally:
            kill_group(process)

    def output(self) -> str:
        """What all runs printed, newest last."""
        return (self.root / "output.txt").read_text(errors="replace")

    def batches_done(self) -> int:
        """How many batches all runs have reported so far."""
        log = self.root / "logs" / "stream.jsonl"
        return log.read_text(errors="replace").count('"event": "batch"') if log.exists() else 0

    def wait_for_batches(self, process: subprocess.Popen[bytes], count: int) -> None:
        """Wait until `count` batches were reported in all, or fail with what the process printed."""
        end = monotonic() + PATIENCE_SECONDS
        while self.batches_done() < count:
            if process.poll() is not None or monotonic() > end:
                raise AssertionError(f"{self.batches_done()} of {count} batches, then:\n{self.output()[-4000:]}")
            sleep(0.05)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill -9 the process and everything it started: the driver, its JVM, the Python workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
