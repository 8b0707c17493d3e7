"""What an engine remembers, as one line of JSON to keep beside a checkpoint, and put back into an engine later.

Where a rule stands with its subjects is kept for as long as the rule has the same version; what its watcher remembers
of rows only while the rule is the same word for word. What watchers remember are objects of theirs: they are pickled,
and read back by a reader that makes nothing but these.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
from typing import Any

from lakehouse.alerts.engine import Engine
from lakehouse.alerts.lifecycle import Machine
from lakehouse.errors import CheckpointError

OURS = "lakehouse.alerts."
PLAIN = frozenset((("collections", "deque"), ("datetime", "date")))


class _Reader(pickle.Unpickler):
    """Makes what watchers remember, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in PLAIN:
            return super().find_class(module, name)
        found = super().find_class(module, name) if module.startswith(OURS) else None
        if not isinstance(found, type) or found.__module__ != module:  # what a module of ours imports is not ours
            raise pickle.UnpicklingError(f"{module}.{name} is nothing a watcher remembers")
        return found


def remembered(engine: Engine) -> str:
    """Everything an engine remembers."""
    versions = {rule.name: rule.version for rule, _ in engine.watchers}
    return json.dumps(
        {
            "machines": [[*key, versions[key[0]], list(machine)] for key, machine in engine.machines.items()],
            "watchers": {
                rule.name: [rule.model_dump_json(), _packed({name: getattr(watcher, name) for name in watcher.keeps})]
                for rule, watcher in engine.watchers
            },
        }
    )


def remind(engine: Engine, text: str) -> None:
    """Put back what an engine before this one remembered, as far as its rules are still the same."""
    try:
        _remind(engine, json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, pickle.UnpicklingError, EOFError) as error:
        raise CheckpointError(
            f"The memory of the alert rules cannot be read ({error}). Nothing was read or written. Restore the "
            f"checkpoint of `detect` from a backup; or move it away and start with --allow-replay, which judges "
            f"everything again and tells no alert twice."
        ) from error


def _remind(engine: Engine, kept: dict[str, Any]) -> None:
    versions = {rule.name: rule.version for rule, _ in engine.watchers}
    engine.put_back(
        {
            (rule, subject, side): Machine._make([*values[:-1], tuple(values[-1])])
            for rule, subject, side, version, values in kept["machines"]
            if versions.get(rule) == version
        }
    )
    for rule, watcher in engine.watchers:
        said, packed = kept["watchers"].get(rule.name, ("", ""))
        if said == rule.model_dump_json():
            for name, value in _unpacked(packed).items():
                setattr(watcher, name, value)


def _packed(values: dict[str, Any]) -> str:
    return base64.b64encode(pickle.dumps(values)).decode("ascii")


def _unpacked(text: str) -> dict[str, Any]:
    found: dict[str, Any] = _Reader(io.BytesIO(base64.b64decode(text))).load()
    return found
