"""The timeline of a company, some of whose splits became known only after filings that count in the new shares.

Such a filing is taken as it stands until the split is known: who looked then saw it so. From that instant on the
timeline is the one that knows the split.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.filings.ordering import last_of_each
from lakehouse.fundamentals.concepts import ConceptsFile
from lakehouse.fundamentals.timeline import TIMELINE_SCHEMA, timeline_of

Split = tuple[date, float, datetime]  # the day it takes effect, how many shares one becomes, since when it is known
INSTANT = TIMELINE_SCHEMA.field("known_from").type
ANSWER, SAID = ("name", "span", "period_end"), ("value", "unit", "method", "reason", "operands")


def timeline_as_known(facts: pa.Table, concepts: ConceptsFile, splits: Iterable[Split]) -> pa.Table:
    """Rows of TIMELINE, none of which rests on a split that was not known by its `known_from`."""
    every = sorted(splits)
    late = [split for split in every if _is_late(facts, split)]
    known = [split for split in every if split not in late]
    rows = timeline_of(facts, concepts, _effects(known))
    for instant in sorted({split[2] for split in late}):
        known += [split for split in late if split[2] == instant]
        rows = _spliced(rows, timeline_of(facts, concepts, _effects(known)), instant)
    return rows


def _is_late(facts: pa.Table, split: Split) -> bool:
    """Whether a filing of its day or later was known before it was."""
    effective, _, known = split
    before = (pc.field("filed_date") >= effective) & (pc.field("known_from") < pa.scalar(known, INSTANT))
    return bool(facts.filter(before).num_rows)


def _effects(splits: Sequence[Split]) -> list[tuple[date, float]]:
    return [(day, ratio) for day, ratio, _ in splits]


def _spliced(before: pa.Table, after: pa.Table, instant: datetime) -> pa.Table:
    """The rows of one timeline until an instant, at it what another says differently, after it those of the other."""
    at = pa.scalar(instant, INSTANT)
    said = last_of_each(before.filter(pc.field("known_from") < at), ANSWER, ("known_from",))
    says = last_of_each(after.filter(pc.field("known_from") <= at), ANSWER, ("known_from",))
    old = set(zip(*(said[name].to_pylist() for name in (*ANSWER, *SAID)), strict=True))
    rows = zip(*(says[name].to_pylist() for name in (*ANSWER, *SAID)), strict=True)
    changed = says.filter(pa.array([row not in old for row in rows], pa.bool_()))
    place = changed.schema.get_field_index("known_from")
    changed = changed.set_column(place, "known_from", pa.repeat(at, changed.num_rows))
    parts = (before.filter(pc.field("known_from") < at), changed, after.filter(pc.field("known_from") > at))
    order = [(name, "ascending") for name in ("known_from", *ANSWER)]
    return pa.concat_tables([part.cast(TIMELINE_SCHEMA) for part in parts]).sort_by(order).combine_chunks()
