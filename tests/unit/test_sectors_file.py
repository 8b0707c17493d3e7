"""Sectors as data: ranges of the SIC that do not overlap, and one sector for every SIC."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import SettingsError
from lakehouse.reference.sectors import SectorsFile, load_sectors
from lakehouse.settings import CONF


@pytest.mark.parametrize(
    ("sic", "sector"),
    [
        ("3571", "technology"), ("7372", "technology"), ("3674", "technology"), ("2834", "health"), ("2911", "energy"),
        ("6021", "finance"), ("4953", "other"), ("0100", "consumer_nondurables"), ("3711", "consumer_durables"),
        ("3693", "health"), ("5999", "shops_and_services"), ("9999", "other"), ("357", None), ("", None), (None, None),
        ("357x", None), ("٣٥٧١", None),
    ],
)  # fmt: skip
def test_the_shipped_file_knows_the_sector_of_a_sic(sic: str | None, sector: str | None) -> None:
    assert load_sectors(CONF / "sectors.yaml").sector_of(sic) == sector


def test_every_sic_is_of_the_one_sector_whose_range_holds_it() -> None:
    file = load_sectors(CONF / "sectors.yaml")

    for number in range(10_000):
        holding = [
            name for name, ranges in file.sectors.items() for one in ranges if int(one[:4]) <= number <= int(one[5:])
        ]
        assert [file.sector_of(f"{number:04d}")] == (holding or ["other"])


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ('a: ["2000-2999"], b: ["2500-2600"]', "do not overlap, found 2000-2999 (a) and 2500-2600 (b)"),
        ('a: ["2000-2999", "2999-3000"]', "expected ranges that do not overlap"),
        ('a: ["3000-2000"]', "expected ranges from low to high, found ['3000-2000']"),
        ('a: ["20-29"]', "sectors.a.0"), ('A: ["2000-2999"]', "sectors.A"), ("a: [2000]", "sectors.a.0"),
    ],
)  # fmt: skip
def test_a_mistake_names_the_file_and_what_was_expected(tmp_path: Path, ranges: str, said: str) -> None:
    path = tmp_path / "sectors.yaml"
    path.write_text(f"otherwise: other\nsectors: {{{ranges}}}")

    with pytest.raises(SettingsError) as caught:
        load_sectors(path)

    assert "sectors.yaml: " in str(caught.value)
    assert said in str(caught.value)


def test_ranges_that_touch_are_apart() -> None:
    file = SectorsFile.model_validate({"otherwise": "other", "sectors": {"a": ["2000-2999"], "b": ["3000-3000"]}})

    assert [file.sector_of(sic) for sic in ("2999", "3000", "3001")] == ["a", "b", "other"]
