"""Declared against actual on real Delta tables: differences are seen, the safe ones settled, the others refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from jobs import tables as tables_job
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.migrations import apply, plan
from lakehouse.tables import ALL_TABLES, Column, Layer, Table

V1 = Table(
    layer=Layer.SILVER,
    name="things",
    owner="things_job",
    comment="One thing.",
    columns=(
        Column("id", "string", "Permanent id", nullable=False),
        Column("size", "int", "Size in cubits", nullable=False),
        Column("note", "string", "What there is to say"),
    ),
    key=("id",),
    checks={"size_is_positive": "size > 0"},
)


def with_column(table: Table, column: str, **changes: object) -> Table:
    """The declaration with one column changed."""
    columns = tuple(replace(one, **changes) if one.name == column else one for one in table.columns)  # type: ignore[arg-type]
    return replace(table, columns=columns)


@pytest.fixture(scope="module")
def made_once(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with two things in it; tests get copies."""
    root = tmp_path_factory.mktemp("things") / "lake"
    lake = Lake(spark, str(root))
    lake.create(V1)
    lake.append(V1, spark.createDataFrame([("a", 1, "x"), ("b", 2, None)], V1.ddl))
    return root


@pytest.fixture
def things(spark: SparkSession, tmp_path: Path, made_once: Path) -> Lake:
    shutil.copytree(made_once, tmp_path / "lake")
    return Lake(spark, str(tmp_path / "lake"))


def said(lake: Lake, table: Table) -> dict[str, tuple[str | None, str | None]]:
    return {one.what: (one.declared, one.actual) for one in plan(lake, table).differences}


@pytest.mark.itest
def test_every_table_is_as_declared_right_after_it_was_created(lake: Lake) -> None:
    different = {table.full_name: plan(lake, table).differences for table in ALL_TABLES}

    assert {name: found for name, found in different.items() if found} == {}


def test_a_table_that_is_not_there_is_one_difference(spark: SparkSession, tmp_path: Path) -> None:
    found = plan(Lake(spark, str(tmp_path)), V1)

    assert not found.exists
    assert [one.what for one in found.differences] == ["table"]
    assert found.statements == ()


def in_front_in_the_middle_and_looser(table: Table) -> Table:
    """Two new columns that may be NULL, one that may be NULL from now on, and another meaning."""
    looser = with_column(with_column(table, "size", nullable=True), "id", comment='Id; it\'s \\ "ours"')
    first, *rest = looser.columns
    return replace(
        looser, columns=(Column("age", "decimal(18,6)", "Age"), first, Column("rank", "bigint", "Rank's"), *rest)
    )


SAFE: dict[str, tuple[Callable[[Table], Table], dict[str, tuple[str | None, str | None]]]] = {
    "columns": (
        in_front_in_the_middle_and_looser,
        {
            "column age": ("decimal(18,6)", None),
            "column id comment": ('Id; it\'s \\ "ours"', "Permanent id"),
            "column rank": ("bigint", None),
            "column size nullability": ("nullable", "NOT NULL"),
        },
    ),
    "comment, properties and clustering": (
        lambda table: replace(
            table, comment="It's ours.", append_only=True, retention_hours=24, cluster_by=("note", "id")
        ),
        {
            "comment": ("It's ours.", "One thing."),
            "property delta.appendOnly": ("true", None),
            "property delta.deletedFileRetentionDuration": ("interval 24 hours", "interval 168 hours"),
            "clustering": ("note, id", None),
        },
    ),
    "checks that every row passes, one over a column that is new too": (
        lambda table: replace(
            table,
            columns=(*table.columns, Column("age", "int", "Age")),
            checks={
                "size_is_positive": "size >= 1",
                "id_is_short": "length(id) < 3",
                "age_is_sane": "age IS NULL OR age > 0",
            },
        ),
        {
            "column age": ("int", None),
            "check size_is_positive": ("size >= 1", "size > 0"),
            "check id_is_short": ("length(id) < 3", None),
            "check age_is_sane": ("age IS NULL OR age > 0", None),
        },
    ),
    "a check that is no longer declared": (
        lambda table: replace(table, checks={}),
        {"check size_is_positive": (None, "size > 0")},
    ),
}


@pytest.mark.itest
@pytest.mark.parametrize("name", SAFE)
def test_a_safe_difference_is_seen_and_settled_without_touching_rows(things: Lake, name: str) -> None:
    change, expected = SAFE[name]
    changed = change(V1)
    rows = things.read(V1).select(*V1.column_names).collect()

    found = plan(things, changed)
    run = apply(things, found)

    assert {one.what: (one.declared, one.actual) for one in found.differences} == expected
    assert run == len(found.statements) > 0
    assert said(things, changed) == {}
    assert tuple(things.read(changed).columns) == changed.column_names
    assert sorted(things.read(V1).select(*V1.column_names).collect()) == sorted(rows)


def test_planning_writes_nothing(things: Lake) -> None:
    before = things.version(V1)

    plan(things, replace(V1, comment="Another", checks={"id_is_short": "length(id) < 3"}))

    assert things.version(V1) == before


REFUSED: dict[str, tuple[Callable[[Table], Table], str]] = {
    "a dropped column": (
        lambda table: replace(table, columns=table.columns[:2]),
        "column note is string, declared absent (dropping a column loses its values)",
    ),
    "a check that one row fails": (
        lambda table: replace(table, checks={"size_is_positive": "size > 1"}),
        "check size_is_positive is size > 0, declared size > 1 (1 rows do not pass it)",
    ),
    "a check that is NULL for one row": (
        lambda table: replace(table, checks={**table.checks, "note_is_short": "length(note) < 9"}),
        "check note_is_short is absent, declared length(note) < 9 (1 rows do not pass it)",
    ),
}


@pytest.mark.itest
@pytest.mark.parametrize("name", REFUSED)
def test_a_destructive_difference_is_refused_with_the_statement_it_would_need(things: Lake, name: str) -> None:
    change, reason = REFUSED[name]
    changed = replace(change(V1), comment="A safe difference beside it")
    version = things.version(V1)

    with pytest.raises(TableError) as caught:
        apply(things, plan(things, changed))

    assert f"silver.things: {reason}" in str(caught.value)
    assert f"INSERT INTO delta.`{things.path(V1)}` (" in str(caught.value)
    assert "Nothing was written to it." in str(caught.value)
    assert things.version(V1) == version


def test_the_rewrite_that_is_offered_works_and_leaves_the_table_as_declared(things: Lake) -> None:
    changed = with_column(with_column(V1, "size", type="bigint"), "note", name="remark")
    offered, path = plan(things, changed).rewrite, things.path(V1)

    shutil.move(path, f"{path}.before")
    things.create(changed)
    things.spark.sql(offered)

    assert said(things, changed) == {}
    expected = things.spark.createDataFrame([("a", 1, "x"), ("b", 2, None)], "id string, size bigint, remark string")
    assert_df_equality(
        things.read(changed), expected, ignore_row_order=True, ignore_nullable=True, ignore_metadata=True
    )


def test_properties_set_by_hand_are_taken_back_and_column_mapping_is_refused(things: Lake) -> None:
    by_hand = f"ALTER TABLE delta.`{things.path(V1)}` SET TBLPROPERTIES"
    things.spark.sql(f"{by_hand} ('delta.enableChangeDataFeed' = 'true', 'someone.elses' = 'x')")
    assert said(things, V1) == {"property delta.enableChangeDataFeed": (None, "true")}
    apply(things, plan(things, V1))
    assert said(things, V1) == {}

    things.spark.sql(f"{by_hand} ('delta.columnMapping.mode' = 'name')")

    assert plan(things, V1).refused


def tables_lake(things: Lake, monkeypatch: pytest.MonkeyPatch, declared: Table) -> None:
    """Let the job see this lake's session and one declared table."""
    monkeypatch.setattr(tables_job, "ALL_TABLES", (declared,))
    monkeypatch.setattr(tables_job, "spark_session", lambda *_, **__: _Kept(things.spark))


class _Kept:
    """A session that the job may use and not stop."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark

    def __enter__(self) -> SparkSession:
        return self.spark

    def __exit__(self, *_: object) -> None:
        return None


def test_the_job_creates_what_is_missing_and_says_when_nothing_is(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(spark, str(tmp_path / "lake"))
    tables_lake(lake, monkeypatch, V1)
    command = ["create", "--set", f"paths.warehouse={lake.root}"]

    codes = [tables_job.main(command), tables_job.main(command)]

    assert codes == [0, 0]
    assert lake.exists(V1)
    out = capsys.readouterr().out
    assert "1 created, 0 were there" in out
    assert "0 created, 1 were there" in out


def test_the_job_exits_with_3_on_a_difference_only_when_asked_to_check(
    things: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables_lake(things, monkeypatch, replace(V1, comment="Another"))
    place = ["--set", f"paths.warehouse={things.root}"]

    assert tables_job.main(["diff", *place]) == 0
    assert "Another" in capsys.readouterr().out
    assert tables_job.main(["diff", "--check", *place]) == 3
    tables_lake(things, monkeypatch, V1)
    assert tables_job.main(["diff", "--check", *place]) == 0


def test_the_job_migrates_only_with_apply(
    things: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = replace(V1, comment="Another")
    tables_lake(things, monkeypatch, changed)
    place = ["--set", f"paths.warehouse={things.root}"]

    assert tables_job.main(["migrate", *place]) == 0
    assert f"COMMENT ON TABLE delta.`{things.path(V1)}` IS 'Another';" in capsys.readouterr().out
    assert said(things, changed)
    assert tables_job.main(["migrate", "--apply", *place]) == 0
    assert said(things, changed) == {}


def test_the_job_fails_and_changes_nothing_where_one_difference_is_refused(
    things: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables_lake(things, monkeypatch, replace(V1, comment="Another", columns=V1.columns[:2]))
    version = things.version(V1)

    code = tables_job.main(["migrate", "--apply", "--set", f"paths.warehouse={things.root}"])

    assert code == 1
    assert "dropping a column loses its values" in capsys.readouterr().err
    assert things.version(V1) == version


def test_the_job_waits_for_no_one_who_holds_the_lease(
    things: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables_lake(things, monkeypatch, replace(V1, comment="Another"))
    place = ["--set", f"paths.warehouse={things.root}"]

    with tables_job.lease(
        things.files, things.root, V1.owner, purpose="a stream", seconds=60, clock=tables_job.system_clock
    ):
        code = tables_job.main(["migrate", "--apply", *place])

    assert code == 1
    assert "a stream" in capsys.readouterr().err
