"""Where contenders run: one child process per kind of session, kept warm, told what to run by lines of JSON."""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyspark.sql import SparkSession

from lakehouse.session import spark_conf, spark_session
from lakehouse.settings import Paths, Settings, SparkSettings

HOUSE, STOCK, PYTHON = "house", "stock", "python"
PATIENCE_SECONDS = 3_600.0
KEPT_WHEN_STOCK = (
    "spark.sql.extensions",
    "spark.sql.catalog.",
    "spark.sql.session.timeZone",
    "spark.sql.warehouse.dir",
)


class ContenderError(Exception):
    """A contender failed; its text is the end of the child's stack trace."""


@dataclass
class Host:
    """A child process that runs contenders. Use as a context: leaving it ends the child and all it started."""

    kind: str
    scratch: Path
    memory: str = "4g"
    _child: subprocess.Popen[str] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def log(self) -> Path:
        """Where the child's own output goes."""
        return self.scratch / f"{self.kind}.log"

    def call(self, target: str, **arguments: Any) -> dict[str, Any]:
        """Run `module:function` in the child and return what it returned."""
        child = self._started()
        assert child.stdin and child.stdout
        child.stdin.write(json.dumps({"call": target, "arguments": arguments}) + "\n")
        child.stdin.flush()
        ready, _, _ = select.select([child.stdout], [], [], PATIENCE_SECONDS)
        line = child.stdout.readline() if ready else ""
        if not line:
            self.close()
            raise ContenderError(f"{target}: the {self.kind} process gave no answer; its output is in {self.log.name}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContenderError(f"{target}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the child: politely, so that Spark shuts down, then for good."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin
        child.stdin.close()
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def _started(self) -> subprocess.Popen[str]:
        if self._child is None or self._child.poll() is not None:
            self.scratch.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "benchmarks.hosts", self.kind, str(self.scratch), self.memory]
            with self.log.open("a", encoding="utf-8") as log:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
        return self._child


@dataclass
class Place:
    """What a contender is given inside the child: a folder of its own and, where it wants one, a Spark session."""

    kind: str
    scratch: Path
    memory: str
    closing: ExitStack

    @cached_property
    def settings(self) -> Settings:
        """House settings, but for paths and memory, which are the same for every contender."""
        paths = {name: str((self.scratch / name).absolute()) for name in Paths.model_fields}
        conf = {"spark.sql.streaming.numRecentProgressUpdates": "2000", "spark.ui.showConsoleProgress": "false"}
        return Settings(paths=Paths(**paths), spark=SparkSettings(driver_memory=self.memory, conf=conf))

    @cached_property
    def spark(self) -> SparkSession:
        """A session as the house sets it up, or one with the library's defaults plus the Delta extensions."""
        spark = self.closing.enter_context(spark_session(self.settings, app_name=f"benchmarks-{self.kind}"))
        if self.kind == STOCK:
            forget_house_settings(spark, self.settings)
        return spark


def forget_house_settings(spark: SparkSession, settings: Settings) -> None:
    """Put every setting of the house that may change at run time back to the library's default."""
    for name in spark_conf(settings):
        is_ours = name.startswith(("spark.sql.", "spark.databricks.")) and not name.startswith(KEPT_WHEN_STOCK)
        if is_ours and spark.conf.isModifiable(name) and name not in settings.spark.conf:
            spark.conf.unset(name)


def serve(kind: str, scratch: Path, memory: str) -> None:
    """Answer requests until standard input ends. Whatever contenders print goes to the log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with ExitStack() as closing:
        place = Place(kind, scratch, memory, closing)
        for line in sys.stdin:
            request = json.loads(line)
            module, _, name = request["call"].partition(":")
            try:
                answer = getattr(importlib.import_module(module), name)(place, **request["arguments"]) or {}
            except Exception:  # noqa: BLE001 - the parent decides; the child must live to run the next contender
                traceback.print_exc()
                answer = {"error": traceback.format_exc()[-2_000:]}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
