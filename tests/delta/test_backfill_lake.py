"""`tickhouse backfill` on a lake: what it loads, what it leaves alone, and what it says of both."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from jobs.backfill import backfill, show
from lakehouse.clock import system_clock
from lakehouse.errors import LeaseError, SettingsError
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.settings import Settings
from lakehouse.tables.gold import BARS
from lakehouse.vendor import vendor_frame
from tests.delta.conftest import FIRST, LAST

TEN = 10 * 3_600_000


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With a vendor's folder of two daily lines and three minutes."""
    files = {
        "daily/x.zip": "20131007 00:00,1,2,1,2,9\n20131008 00:00,1,2,1,2,9\n20131009 00:00,1,2,1,2,9\n",
        "minute/x/20131008_trade.zip": "".join(f"{TEN + at * 60_000},5,6,5,6,{at}\n" for at in range(3)),
    }
    for name, text in files.items():
        path = tmp_path / "lean" / name
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.csv", text)
    reference = settings.reference.model_copy(update={"lean_folder": str(tmp_path / "lean")})
    return settings.model_copy(update={"reference": reference})


@pytest.mark.itest
def test_history_is_loaded_once_beside_built_bars_and_the_report_says_what_became_of_it(
    listed: Lake, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = backfill(listed, settings, "X", FIRST, LAST, dry_run=True)
    assert listed.read(BARS).isEmpty()
    minutes = vendor_frame(listed.spark, planned.histories[1].parts)
    listed.append(BARS, minutes.where("volume = 1").withColumns({"source": F.lit("built"), "open": F.lit(None)}))

    loaded = backfill(listed, settings, "X", FIRST, LAST)
    version = listed.version(BARS)
    repeated = backfill(listed, settings, "X", FIRST, LAST)

    rows = listed.read(BARS).orderBy("interval", "bar_start").select("interval", "source", F.isnull("open")).collect()
    assert list(map(tuple, rows)) == [
        ("1d", "vendor", False), ("1d", "vendor", False),
        ("1m", "vendor", False), ("1m", "built", True), ("1m", "vendor", False),
    ]  # fmt: skip
    assert planned.effects == {"1d": {"added": 2}, "1m": {"added": 3}}
    assert loaded.effects == {"1d": {"added": 2}, "1m": {"built": 1, "added": 2}}
    assert repeated.effects == {"1d": {"unchanged": 2}, "1m": {"built": 1, "unchanged": 2}}
    assert listed.version(BARS) == version

    show(loaded, as_json=False, dry_run=False)
    assert "X (X-1), 2013-10-07 to 2013-10-08" in capsys.readouterr().out


def test_nothing_is_loaded_without_the_vendors_folder_or_while_the_stream_runs(
    listed: Lake, settings: Settings
) -> None:
    without = settings.model_copy(update={"reference": settings.reference.model_copy(update={"lean_folder": None})})
    with pytest.raises(SettingsError, match=r"reference.lean_folder: expected the folder.*found null"):
        backfill(listed, without, "X", FIRST, LAST)
    running = lease(listed.files, listed.root, "stream", purpose="the stream", seconds=30, clock=system_clock)
    with running, pytest.raises(LeaseError, match="the stream"):
        backfill(listed, settings, "X", FIRST, LAST)

    assert listed.version(BARS) == 0
