"""What was known of one company and when: every standard concept, for every stretch of time, as a table of changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.fundamentals.answers import Answer, Arithmetic, Splits
from lakehouse.fundamentals.concepts import ConceptsFile
from lakehouse.fundamentals.histories import Histories, composed, first_answered, histories_of
from lakehouse.fundamentals.reading import figures_of

TIMELINE_SCHEMA = pa.schema(
    [
        ("cik", pa.int64()),
        ("name", pa.string()),
        ("span", pa.string()),
        ("period_end", pa.date32()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("known_from", pa.timestamp("us", "UTC")),
        ("filed_date", pa.date32()),
        ("method", pa.string()),
        ("reason", pa.string()),
        ("operands", pa.string()),
    ]
)
FIRST_DAY = date(1970, 1, 1)


def timeline_of(facts: pa.Table, concepts: ConceptsFile, splits: Iterable[tuple[date, float]] = ()) -> pa.Table:
    """Rows of answers of one company from rows of silver.facts in any order: each holds from its `known_from` on.

    A row is there only where an answer became another one, so that of a (name, span, period_end) the newest row with
    `known_from` up to an instant is what was known then. `splits` are days on which splits took effect and how many
    shares one share became: figures of filings from before and after one are brought to the basis of the newest.
    """
    ciks = pc.unique(facts["cik"]).to_pylist()
    if len(ciks) > 1:
        raise ValueError(f"facts: expected those of one company, found CIKs {sorted(ciks)}; split them by `cik` first")
    ordered = Splits.of(splits)
    histories = all_histories(facts, concepts, ordered)
    return _table(ciks[0], histories, ordered) if ciks else TIMELINE_SCHEMA.empty_table()


def all_histories(facts: pa.Table, concepts: ConceptsFile, splits: Splits) -> dict[str, Histories]:
    """The histories of every concept by its name."""
    figures = figures_of(facts, concepts, splits)
    found: dict[str, Histories] = {}
    for name in concepts.in_order():
        concept = concepts.concepts[name]
        arithmetic = Arithmetic(concept.kind, concept.unit, splits)
        read = [histories_of(one, arithmetic) for one in figures[name]]
        found[name] = first_answered([*read, *(composed(formula, found) for formula in concept.formulas)])
    return found


def _table(cik: int, histories: Mapping[str, Histories], splits: Splits) -> pa.Table:
    rows = [
        (known, name, span, end, answer)
        for name, of_name in histories.items()
        for (span, end), history in of_name.items()
        for known, answer in history
    ]
    rows.sort(key=lambda row: row[:4])
    columns = {
        "cik": [cik] * len(rows),
        "name": [row[1] for row in rows],
        "span": [row[2] for row in rows],
        "period_end": [row[3] for row in rows],
        "value": [row[4].value for row in rows],
        "unit": [row[4].unit for row in rows],
        "known_from": [row[0] for row in rows],
        "filed_date": [row[4].filed for row in rows],
        "method": [row[4].method for row in rows],
        "reason": [row[4].reason for row in rows],
        "operands": [operands_text(row[4], splits) for row in rows],
    }
    numbers = {"period_end": pa.int32(), "filed_date": pa.int32(), "known_from": pa.int64()}
    arrays = [
        pa.array(columns[field.name], numbers.get(field.name, field.type)).cast(field.type) for field in TIMELINE_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=TIMELINE_SCHEMA)


def operands_text(answer: Answer, splits: Splits) -> str:
    """The figures of an answer as JSON, each with its sign and, where shares were split since, into how many."""
    operands = []
    for figure, sign in answer.terms:
        operand: dict[str, object] = {
            "concept": figure.concept,
            "unit": figure.unit,
            "period_start": _day(figure.start) if figure.quarters else None,
            "period_end": _day(figure.end),
            "accession": figure.accession,
            "value": figure.value,
            "sign": sign,
            "filed_date": _day(figure.filed),
        }
        if figure.basis != answer.basis:
            operand["split_ratio"] = splits.ratio(figure.basis, answer.basis)
        operands.append(operand)
    return json.dumps(operands, separators=(",", ":"))


def _day(number: int) -> str:
    return (FIRST_DAY + timedelta(days=number)).isoformat()
