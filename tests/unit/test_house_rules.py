"""The rules of the house, read from the source: who imports whom, who builds a session, who looks at the clock."""

from __future__ import annotations

import ast
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.__main__ import job_names, meaning_of
from lakehouse.tables import ALL_TABLES, Table

HOUSE = Path(__file__).resolve().parents[2]
ROOMS = {  # a room may import itself and the rooms named here
    "lakehouse": set[str](),
    "streaming": {"lakehouse"},
    "ml": {"lakehouse"},
    "serving": {"lakehouse"},
    "jobs": {"lakehouse", "streaming", "ml", "serving"},
}
WALL_CLOCKS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "datetime.datetime.now",
    "date.today",
    "datetime.date.today",
    "time.time",
    "time.time_ns",
    "F.current_timestamp",
    "F.current_date",
    "F.now",
}
MAY_READ_THE_CLOCK = ("lakehouse/clock.py", "jobs/")  # jobs hand the clock out; everything else is handed one
BUILDER = "SparkSession" + ".builder"
LONGEST_FUNCTION = 50
LEFT_OUT = {".git", ".work", "warehouse", "build", "dist", "node_modules", ".terraform", ".hypothesis"}


def sources(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """Every Python file of the rooms, by its path from the root, parsed."""
    for room in rooms:
        for file in sorted((HOUSE / room).rglob("*.py")):
            yield file.relative_to(HOUSE).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def imported_rooms(tree: ast.Module) -> set[str]:
    """The rooms a module imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "relative imports hide which room is meant"
            names.add(node.module)
    return {name.partition(".")[0] for name in names} & (ROOMS.keys() | {"tests", "benchmarks"})


def wall_clock_reads(tree: ast.Module) -> list[int]:
    """Lines on which a module reads the wall clock, also where the function is only handed on, and in SQL text."""
    by_name = [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node) in WALL_CLOCKS
    ]
    imported = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "time"
        and {a.name for a in node.names} & {"time", "time_ns"}
    ]
    return by_name + imported


def text_files() -> Iterator[tuple[str, str]]:
    """Every text file of the repository by its path from the root; folders that are left out are not walked."""
    for folder, below, names in os.walk(HOUSE):
        below[:] = sorted(filter(is_ours, below))
        for file in (Path(folder, name) for name in sorted(filter(is_ours, names))):
            if file.is_file():
                yield file.relative_to(HOUSE).as_posix(), file.read_text(encoding="utf-8", errors="replace")


def is_ours(part: str) -> bool:
    """Whether a file or folder of that name is kept in the repository."""
    return part not in LEFT_OUT and "cache" not in part and "egg-info" not in part


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_left_only(room: str) -> None:
    allowed = ROOMS[room] | {room}

    strays = {path: imported_rooms(tree) - allowed for path, tree in sources(room)}

    assert {path: rooms for path, rooms in strays.items() if rooms} == {}


def test_one_file_builds_the_spark_session() -> None:
    builders = {
        path
        for path, tree in sources(*ROOMS, "tests", "benchmarks")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == BUILDER
    }

    assert builders == {"lakehouse/session.py"}


def test_only_the_clock_and_the_jobs_read_the_wall_clock() -> None:
    readers = {
        path: wall_clock_reads(tree) for path, tree in sources(*ROOMS) if not path.startswith(MAY_READ_THE_CLOCK)
    }

    assert {path: lines for path, lines in readers.items() if lines} == {}


@pytest.mark.parametrize("text", ["t = datetime.now(UTC)", "field(default_factory=time.time)", "from time import time"])
def test_the_clock_rule_sees_a_wall_clock_in_any_dress(text: str) -> None:
    assert wall_clock_reads(ast.parse(text)) == [1]


def test_functions_stay_short_enough_to_read() -> None:
    lengths = {
        f"{path}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path, tree in sources(*ROOMS)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.full_name)
def test_a_declaration_says_what_a_row_is_what_each_column_means_and_what_the_key_is(table: Table) -> None:
    columns = {column.name: column for column in table.columns}

    assert table.comment.endswith(".")
    assert table.owner
    assert table.key
    assert len(columns) == len(table.columns)
    assert [name for name in table.key if columns[name].nullable] == [], "a key column is always given"
    assert {*table.cluster_by, *filter(None, [table.version])} <= columns.keys()
    assert [name for name, column in columns.items() if not column.comment or column.comment.endswith(".")] == []
    canonical = re.compile(r"^(string|binary|boolean|int|bigint|double|date|timestamp|decimal\(\d+,\d+\))$")
    assert [column.type for column in columns.values() if not canonical.match(column.type)] == []


def test_tables_have_names_of_their_own() -> None:
    names = [table.full_name for table in ALL_TABLES]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("job", job_names())
def test_a_job_says_in_one_line_what_it_does_and_ends_with_its_exit_code(job: str) -> None:
    source = (HOUSE / "jobs" / f"{job.replace('-', '_')}.py").read_text(encoding="utf-8")

    assert meaning_of(job).endswith(".")
    assert "\ndef main(argv: Sequence[str] | None = None) -> int:" in source
    assert source.endswith('\n\nif __name__ == "__main__":\n    sys.exit(main())\n')


def test_test_files_have_names_of_their_own() -> None:
    names = Counter(file.name for file in (HOUSE / "tests").rglob("test_*.py"))

    assert [name for name, count in names.items() if count > 1] == []  # pytest imports them by their bare names


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    hosts = [
        "pypi" + ".org",
        "pythonhosted" + ".org",
        "repo1.maven" + ".org",
        "repo.maven.apache" + ".org",
        "--" + "index-url",
    ]
    machine = re.compile(r"(?<![\w.$}{)])/(root|work|home|Users)/\w")

    named = {
        path: found
        for path, text in text_files()
        if (found := [host for host in hosts if host in text] + [match[0] for match in machine.finditer(text)])
    }

    assert named == {}


@pytest.mark.parametrize("file", sorted((HOUSE / "requirements").glob("*.txt")), ids=lambda file: file.name)
def test_every_pinned_package_has_an_exact_version_and_a_hash(file: Path) -> None:
    entries = re.split(r"\n(?=\S)", file.read_text(encoding="utf-8").strip())

    assert [
        entry for entry in entries if not re.match(r"^[a-zA-Z0-9._-]+==\S+ \\\n +--hash=sha256:[0-9a-f]{64}", entry)
    ] == []


@pytest.mark.parametrize("file", sorted((HOUSE / "jars").glob("pom-*.xml")), ids=lambda file: file.name)
def test_every_pom_has_a_lock_that_holds_its_direct_dependencies(file: Path) -> None:
    lock = (HOUSE / "jars" / f"{file.stem.removeprefix('pom-')}.sha256").read_text(encoding="ascii")
    dependency = r"<artifactId>([^<*]+)</artifactId>\s*<version>([^<]+)</version>(\s*<type>tar.gz</type>)?"
    wanted = re.findall(dependency, file.read_text())[1:]
    jars = [f"{name}-main-{version}.jar" if packed else f"  {name}-{version}.jar" for name, version, packed in wanted]

    assert wanted
    assert [jar for jar in jars if f"{jar}\n" not in lock] == []
