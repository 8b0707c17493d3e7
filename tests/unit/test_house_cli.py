"""The command line: every job is found, and no failure ever ends with exit code 0."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import __main__ as dispatcher
from jobs import cli, config
from lakehouse.errors import TableError

HOUSE = Path(__file__).resolve().parents[2]


def outcome(body: Callable[[argparse.Namespace], int | None], *argv: str) -> int:
    return cli.run(body, cli.parser("A job."), argv)


def failing(error: BaseException) -> Callable[[argparse.Namespace], int | None]:
    def body(_: argparse.Namespace) -> None:
        raise error

    return body


def test_a_job_that_ends_well_exits_with_0_and_its_own_code_is_kept() -> None:
    assert outcome(lambda _: None) == 0
    assert outcome(lambda _: 3) == 3


def test_an_error_a_person_can_act_on_is_its_message_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    code = outcome(failing(TableError("silver.things: no such table. Nothing was read.")))

    assert code == 1
    assert capsys.readouterr().err == "error: silver.things: no such table. Nothing was read.\n"


def test_debug_shows_where_an_error_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    code = outcome(failing(TableError("silver.things")), "--debug")

    assert code == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_unexpected_error_shows_its_stack_trace_and_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    code = outcome(failing(ZeroDivisionError("division")))

    assert code == 1
    assert "Traceback" in (err := capsys.readouterr().err)
    assert "this is a bug" in err


def test_ctrl_c_exits_with_130() -> None:
    assert outcome(failing(KeyboardInterrupt())) == 130


def test_wrong_usage_exits_with_2_and_help_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(lambda _: None, "--no-such-flag") == 2
    assert outcome(lambda _: None, "--help") == 0
    assert "A job." in capsys.readouterr().out


def test_a_system_exit_inside_a_job_is_not_swallowed() -> None:
    with pytest.raises(SystemExit):
        outcome(failing(SystemExit(7)))


def test_flags_may_stand_between_names() -> None:
    parser = cli.parser("A job.", dry_run=True)
    parser.add_argument("action")
    parser.add_argument("names", nargs="*")
    seen: list[argparse.Namespace] = []

    cli.run(lambda args: seen.append(args), parser, ["diff", "--set", "a=1", "x", "--dry-run", "y", "--set", "b=2"])

    assert (seen[0].action, seen[0].names, seen[0].set, seen[0].dry_run) == ("diff", ["x", "y"], ["a=1", "b=2"], True)


def test_a_job_with_sub_commands_parses_too() -> None:
    parser = cli.parser("A job.")
    parser.add_subparsers(dest="action").add_parser("go").add_argument("--far", action="store_true")
    seen: list[argparse.Namespace] = []

    code = cli.run(lambda args: seen.append(args), parser, ["go", "--far"])

    assert (code, seen[0].action, seen[0].far) == (0, "go", True)


def test_the_environment_variable_chooses_the_settings_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKHOUSE_ENV", "aws")

    assert cli.parser("A job.").parse_args([]).env == "aws"
    assert cli.parser("A job.").parse_args(["--env", "local"]).env == "local"


def test_every_job_is_listed_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code = dispatcher.main([])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    for name in dispatcher.job_names():
        assert any(line.split()[:1] == [name] and dispatcher.meaning_of(name) in line for line in lines)
    assert "cli" not in dispatcher.job_names()
    assert {"config", "doctor", "docs", "tables"} <= set(dispatcher.job_names())


def test_an_unknown_job_exits_with_2_and_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatcher.main(["confg"]) == 2
    assert "Did you mean config?" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["_x", "cli", "__main__", "os.path", "../jobs", ""])
def test_only_jobs_can_be_run(name: str) -> None:
    assert dispatcher.main([name]) == 2


def test_a_job_runs_under_its_name_with_its_arguments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tickhouse"])

    code = dispatcher.main(["config", "show", "--help"])

    assert code == 0
    assert "usage: tickhouse config " in capsys.readouterr().out


def test_config_show_prints_key_value_and_origin_of_one_section(capsys: pytest.CaptureFixture[str]) -> None:
    code = config.main(["show", "stream.", "--set", "stream.grace_seconds=7", "--json"])

    rows = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {"key": "stream.grace_seconds", "value": 7.0, "origin": "--set"} in rows
    assert {row["key"].split(".")[0] for row in rows} == {"stream"}


def test_config_show_never_prints_a_secret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TICKHOUSE__SOURCE__KINESIS__ACCESS_KEY", "hush-id")
    monkeypatch.setenv("TICKHOUSE__SOURCE__KINESIS__SECRET_KEY", "hush-key")

    codes = [config.main(["show"]), config.main(["show", "--json"])]

    out = capsys.readouterr().out
    assert codes == [0, 0]
    assert "hush" not in out
    assert "**********" in out


def test_a_bad_setting_ends_a_real_process_with_1_and_one_line() -> None:
    command = [sys.executable, "-m", "jobs", "config", "show", "--set", "stream.grace_seconds=soon"]

    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == ("error: --set: stream.grace_seconds: expected a number, at least 0, found 'soon'.\n")


def in_bash(command: str) -> subprocess.CompletedProcess[str]:
    """A shell line, with Python's output buffered as it is for everybody who does not ask otherwise."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    line = ["bash", "-c", command]
    return subprocess.run(line, cwd=HOUSE, env=environ, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("rows", [1, 100_000])
def test_a_reader_that_leaves_early_gets_no_stack_trace(rows: int) -> None:
    script = f"from jobs import cli; cli.run(lambda _: print('row ' * {rows}), cli.parser(''), [])"

    done = in_bash(f'exec 3>&1; {sys.executable} -c "{script}" 2>&3 | true')

    assert done.stdout == ""


def test_output_that_cannot_be_written_is_a_failure_of_the_job() -> None:
    script = "from jobs import cli; import sys; sys.exit(cli.run(lambda _: print('row'), cli.parser(''), []))"

    assert in_bash(f'{sys.executable} -c "{script}" >/dev/full').returncode != 0
