"""One companyfacts document of the SEC: every number a company has tagged, with the filing that states it.

`fy` and `fp` describe that filing, never the fact: a 10-K of 2010 repeats the numbers of 2009 and 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.filings.columns import Inexact, accessions, days, is_text, numbers, texts, whole_numbers
from lakehouse.filings.documents import Refusal, cik_of, content_hash, loaded, refused, shortened
from lakehouse.filings.shapes import INSTANT, READ_FACTS

Mask = NDArray[np.bool_]
SOURCE = "companyfacts"


@dataclass(frozen=True)
class ParsedFacts:
    """The facts of one document, and what became none: every entry is a row or a refusal."""

    rows: pa.Table
    refusals: list[Refusal]


@dataclass
class _Entries:
    """Every entry of a document in order, and the lists they stand in: concept, unit, place and length of each."""

    entries: list[Any] = field(default_factory=list)
    concepts: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, reason: str, place: str, found: object) -> None:
        """Note a part that holds no entries."""
        self.refusals.append(Refusal(reason, place.encode(errors="backslashreplace").decode(), shortened(found)))


def facts_of(document: bytes, *, fetched_at: datetime) -> ParsedFacts:
    """The facts a companyfacts document states, in its order. Shape: READ_FACTS."""
    content = loaded(document, SOURCE)
    cik = cik_of(content, SOURCE)
    taxonomies = content.get("facts")
    if not isinstance(taxonomies, dict):
        raise refused(f"{SOURCE} of {cik}", "an object in `facts`", taxonomies)
    found = _entries(taxonomies)
    columns, reasons = _columns(found.entries)
    lists = np.repeat(np.arange(len(found.lengths)), found.lengths)
    count = len(found.entries)
    columns |= {
        "cik": pa.repeat(pa.scalar(cik, pa.int64()), count),
        "concept": pa.array(found.concepts, pa.string()).take(pa.array(lists)),
        "unit": pa.array(found.units, pa.string()).take(pa.array(lists)),
        "origin": pa.repeat(SOURCE, count),
        "fetched_at": pa.repeat(pa.scalar(fetched_at, INSTANT), count),
        "content_hash": pa.repeat(pa.scalar(content_hash(document), pa.int64()), count),
    }
    rows = pa.Table.from_arrays([columns[name] for name in READ_FACTS.names], schema=READ_FACTS)
    is_refused = reasons != ""
    found.refusals.extend(_refusals(found, reasons, lists, np.flatnonzero(is_refused)))
    return ParsedFacts(rows.filter(pa.array(~is_refused)) if is_refused.any() else rows, found.refusals)


def _entries(taxonomies: dict[str, Any]) -> _Entries:
    found = _Entries()
    for taxonomy, concepts in taxonomies.items():
        if not isinstance(concepts, dict):
            found.refuse("concepts_missing", f"facts.{taxonomy}", concepts)
            continue
        for tag, body in concepts.items():
            place = f"facts.{taxonomy}.{tag}"
            units = body.get("units") if isinstance(body, dict) else None
            if not isinstance(units, dict):
                found.refuse("units_missing", place, body)
                continue
            for unit, entries in units.items():
                _add(found, f"{taxonomy}:{tag}", unit, f"{place}.units.{unit}", entries)
    return found


def _add(found: _Entries, concept: str, unit: str, place: str, entries: object) -> None:
    if not isinstance(entries, list):
        found.refuse("facts_missing", place, entries)
    elif not (unit and is_text(unit) and is_text(concept)):
        found.refuse("name_malformed", place, entries)
    else:
        found.entries.extend(entries)
        found.concepts.append(concept)
        found.units.append(unit)
        found.places.append(place)
        found.lengths.append(len(entries))


def _columns(entries: Sequence[Any]) -> tuple[dict[str, pa.Array], NDArray[np.object_]]:
    """The columns that entries fill, and of each entry the reason why it is refused, empty where it is not."""
    is_object: Mask = np.fromiter((type(entry) is dict for entry in entries), bool, len(entries))
    if not is_object.all():
        entries = [entry if type(entry) is dict else {} for entry in entries]
    raw = {
        name: [entry.get(name) for entry in entries]
        for name in ("start", "end", "val", "accn", "fy", "fp", "form", "filed")
    }
    start, end, filed = days(raw["start"]), days(raw["end"]), days(raw["filed"])
    length = np.where(_filled(start), _numbers_of(end) - _numbers_of(start) + 1, 0)
    is_stated: Mask = np.fromiter((value is not None for value in raw["start"]), bool, len(entries))
    columns = {
        "period_start": start, "period_end": end, "days": pa.array(length, pa.int32()), "filed_date": filed,
        "accession": accessions(raw["accn"]), "value": numbers(raw["val"]), "form": texts(raw["form"]),
        "fiscal_year": whole_numbers(raw["fy"]), "fiscal_period": texts(raw["fp"]),
    }  # fmt: skip
    objections = {
        "fact_not_an_object": ~is_object,
        "end_not_a_day": ~_filled(end),
        "start_not_a_day": is_stated & ~_filled(start),
        "start_after_end": _filled(start) & (length < 1),
        "accession_malformed": ~_filled(columns["accession"]),
        "filed_not_a_day": ~_filled(filed),
    }
    reasons = np.select(list(objections.values()), list(objections), "").astype(object)
    for at in np.flatnonzero(~_filled(columns["value"]) & (reasons == "")):
        reasons[at] = _objection_to_value(raw["val"][at])
    return columns, reasons


def _objection_to_value(value: object) -> str:
    if value is None:
        return "value_missing"
    if isinstance(value, Inexact) or type(value) is int:
        return "value_inexact"
    return "value_not_finite" if type(value) is float else "value_not_a_number"


def _refusals(
    found: _Entries, reasons: NDArray[np.object_], lists: NDArray[np.intp], at: NDArray[np.intp]
) -> list[Refusal]:  # fmt: skip
    firsts = np.cumsum([0, *found.lengths])
    return [
        Refusal(reasons[one], f"{found.places[lists[one]]}[{one - firsts[lists[one]]}]", shortened(found.entries[one]))
        for one in at
    ]


def _filled(column: pa.Array) -> Mask:
    filled: Mask = column.is_valid().to_numpy(zero_copy_only=False)
    return filled


def _numbers_of(dates: pa.Array) -> NDArray[np.int32]:
    since_1970: NDArray[np.int32] = dates.cast(pa.int32()).fill_null(0).to_numpy()
    return since_1970
