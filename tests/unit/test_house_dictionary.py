"""The generated pages say what the declarations say, and the committed ones are up to date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs import docs
from lakehouse.dictionary import DOCS, data_dictionary, pages
from lakehouse.settings_schema import all_fields
from lakehouse.tables import ALL_TABLES


@pytest.mark.parametrize("name", pages())
def test_the_committed_page_is_what_the_declarations_generate(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run `make docs`"


def test_every_table_column_and_check_is_in_the_dictionary() -> None:
    page = data_dictionary(ALL_TABLES)

    for table in ALL_TABLES:
        section = page.split(f"\n## {table.full_name}\n")[1].split("\n## ")[0]
        assert table.comment in section
        for column in table.columns:
            assert f"| `{column.name}` | {column.type} | {'' if column.nullable else 'yes'} |" in section
        for name in table.checks:
            assert f"| `{name}` |" in section


def test_a_bar_in_a_meaning_does_not_end_its_cell() -> None:
    table = replace(ALL_TABLES[0], checks={"either": "a = 1 || b = 2"})

    assert "| `either` | `a = 1 \\|\\| b = 2` |" in data_dictionary([table])


def test_every_setting_has_its_variable_on_the_page_and_no_secret_a_default() -> None:
    page = pages()["settings.md"]

    for field in all_fields().values():
        assert (f"| `{field.key}` | `{field.variable}` |" in page) == (field.key != "environment")
        if field.is_secret:
            assert f"| `{field.key}` | `{field.variable}` | a secret or null |  |" in page


def test_the_job_writes_once_and_checks_without_writing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--folder", str(tmp_path / "docs")]

    assert docs.main(["--check", *folder]) == 3
    assert not (tmp_path / "docs").exists()
    assert docs.main(folder) == 0
    assert docs.main(["--check", *folder]) == 0
    assert "up to date" in capsys.readouterr().out
