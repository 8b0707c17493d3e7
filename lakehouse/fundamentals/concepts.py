"""Standard concepts as data: conf/concepts.yaml, checked, and in which order they can be answered."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakehouse.reference.yaml_files import load_checked
from lakehouse.settings import Section

Kind = Literal["flow", "stock", "average"]
Unit = Literal["money", "per_share", "shares"]
Taxonomy = Literal["us-gaap", "ifrs-full", "dei"]
Tag = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Formula(Section):
    """A sum and difference of other concepts; what it may lack counts as nothing where it is not reported."""

    plus: tuple[Name, ...] = Field(min_length=1)
    minus: tuple[Name, ...] = ()
    may_lack: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        if len(set(self.operands)) < len(self.operands):
            raise ValueError(f"expected each concept once, found {list(self.operands)}")
        if strange := sorted(set(self.may_lack) - set(self.operands)):
            raise ValueError(f"expected `may_lack` to name some of {list(self.operands)}, found {strange}")
        return self

    @property
    def operands(self) -> tuple[str, ...]:
        """Every concept it is made of."""
        return (*self.plus, *self.minus)

    @property
    def terms(self) -> tuple[tuple[str, int], ...]:
        """Every concept it is made of, and whether it is added (1) or taken away (-1)."""
        return (*((name, 1) for name in self.plus), *((name, -1) for name in self.minus))


class Concept(Section):
    """What a standard concept measures, the tags that tell of it, and how it is composed where none does."""

    kind: Kind
    unit: Unit
    tags: dict[Taxonomy, tuple[Tag | tuple[Tag, ...], ...]] = Field(default_factory=dict)
    formulas: tuple[Formula, ...] = ()

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        if not self.ways and not self.formulas:
            raise ValueError("expected tags or formulas")
        named = [tag for way in self.ways for tag in way]
        if len(set(named)) < len(named):
            raise ValueError(f"expected each tag once, found {sorted({tag for tag in named if named.count(tag) > 1})}")
        if self.formulas and self.unit != "money":
            raise ValueError("expected formulas of money only: shares of two filings may be split apart")
        return self

    @property
    def ways(self) -> tuple[tuple[str, ...], ...]:
        """The ways to read it, best first: tags that mean the same, with their taxonomies."""
        return tuple(
            tuple(f"{taxonomy}:{tag}" for tag in ((way,) if isinstance(way, str) else way))
            for taxonomy, ways in self.tags.items()
            for way in ways
        )


class ConceptsFile(Section):
    """The whole of conf/concepts.yaml."""

    version: int = Field(ge=1)
    concepts: dict[Name, Concept] = Field(min_length=1)

    @model_validator(mode="after")
    def _formulas_fit(self) -> Self:
        for name, formula in self._formulas():
            if strange := sorted(set(formula.operands) - self.concepts.keys()):
                raise ValueError(f"expected formulas of concepts of this file, found {strange} in {name}")
            shape = (self.concepts[name].kind, self.concepts[name].unit)
            misfits = [one for one in formula.operands if (self.concepts[one].kind, self.concepts[one].unit) != shape]
            if misfits:
                raise ValueError(f"expected {name} to be made of {shape[0]}s of {shape[1]}, found {misfits}")
        try:
            self.in_order()
        except CycleError as error:
            raise ValueError(f"expected no concept to be made of itself, found {error.args[1]}") from error
        return self

    def _formulas(self) -> Iterator[tuple[str, Formula]]:
        for name, concept in self.concepts.items():
            for formula in concept.formulas:
                yield name, formula

    def in_order(self) -> tuple[str, ...]:
        """The names of all concepts, each after those it is made of."""
        sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(self.concepts, ()))
        for name, formula in self._formulas():
            sorter.add(name, *formula.operands)
        return tuple(sorter.static_order())


def load_concepts(path: Path) -> ConceptsFile:
    """A concepts file, checked; one SettingsError names every problem in it."""
    return load_checked(path, ConceptsFile)
