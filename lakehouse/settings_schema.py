"""What the declared settings accept: finding a field by its key, and saying in words which values it takes."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import SecretStr

from lakehouse.settings import Section, Settings

Path = tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """One leaf of the settings: its place, its Python type, and what pydantic knows of its values."""

    path: Path
    annotation: Any
    schema: dict[str, Any]
    default: object

    @property
    def key(self) -> str:
        """The dotted key as people write it: `source.kinesis.stream`."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable that sets it: `TICKHOUSE__SOURCE__KINESIS__STREAM`."""
        return "__".join(("TICKHOUSE", *self.path)).upper()

    @property
    def is_secret(self) -> bool:
        """Whether its value must never be shown."""
        return self.takes(SecretStr)

    @property
    def is_mapping(self) -> bool:
        """Whether it holds named entries of its own, as `spark.conf` does."""
        return typing.get_origin(self.annotation) is dict

    @property
    def expected(self) -> str:
        """The values it takes, in words."""
        return "a secret or null" if self.is_secret else _in_words(self.schema)

    def takes(self, kind: type) -> bool:
        """Whether a value of this type is among those it takes."""
        return self.annotation is kind or kind in typing.get_args(self.annotation)


@cache
def all_fields() -> dict[Path, Field]:
    """Every leaf of the settings by its path, in declared order."""
    return {field.path: field for field in _fields_of(Settings, ())}


def _fields_of(model: type[Section], place: Path) -> Iterator[Field]:
    properties = model.model_json_schema()["properties"]
    for name, info in model.model_fields.items():
        section = _section(info.annotation)
        if section is not None:
            yield from _fields_of(section, (*place, name))
        else:
            default = info.get_default(call_default_factory=True)
            yield Field((*place, name), info.annotation, properties[name], default)


def _section(annotation: Any) -> type[Section] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def names_below(place: Path) -> list[str] | None:
    """The keys a section has, in declared order; None where there is no such section."""
    names = [path[len(place)] for path in all_fields() if path[: len(place)] == place and len(path) > len(place)]
    return list(dict.fromkeys(names)) or None


def field_at(parts: Sequence[str]) -> Field | None:
    """The leaf that a key belongs to; an entry of a mapping belongs to the mapping."""
    fields = all_fields()
    for length in range(1, len(parts) + 1):
        found = fields.get(tuple(parts[:length]))
        if found is not None and (length == len(parts) or found.is_mapping):
            return found
    return None


def did_you_mean(parts: Sequence[str]) -> str:
    """A hint that names the nearest known key, or else the keys of the nearest section."""
    known = [field.key for field in all_fields().values()]
    near = get_close_matches(".".join(parts), known, n=1, cutoff=0.75)
    if near:
        return f"Did you mean {near[0]}?"
    same_name = [key for key in known if key.rpartition(".")[2] == parts[-1]]
    if same_name:
        return f"Did you mean {same_name[0]}?"
    for length in range(len(parts) - 1, -1, -1):
        names = names_below(tuple(parts[:length]))
        if names:
            return f"Known here: {', '.join(names)}."
    return ""


def _in_words(schema: dict[str, Any]) -> str:
    """A JSON schema of one plain value as a phrase: `a whole number, at least 1`."""
    if "anyOf" in schema:
        return " or ".join(_in_words(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    words = {
        "string": "text",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "object": "a mapping of text to text",
        "null": "null",
    }.get(schema["type"], schema["type"])
    limits = [
        template.format(schema[limit])
        for limit, template in {
            "minimum": "at least {}",
            "exclusiveMinimum": "above {}",
            "maximum": "at most {}",
            "exclusiveMaximum": "below {}",
            "pattern": "matching {}",
        }.items()
        if limit in schema
    ]
    return ", ".join([words, *limits])
