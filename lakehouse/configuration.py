"""Settings in force: conf/<environment>.yaml, then the environment, then `--set`, and where each value came from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from lakehouse.errors import SettingsError
from lakehouse.settings import CONF, Settings
from lakehouse.settings_layers import Given, Problems, from_environ, from_file, from_flags
from lakehouse.settings_schema import all_fields, field_at

CHOSEN_BY_ENV = ("environment",)
MASK = "**********"
NAMES_A_SECRET = re.compile(r"(?i)secret|password|token|access[.]?key")


@dataclass(frozen=True)
class InForce:
    """One setting as a person may see it: secrets masked, with where its value came from."""

    key: str
    value: object
    origin: str


@dataclass(frozen=True)
class LoadedSettings:
    """The settings, and for every value that is not a default the place that gave it."""

    settings: Settings
    origins: Mapping[tuple[str, ...], str]

    def rows(self) -> list[InForce]:
        """Every setting in declared order, entries of mappings one by one."""
        return [
            InForce(".".join(path), _shown(path, value), self.origins.get(path, "default"))
            for path, value in _leaves(self.settings)
        ]


def load_settings(
    environment: str = "local",
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    conf_folder: Path = CONF,
) -> LoadedSettings:
    """The settings of one environment, or a SettingsError with one line for every problem found."""
    environ = os.environ if environ is None else environ
    problems = Problems()
    given: dict[tuple[str, ...], Given] = {CHOSEN_BY_ENV: Given(CHOSEN_BY_ENV, environment, "--env")}
    layers = (
        from_file(conf_folder, environment, environ, problems),
        from_environ(environ, problems),
        from_flags(overrides, problems),
    )
    for layer in layers:
        for one in layer:
            if one.path == CHOSEN_BY_ENV:
                problems.say(one.origin, "environment", "no value here", repr(one.value), "Choose it with --env.")
            else:
                given[one.path] = one
    settings = _validated(given, problems)
    return LoadedSettings(settings, {path: one.origin for path, one in given.items()})


def _validated(given: Mapping[tuple[str, ...], Given], problems: Problems) -> Settings:
    nested: dict[str, Any] = {}
    for one in given.values():
        section = nested
        for name in one.path[:-1]:
            section = section.setdefault(name, {})
        section[one.path[-1]] = one.value
    try:
        settings = Settings.model_validate(nested)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _explain(tuple(str(part) for part in detail["loc"]), detail["msg"], given, problems)
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _explain(loc: tuple[str, ...], message: str, given: Mapping[tuple[str, ...], Given], problems: Problems) -> None:
    one = next((one for path, one in given.items() if loc[: len(path)] == path), None)
    field = field_at(one.path) if one else None
    if one is None or field is None:
        origins = [one.origin for path, one in given.items() if path[: len(loc)] == loc]
        problems.append(f"{origins[-1]}: {'.'.join(loc)}: {message.removeprefix('Value error, ')}.")
        return
    expected = "text" if field.is_mapping else field.expected
    if _is_secret(one.path):
        problems.say(one.origin, ".".join(one.path), expected, "a value that is not shown")
        return
    quote = f'Quote it: "{str(one.value).lower()}".' if _needs_quotes(expected, one.value) else ""
    problems.say(one.origin, ".".join(one.path), expected, repr(one.value), quote)


def _needs_quotes(expected: str, value: object) -> bool:
    return expected.startswith("text") and isinstance(value, bool | int | float)


def _leaves(settings: Settings) -> Iterator[tuple[tuple[str, ...], object]]:
    for path, field in all_fields().items():
        value: object = settings
        for name in path:
            value = getattr(value, name)
        if field.is_mapping and isinstance(value, dict):
            yield from (((*path, str(name)), entry) for name, entry in value.items())
        else:
            yield path, value


def _is_secret(path: tuple[str, ...]) -> bool:
    field = field_at(path)
    return field is None or field.is_secret or (field.is_mapping and bool(NAMES_A_SECRET.search(path[-1])))


def _shown(path: tuple[str, ...], value: object) -> object:
    if isinstance(value, SecretStr) or (value is not None and _is_secret(path)):
        return MASK
    return value
