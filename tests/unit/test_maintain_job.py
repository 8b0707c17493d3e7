"""What `tickhouse maintain` prints."""

from __future__ import annotations

import subprocess

import pytest

from jobs.maintain import stdout_on_stderr


def test_what_the_jvm_prints_does_not_reach_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    with stdout_on_stderr():
        child = subprocess.Popen(["/bin/sh", "-c", "read go; echo Deleted 0 files"], stdin=subprocess.PIPE)
    print("{}")

    child.communicate(b"\n")

    said = capfd.readouterr()
    assert (said.out, said.err) == ("{}\n", "Deleted 0 files\n")
