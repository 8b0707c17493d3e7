"""Sale conditions: which prints move open and close, high and low, volume and VWAP, in the dialect of each feed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from lakehouse.reference.yaml_files import load_checked
from lakehouse.settings import Section

MOVES_LAST, MOVES_RANGE, COUNTS_VOLUME, COUNTS_VWAP = 1, 2, 4, 8
EVERYTHING = MOVES_LAST | MOVES_RANGE | COUNTS_VOLUME | COUNTS_VWAP
HEX_FLAGS = re.compile(r"[0-9A-Fa-f]{1,16}")
CACHE_LIMIT = 10_000  # a feed has a few dozen combinations; whoever invents millions must not fill the memory

Role = Literal["opening", "closing"]


class Rule(Section):
    """What one sale condition means for bars. What is not said is allowed."""

    match: str = Field(min_length=1)
    name: str
    unless: tuple[str, ...] = ()
    moves_last: bool = True
    moves_range: bool = True
    counts_volume: bool = True
    counts_vwap: bool = True
    role: Role | None = None

    @property
    def eligibility(self) -> int:
        """The rule as bits, as silver.trades keeps them."""
        bits = (
            self.moves_last * MOVES_LAST, self.moves_range * MOVES_RANGE,
            self.counts_volume * COUNTS_VOLUME, self.counts_vwap * COUNTS_VWAP,
        )  # fmt: skip
        return sum(bits)


class DialectRules(Section):
    """The sale conditions of one feed: a list of codes, or numbers whose bits are flags."""

    about: str
    codes_are: Literal["texts", "hexadecimal flags"] = "texts"
    rules: tuple[Rule, ...]

    @model_validator(mode="after")
    def _no_rule_comes_twice(self) -> Self:
        keys = [(rule.match, rule.unless) for rule in self.rules]
        if twice := sorted({match for match, unless in keys if keys.count((match, unless)) > 1}):
            raise ValueError(f"expected one rule for each condition, found {twice} more than once")
        return self


class ConditionsFile(Section):
    """The whole of conf/sale_conditions.yaml."""

    version: int = Field(ge=1)
    dialects: dict[str, DialectRules]


Verdict = tuple[int, Role | None]


@dataclass(frozen=True)
class Dialect:
    """The rules of one feed. A print may do what all its conditions allow; an unknown condition forbids nothing."""

    flags: bool
    rules: tuple[Rule, ...]
    _verdicts: dict[str | None, Verdict] = field(default_factory=dict, compare=False, repr=False)

    def judge_text(self, text: str | None) -> Verdict:
        """Eligibility bits and auction role of a print whose conditions, comma separated, are `text`."""
        verdict = self._verdicts.get(text)
        if verdict is None:
            if len(self._verdicts) >= CACHE_LIMIT:
                self._verdicts.clear()
            verdict = self._verdicts[text] = self._judge(tuple(text.split(",")) if text else ())
        return verdict

    def judge(self, conditions: tuple[str, ...] | None) -> Verdict:
        """Eligibility bits and auction role of a print with these conditions."""
        return self.judge_text(",".join(conditions) if conditions else None)

    def unknown(self, text: str | None) -> tuple[str, ...]:
        """The conditions in `text` that no rule names, each flag by itself; they are let pass and want looking up."""
        codes, bits = self._read(tuple(text.split(",")) if text else ())
        known_codes, known_bits = self._read(tuple(rule.match for rule in self.rules))
        strange = bits & ~known_bits
        flags = (f"{1 << place:x}" for place in range(strange.bit_length()) if strange >> place & 1)
        return (*sorted(codes - known_codes), *flags)

    def _judge(self, conditions: tuple[str, ...]) -> Verdict:
        codes, bits = self._read(conditions)
        applying = [rule for rule in self.rules if self._applies(rule, codes, bits)]
        roles = [rule.role for rule in applying if rule.role]
        return reduce(and_, (rule.eligibility for rule in applying), EVERYTHING), roles[0] if roles else None

    def _applies(self, rule: Rule, codes: set[str], bits: int) -> bool:
        wanted_codes, wanted_bits = self._read((rule.match,))
        barred_codes, barred_bits = self._read(rule.unless)
        is_there = wanted_codes <= codes and bits & wanted_bits == wanted_bits
        is_barred = bool(barred_codes & codes or barred_bits & bits)
        return is_there and not is_barred

    def _read(self, conditions: tuple[str, ...]) -> tuple[set[str], int]:
        """Conditions as codes and as one number of flags; in a dialect of flags a text that is no number is a code."""
        numbers = [int(one, 16) for one in conditions if self.flags and HEX_FLAGS.fullmatch(one)]
        codes = {one for one in conditions if one and not (self.flags and HEX_FLAGS.fullmatch(one))}
        return codes, reduce(int.__or__, numbers, 0)


@dataclass(frozen=True)
class Dialects:
    """The dialects of every feed, and the version of the file they came from."""

    version: int
    by_feed: dict[str, Dialect]


def load_dialects(path: Path) -> Dialects:
    """The dialects of a sale-conditions file, checked."""
    contents = load_checked(path, ConditionsFile)
    return Dialects(
        contents.version,
        {
            feed: Dialect(dialect.codes_are == "hexadecimal flags", dialect.rules)
            for feed, dialect in contents.dialects.items()
        },
    )
