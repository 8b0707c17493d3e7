"""What the driver knows of judged rows: enough to tell second copies, which of them stays, and what to count."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.kernels import prints as column
from lakehouse.kernels.fingerprints import PRIME, Points, fingerprints
from lakehouse.tables import Table
from lakehouse.tables.silver import QUARANTINE, TRADES
from streaming.arrow_texts import Pool, trade_ids
from streaming.batches import Longs
from streaming.judge import Judged
from streaming.judged_rows import CONTROL, PRINT

NUMBERS = {
    "row": pa.int64(), "one": pa.int64(), "two": pa.int64(), "instant_us": pa.int64(), "received_us": pa.int64(),
    "verdict": pa.int8(), "position": pa.int32(),
}  # fmt: skip
OUTLINE = pa.schema([*NUMBERS.items(), ("bronze_ref", pa.dictionary(pa.int32(), pa.string()))])


@dataclass(frozen=True, eq=False)
class Kind:
    """One of the two kinds of rows a batch yields: where they go, and what makes two of them the same.

    The key is a number and a text; `instant` is the column that says where in time copies of a row are found.
    """

    table: Table
    rows: str
    instant: str
    number: str
    text: str


PRINTS = Kind(TRADES, f"verdict = {PRINT}", "traded_at", "session_date", "trade_id")
REFUSALS = Kind(QUARANTINE, f"verdict NOT IN ({PRINT}, {CONTROL})", "arrived_at", "position", "bronze_ref")
KINDS = (PRINTS, REFUSALS)


def new_points() -> Points:
    """Where fingerprints are taken in this run of a query; another run takes its own."""
    return np.array([secrets.randbelow(PRIME - 2) + 2 for _ in range(2)], np.int64)


def key_fingerprints(rows: pa.Table, kind: Kind, points: Points) -> Longs:
    """Both halves of the fingerprint of each row's key: two columns of the result."""
    texts = rows[kind.text]
    pool = Pool.of(texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts)
    return _fingerprints(rows[kind.number].cast(pa.int32()).to_numpy().astype(np.int64), pool, points)


def _fingerprints(numbers: Longs, texts: Pool, points: Points) -> Longs:
    halves = np.empty((2, len(numbers)), np.int64)
    fingerprints(numbers, texts.begins, texts.texts, points, halves)
    return halves


def outline_of_prints(judged: Judged, first: int, points: Points) -> pa.Table:
    """The outline of accepted prints, which are numbered from `first` on, without making rows of them."""
    prints, around = judged.prints, judged.around
    one, two = _fingerprints(around.days, trade_ids(prints, judged.refs), points)
    records = pa.array(prints.columns[column.RECORD].astype(np.int32))
    columns: dict[str, Any] = {
        "row": first + np.arange(len(prints)), "one": one, "two": two,
        "instant_us": prints.columns[column.TRADED] * 1000, "received_us": around.received_ms * 1000,
        "verdict": np.full(len(prints), PRINT, np.int8), "position": prints.columns[column.POSITION].astype(np.int32),
        "bronze_ref": pa.DictionaryArray.from_arrays(records, judged.refs.array()),
    }  # fmt: skip
    return pa.table(columns, schema=OUTLINE)


def outline_of(rows: pa.Table, points: Points) -> pa.Table:
    """The outline of judged rows with a number, `row`; each row's key is that of its kind."""
    verdict = rows["verdict"].to_numpy()
    one, two = np.zeros((2, rows.num_rows), np.int64)
    instant = np.zeros(rows.num_rows, np.int64)
    for kind, at in ((PRINTS, verdict == PRINT), (REFUSALS, (verdict != PRINT) & (verdict != CONTROL))):
        if at.any():
            chosen = rows if at.all() else rows.filter(pa.array(at))
            one[at], two[at] = key_fingerprints(chosen, kind, points)
            instant[at] = pc.fill_null(chosen[kind.instant].cast(pa.int64()), 0).to_numpy()
    received = pc.coalesce(rows["received_at"], rows["arrived_at"]).cast(pa.int64())
    columns = {"row": rows["row"], "one": one, "two": two, "instant_us": instant}
    columns |= {
        "received_us": pc.fill_null(received, 0),
        "verdict": rows["verdict"],
        "position": pc.fill_null(rows["position"], -1),
    }
    return pa.table({**columns, "bronze_ref": rows["bronze_ref"].dictionary_encode()}, schema=OUTLINE)


@dataclass(frozen=True)
class Outline:
    """Outlines of many rows, an array a column.

    `refs` name the bronze records of the rows there were at first, and `first_places` which of those these are: only
    suspects are asked for their records.
    """

    arrays: Mapping[str, Longs]
    refs: pa.ChunkedArray
    first_places: Longs

    @classmethod
    def of_tables(cls, tables: Iterable[pa.Table]) -> Outline:
        """All rows of some outlines."""
        whole = pa.concat_tables([OUTLINE.empty_table(), *tables])
        arrays = {name: whole[name].to_numpy().astype(np.int64) for name in NUMBERS}
        return cls(arrays, whole["bronze_ref"], np.arange(whole.num_rows))

    def __len__(self) -> int:
        return len(self.first_places)

    def __getitem__(self, name: str) -> Longs:
        return self.arrays[name]

    def at(self, places: Longs) -> Outline:
        """Some of the rows."""
        arrays = {name: one[places] for name, one in self.arrays.items()}
        return Outline(arrays, self.refs, self.first_places[places])

    def record(self, place: int) -> str:
        """The bronze record a row came from."""
        return str(self.refs[int(self.first_places[place])].as_py())

    def of(self, kind: Kind) -> Outline:
        """The rows of one kind."""
        is_print = self["verdict"] == PRINT
        return self.at(np.flatnonzero(is_print if kind is PRINTS else ~is_print & (self["verdict"] != CONTROL)))

    def count(self, verdict: int) -> int:
        """How many rows carry a verdict."""
        return int((self["verdict"] == verdict).sum())


def second_copies(outline: Outline, held: NDArray[np.bool_]) -> Longs:
    """Places of rows that must not be appended: copies of what is `held`, and all but the first of copies in here.

    The first of a key is the one received first; among those the one that stands first in bronze.
    """
    order = np.lexsort((outline["received_us"], outline["two"], outline["one"]))
    one, two = outline["one"][order], outline["two"][order]
    again = np.flatnonzero((one[1:] == one[:-1]) & (two[1:] == two[:-1])) + 1
    second = set(np.flatnonzero(held).tolist())
    for group in np.split(again, np.flatnonzero(np.diff(again) != 1) + 1) if len(again) else []:
        places = order[group[0] - 1 : group[-1] + 1]
        ranked = sorted(places.tolist(), key=lambda at: _rank(outline, at))
        second.update(ranked[1:])
    return np.array(sorted(second), np.int64)


def _rank(outline: Outline, at: int) -> tuple[int, str, int]:
    return int(outline["received_us"][at]), outline.record(at), int(outline["position"][at])
