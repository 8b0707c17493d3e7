"""Every table of the lake, declared once."""

from lakehouse.tables import bronze, filings, fundamentals, gold, quality, silver
from lakehouse.tables.model import Column, Layer, Table

ALL_TABLES: tuple[Table, ...] = (
    *bronze.TABLES,
    *silver.TABLES,
    *filings.TABLES,
    *gold.TABLES,
    *fundamentals.TABLES,
    *quality.TABLES,
)


def table_named(full_name: str) -> Table:
    """The declaration of `layer.name`; an unknown name lists the known ones."""
    for table in ALL_TABLES:
        if table.full_name == full_name:
            return table
    known = ", ".join(table.full_name for table in ALL_TABLES)
    raise KeyError(f"{full_name}: no such table is declared. Declared are: {known}.")


__all__ = ["ALL_TABLES", "Column", "Layer", "Table", "table_named"]
