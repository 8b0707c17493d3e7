"""Spark's Python workers: what is on their path is read once, not before each task."""

from __future__ import annotations

import gc
import importlib
import re
import sys
import zipfile
import zipimport
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from lakehouse import workers

ROOT = Path(workers.__file__).resolve().parents[1]
OURS = ("lakehouse", "streaming", "jobs", "serving", "ml")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An archive on the path from which something was imported."""
    path = tmp_path / "spark-core.jar"
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("lies_in_a_jar.py", "ANSWER = 42")
        jar.writestr("lies_there_too.py", "ANSWER = 43")
    monkeypatch.syspath_prepend(str(path))
    importlib.import_module("lies_in_a_jar")
    yield str(path)
    sys.path_importer_cache.pop(str(path), None)
    for name in ("lies_in_a_jar", "lies_there_too"):
        sys.modules.pop(name, None)


def directories_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The archives whose lists of files are read from now on."""
    read: list[str] = []
    whole = zipimport._read_directory  # type: ignore[attr-defined]
    monkeypatch.setattr(zipimport, "_read_directory", lambda path: read.append(path) or whole(path))
    return read


def test_an_archive_is_not_read_again_before_each_task_and_still_gives_modules(
    archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = directories_read(monkeypatch)
    importlib.invalidate_caches()
    assert archive in read, "Python no longer reads archives again: lakehouse/workers.py may go"
    read.clear()

    workers.trust_archives()
    importlib.invalidate_caches()

    assert archive not in read
    assert importlib.import_module("lies_there_too").ANSWER == 43


def test_what_the_first_tasks_brought_is_not_walked_over_after_each_task_and_later_garbage_is_collected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "_tasks", count())
    gc.collect()
    try:
        first = [
            (workers.settle(), gc.get_freeze_count(), len(gc.get_objects()))[1:] for _ in range(workers.FIRST_TASKS)
        ]
        brought_later: list[object] = []
        workers.settle()
        frozen, walked = zip(*first, strict=True)

        assert min(frozen) > 10_000 > max(walked)
        assert any(one is brought_later for one in gc.get_objects())
    finally:
        gc.unfreeze()


def test_every_function_that_goes_to_the_workers_goes_by_in_arrow() -> None:
    by_itself = re.compile(r"\.(mapInArrow|mapInPandas|applyInArrow|applyInPandas)\(")
    sources = [path for folder in OURS for path in (ROOT / folder).rglob("*.py") if path.name != "workers.py"]

    strays = [str(path.relative_to(ROOT)) for path in sources if by_itself.search(path.read_text(encoding="utf-8"))]

    assert len(sources) > 50
    assert strays == []
