"""Which session dates of a table are judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame

from lakehouse.quality.verdicts import WHOLE
from lakehouse.tables import Table


@dataclass(frozen=True)
class Days:
    """The session dates that are judged, of tables that have them; others are judged whole."""

    first: date = date.min
    last: date = date.max

    @property
    def are_all(self) -> bool:
        """Whether nothing is left out."""
        return (self.first, self.last) == (date.min, date.max)

    def bounds(self, table: Table) -> bool:
        """Whether they leave out rows of a table."""
        return not self.are_all and "session_date" in table.column_names

    def scope(self, table: Table) -> str:
        """What was judged, as gold.quality_results says it."""
        return f"{self.first} to {self.last}" if self.bounds(table) else WHOLE

    def rows(self, table: Table, rows: DataFrame) -> DataFrame:
        """The rows that are judged."""
        if not self.bounds(table):
            return rows
        return rows.where(f"session_date BETWEEN DATE '{self.first}' AND DATE '{self.last}'")


ALL_DAYS = Days()
