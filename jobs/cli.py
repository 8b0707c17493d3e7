"""What every job shares on the command line: its flags, its exit codes, and how an error looks."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import date

from rich.console import Console

from lakehouse.configuration import LoadedSettings, load_settings
from lakehouse.damage import damaged_file
from lakehouse.errors import TickhouseError
from lakehouse.settings import Settings

OK, FAILED, USAGE, DIFFERENT, INTERRUPTED = 0, 1, 2, 3, 130

# PySpark prints a failed statement as a wall of JSON, stack traces included, before it raises the same as an error.
PYSPARK_WALL = "SQLQueryContextLogger"

Body = Callable[[argparse.Namespace], int | None]


def parser(doc: str | None, *, dry_run: bool = False) -> argparse.ArgumentParser:
    """A parser that explains the job by its docstring and knows the flags all jobs have."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_flags(made)
    if dry_run:
        made.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    return made


def add_common_flags(to: argparse.ArgumentParser) -> None:
    """The flags of every job."""
    common = to.add_argument_group("common")
    environment = os.environ.get("TICKHOUSE_ENV", "local")
    common.add_argument(
        "--env", default=environment, help="settings file conf/ENV.yaml (default $TICKHOUSE_ENV, else local)"
    )
    common.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override one setting; repeatable"
    )
    common.add_argument("--json", action="store_true", help="print machine-readable JSON")
    common.add_argument("--debug", action="store_true", help="show the stack trace of an error")


def add_history_flags(to: argparse.ArgumentParser) -> None:
    """Whose history, and which: the flags of jobs that load what a vendor has of the past."""
    to.add_argument("symbol", help="ticker of the instrument, as of the end of the range")
    to.add_argument("--from", dest="first", type=date.fromisoformat, required=True, help="first exchange date")
    to.add_argument("--to", dest="last", type=date.fromisoformat, required=True, help="last exchange date")


def loaded_settings(args: argparse.Namespace) -> LoadedSettings:
    """The settings the flags ask for, with where each value came from."""
    return load_settings(args.env, args.set)


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings the flags ask for."""
    return loaded_settings(args).settings


def run(body: Body, parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn the outcome into an honest exit code.

    0 done, 1 failed, 2 wrong usage, 130 interrupted; a body returns its own code, or None for done. An error that a
    person can act on is its message on stderr; anything else is a bug and shows its stack trace.
    """
    try:
        args = _parsed(parser, argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USAGE
    if not args.debug:
        logging.getLogger(PYSPARK_WALL).setLevel(logging.CRITICAL)
    try:
        code = body(args) or OK
        sys.stdout.flush()  # what cannot be written must fail here, not after the exit code is settled
        return code
    except TickhouseError as error:
        if args.debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left (`| head`). Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever it is must show itself, end in a failure
        told = damaged_file(str(error))
        if told is None or args.debug:
            traceback.print_exc()
        if told is not None:
            print(f"error: {told}", file=sys.stderr)
            return FAILED
        print("error: this is a bug in Tickhouse; please report the lines above.", file=sys.stderr)
        return FAILED


def _parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Flags may stand anywhere between names; argparse offers that (no TypeError) where there are no sub-parsers."""
    try:
        return parser.parse_intermixed_args(argv)
    except TypeError:
        return parser.parse_args(argv)


def console() -> Console:
    """Where people read: plain text and full width where it is not a terminal."""
    wide = None if sys.stdout.isatty() else 160
    return Console(width=wide, highlight=False, markup=False)


def print_json(value: object) -> None:
    """One JSON document on stdout; what JSON does not know becomes its text."""
    print(json.dumps(value, indent=2, default=str))
