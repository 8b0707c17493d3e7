"""From rows of silver.facts of one company to the figures of each standard concept, way by way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import attrgetter

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.fundamentals.answers import Splits
from lakehouse.fundamentals.concepts import ConceptsFile, Unit
from lakehouse.fundamentals.figures import Figure, quarters_in

MONEY, PER_SHARE = re.compile(r"[A-Z]{3}"), re.compile(r"[A-Z]{3}/shares")
FULLER, ROUNDED = "companyfacts", "datasets"
Place = tuple[str, int, int]  # a concept, which of its ways to be read, and the tag's place among those of that way


def figures_of(facts: pa.Table, concepts: ConceptsFile, splits: Splits) -> dict[str, list[list[Figure]]]:
    """The figures of every concept for each way to read it, as they became known, from facts in any order."""
    found: dict[str, list[list[Figure]]] = {
        name: [[] for _ in concept.ways] for name, concept in concepts.concepts.items()
    }
    places = _places(concepts)
    kept = without_rounded_copies(facts)
    currencies = currencies_of_filings(kept)
    for row in _rows(kept.filter(pc.is_in(kept["concept"], pa.array(list(places))))):
        tag, unit, end, days, accession, value, filed, known = row
        shape, currency = shape_of(unit)
        is_translation = currency is not None and currency != currencies.get(accession, currency)
        if value is None or known is None or shape is None or is_translation:
            continue
        quarters = quarters_in(days)
        basis = 0 if shape == "money" else splits.basis_of(filed)
        for name, way, place in places[tag]:
            concept = concepts.concepts[name]
            is_wanted = days == 0 if concept.kind == "stock" else quarters > 0
            if is_wanted and concept.unit == shape:
                figure = Figure(
                    tag, unit, end - max(days - 1, 0), end, quarters, value, accession, filed, known, place, basis
                )
                found[name][way].append(figure)
    for ways in found.values():
        for figures in ways:
            figures.sort(key=attrgetter("known"))
    return found


def shape_of(unit: str) -> tuple[Unit | None, str | None]:
    """What a unit of a filing measures, and in which currency; nothing where no concept is measured in it."""
    if MONEY.fullmatch(unit):
        return "money", unit
    if PER_SHARE.fullmatch(unit):
        return "per_share", unit[:3]
    return ("shares" if unit == "shares" else None), None


def without_rounded_copies(facts: pa.Table) -> pa.Table:
    """Facts without those of the Data Sets that companyfacts has too: there dates are rounded to the end of a month."""
    told = pc.unique(facts.filter(pc.equal(facts["origin"], FULLER))["accession"])
    is_copy = pc.and_(pc.equal(facts["origin"], ROUNDED), pc.is_in(facts["accession"], told))
    return facts.filter(pc.invert(pc.fill_null(is_copy, False)))


def currencies_of_filings(facts: pa.Table) -> dict[str, str]:
    """The currency of each filing by accession: that of most of its amounts. Amounts in others are translations.

    Of two that are equally frequent the one that comes first in the alphabet counts.
    """
    amounts = facts.filter(pc.match_substring_regex(facts["unit"], f"^{MONEY.pattern}$"))
    counted = amounts.group_by(["accession", "unit"]).aggregate([("unit", "count")]).to_pylist()
    counted.sort(key=lambda row: (row["unit_count"], [-ord(letter) for letter in row["unit"]]))
    return {row["accession"]: row["unit"] for row in counted}


def _places(concepts: ConceptsFile) -> Mapping[str, list[Place]]:
    places: dict[str, list[Place]] = {}
    for name, concept in concepts.concepts.items():
        for way, tags in enumerate(concept.ways):
            for place, tag in enumerate(tags):
                places.setdefault(tag, []).append((name, way, place))
    return places


def _rows(facts: pa.Table) -> zip[tuple[str, str, int, int, str, float | None, int, int | None]]:
    days, instants = pa.int32(), pa.int64()
    return zip(
        facts["concept"].to_pylist(),
        facts["unit"].to_pylist(),
        facts["period_end"].cast(days).to_pylist(),
        facts["days"].to_pylist(),
        facts["accession"].to_pylist(),
        facts["value"].to_pylist(),
        facts["filed_date"].cast(days).to_pylist(),
        facts["known_from"].cast(instants).to_pylist(),
        strict=True,
    )
