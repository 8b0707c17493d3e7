"""`tickhouse load-quotes` on a lake: each day once, whatever is repeated."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from jobs.load_quotes import load_quotes
from lakehouse import quotes
from lakehouse.lake import Lake
from lakehouse.settings import Settings
from lakehouse.tables.silver import QUOTES
from tests.delta.conftest import FIRST, LAST

pytestmark = pytest.mark.itest


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With a vendor's folder of quotes of two days."""
    folder = tmp_path / "lean" / "tick" / "x"
    folder.mkdir(parents=True)
    for day in (FIRST, LAST):
        with zipfile.ZipFile(folder / f"{day:%Y%m%d}_quote.zip", "w") as archive:
            archive.writestr("x.csv", "34200000,5,1,0,0,P,1,0\n34200000,0,0,6,1,P,1,0\n34200001,0,0,0,0,P,1,0\n")
    reference = settings.reference.model_copy(update={"lean_folder": str(tmp_path / "lean")})
    return settings.model_copy(update={"reference": reference})


def test_quotes_are_loaded_once_and_a_dry_run_loads_none(
    listed: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = load_quotes(listed, settings, "X", FIRST, LAST, dry_run=True)
    assert listed.read(QUOTES).isEmpty()

    done = load_quotes(listed, settings, "X", FIRST, LAST)
    again = load_quotes(listed, settings, "X", FIRST, LAST)

    assert planned == done == {"days": 2, "rows": 4, "left_out": 2, "held": 0}
    assert again == {"days": 0, "rows": 0, "left_out": 0, "held": 2}
    monkeypatch.setattr("jobs.load_quotes.held_days", lambda *_: set())  # as if its answer were a moment old
    load_quotes(listed, settings, "X", FIRST, FIRST)
    assert listed.read(QUOTES).count() == 4


def test_the_days_that_are_held_are_those_of_the_instrument(listed: Lake, settings: Settings) -> None:
    load_quotes(listed, settings, "X", FIRST, FIRST)

    assert quotes.held_days(listed, "X-1") == {FIRST}
    assert quotes.held_days(listed, "Y-1") == set()
