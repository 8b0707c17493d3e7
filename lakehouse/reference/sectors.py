"""Industries as data: conf/sectors.yaml says which ranges of the SIC are of which sector."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from lakehouse.reference.yaml_files import load_checked
from lakehouse.settings import Section

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Range = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{4}$")]


class SectorsFile(Section):
    """The whole of conf/sectors.yaml: ranges that do not overlap, and the sector of what is in none."""

    otherwise: Name
    sectors: dict[Name, tuple[Range, ...]]

    @model_validator(mode="after")
    def _ranges_are_apart(self) -> Self:
        if backwards := [f"{first}-{last}" for first, last, _ in self._ordered() if first > last]:
            raise ValueError(f"expected ranges from low to high, found {backwards}")
        for (first, last, name), (other_first, other_last, other) in pairwise(self._ordered()):
            if other_first <= last:
                found = f"{first}-{last} ({name}) and {other_first}-{other_last} ({other})"
                raise ValueError(f"expected ranges that do not overlap, found {found}")
        return self

    def sector_of(self, sic: str | None) -> str | None:
        """The sector of a SIC, None where there is no SIC of four digits."""
        if sic is None or len(sic) != 4 or not (sic.isascii() and sic.isdigit()):
            return None
        return next((name for first, last, name in self._ordered() if first <= sic <= last), self.otherwise)

    def _ordered(self) -> list[tuple[str, str, str]]:
        return sorted((one[:4], one[5:], name) for name, ranges in self.sectors.items() for one in ranges)


def load_sectors(path: Path) -> SectorsFile:
    """A file of sectors, checked; one SettingsError names every problem in it."""
    return load_checked(path, SectorsFile)
