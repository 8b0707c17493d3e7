"""Data files of conf/ that have a schema: read whole or refused with one line for every problem."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from lakehouse.errors import SettingsError

Model = TypeVar("Model", bound=BaseModel)


def load_checked(path: Path, model: type[Model]) -> Model:
    """The contents of a YAML file as `model`, or a SettingsError that names the file, the key and what was expected."""
    if not path.is_file():
        raise SettingsError(f"{path}: expected a file, found none. Nothing was loaded. Create it or correct its path.")
    try:
        contents = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: expected YAML in UTF-8, found: {' '.join(str(error).split())}.") from error
    try:
        return model.model_validate(contents)
    except ValidationError as error:
        raise SettingsError("\n".join(_problems(path, error))) from error


def _problems(path: Path, error: ValidationError) -> list[str]:
    lines = []
    for detail in error.errors(include_url=False):
        place = ".".join(str(part) for part in detail["loc"]) or "the file"
        found = "nothing" if detail["type"] == "missing" else repr(detail["input"])[:80]
        said = detail["msg"].removeprefix("Value error, ").rstrip(".")
        hint = ' Quote it: "..."' if detail["type"] == "string_type" else ""
        lines.append(f"{path}: {place}: {said}; found {found}. Nothing was loaded.{hint}")
    return lines
