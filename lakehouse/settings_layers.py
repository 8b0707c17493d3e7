"""The three layers settings come from, each as a list of the values somebody gave and where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from lakehouse.errors import SettingsError
from lakehouse.settings_schema import Field, did_you_mean, field_at, names_below

PREFIX = "TICKHOUSE__"
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Given:
    """One value somebody gave, and where."""

    path: tuple[str, ...]
    value: object
    origin: str


class Problems(list[str]):
    """Every problem as one line; all are reported at once."""

    def say(self, origin: str, key: str, expected: str, found: str, hint: str = "") -> None:
        """Note one problem: where, which key, what was expected against what was found, and what to do."""
        self.append(f"{origin}: {key}: expected {expected}, found {found}.{' ' + hint if hint else ''}")

    def unknown(self, origin: str, parts: Sequence[str]) -> None:
        """Note a key that no setting has."""
        self.say(origin, ".".join(parts), "a known setting", "an unknown key", did_you_mean(parts))


def from_file(folder: Path, environment: str, environ: Mapping[str, str], problems: Problems) -> Iterator[Given]:
    """What conf/<environment>.yaml gives, with `${NAME}` replaced by environment variables."""
    path = folder / f"{environment}.yaml"
    if not path.is_file():
        present = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "no file"
        raise SettingsError(
            f"--env {environment}: expected the name of a file in {folder}, found no {path.name}. There: {present}."
        )
    where = f"{folder.name}/{path.name}"
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: expected YAML in UTF-8, found: {' '.join(str(error).split())}.") from error
    for one in _flatten(root, (), where, problems):
        yield from _resolved(one, environ, problems)


def _flatten(node: yaml.Node | None, place: tuple[str, ...], where: str, problems: Problems) -> Iterator[Given]:
    """The leaves of a YAML section with their line numbers; a key that comes twice is a problem."""
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return
    origin = f"{where}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode):
        known = ", ".join(names_below(place) or [])
        key = ".".join(place) or "the file"
        problems.say(origin, key, f"a section with {known}" if known else "named entries", "a single value")
        return
    seen: set[str] = set()
    for key_node, value in node.value:
        name, line = str(key_node.value), f"{where}:{key_node.start_mark.line + 1}"
        parts = (*place, name)
        if name in seen:
            problems.say(line, ".".join(parts), "the key once", "it a second time")
        seen.add(name)
        field = field_at(parts)
        if field is None and names_below(parts) is None:
            problems.unknown(line, parts)
        elif field is None or (field.is_mapping and field.path == parts):
            yield from _flatten(value, parts, where, problems)
        else:
            yield Given(parts, _plain(value), line)


def _plain(node: yaml.Node) -> object:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()


def _resolved(one: Given, environ: Mapping[str, str], problems: Problems) -> Iterator[Given]:
    """A file's value with every `${NAME}` replaced; a secret written out in a file is refused."""
    field = field_at(one.path)
    key = ".".join(one.path)
    names = VARIABLE.findall(one.value) if isinstance(one.value, str) else []
    missing = [name for name in names if name not in environ]
    for name in missing:
        what = "the secret in the environment variable" if field and field.is_secret else "the environment variable"
        problems.say(one.origin, key, f"{what} {name}", "it not set", f"Export {name} and run again.")
    if field and field.is_secret and one.value is not None and not names:
        hint = f"Set {field.variable} instead, or write ${{A_VARIABLE}} here."
        problems.say(one.origin, key, "no secret in a file", "one", hint)
    elif names and not missing:
        text = VARIABLE.sub(lambda match: environ[match[1]], str(one.value))
        yield Given(one.path, text, f"{one.origin}, ${', $'.join(names)}")
    elif not names:
        yield one


def from_environ(environ: Mapping[str, str], problems: Problems) -> Iterator[Given]:
    """What the variables TICKHOUSE__SECTION__KEY give."""
    for name in sorted(environ):
        if name.startswith("TICKHOUSE_") and not name.startswith(PREFIX) and "__" in name:
            meant = name.replace("TICKHOUSE_", PREFIX, 1)
            problems.say("environment", name, f"{PREFIX}SECTION__KEY", "one underscore", f"Did you mean {meant}?")
        if name.startswith(PREFIX):
            parts = tuple(name[len(PREFIX) :].lower().split("__"))
            yield from _from_text(parts, environ[name], name, problems)


def from_flags(overrides: Sequence[str], problems: Problems) -> Iterator[Given]:
    """What `--set section.key=value` gives."""
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            problems.say("--set", text, "section.key=value", "no key and value")
        else:
            yield from _from_text(tuple(key.strip().split(".")), value, "--set", problems)


def _from_text(parts: tuple[str, ...], text: str, origin: str, problems: Problems) -> Iterator[Given]:
    """A value given as text: `null` where that is allowed, a mapping as YAML, all else left for its type to read."""
    field = field_at(parts)
    if field is None:
        names = names_below(parts)
        if names is None:
            problems.unknown(origin, parts)
        else:
            hint = f"Keys: {', '.join(names)}."
            problems.say(origin, ".".join(parts), "one key of this section", "the section", hint)
    elif field.is_mapping and field.path == parts:
        yield from _mapping_from_text(field, text, origin, problems)
    elif field.is_mapping:
        yield Given((*field.path, ".".join(parts[len(field.path) :])), text, origin)
    else:
        yield Given(parts, None if text == "null" and field.takes(type(None)) else text, origin)


def _mapping_from_text(field: Field, text: str, origin: str, problems: Problems) -> Iterator[Given]:
    try:
        entries = yaml.safe_load(text)
    except yaml.YAMLError:
        entries = None
    if not isinstance(entries, dict):
        problems.say(origin, field.key, '{"name": "value"}', "other text")
        return
    for name, value in entries.items():
        yield Given((*field.path, str(name)), value, origin)
