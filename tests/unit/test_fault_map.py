"""docs/faults.md names a test for every promised row of the fault matrix, and each of them is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
PAGE = HOUSE / "docs" / "faults.md"
PROMISED = {*range(1, 38), 39, *range(41, 44), 47, 48}
ROW = re.compile(r"^\| (\d+) \|")
PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[tuple[int, str]]:
    """Number and line of each row of the map."""
    return [(int(found[1]), line) for line in PAGE.read_text().splitlines() if (found := ROW.match(line))]


@cache
def names_in(path: str) -> frozenset[str]:
    """The test functions of a file, read without importing it."""
    tree = ast.parse((HOUSE / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_promised_row_is_in_the_map_once() -> None:
    assert sorted(number for number, _ in rows()) == sorted(PROMISED)


@pytest.mark.parametrize(("number", "line"), rows(), ids=[f"row {number}" for number, _ in rows()])
def test_every_row_names_tests_that_exist(number: int, line: str) -> None:
    proofs = PROOF.findall(line)

    assert proofs, f"row {number} names no test"
    missing = [f"{path}::{name}" for path, name in proofs if not (HOUSE / path).exists() or name not in names_in(path)]
    assert missing == []
    assert line.count("::") == len(proofs), f"row {number} names something that is no test"
