"""List the jobs, or run one: `tickhouse NAME ...`, `python -m jobs NAME ...`."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version

import jobs
from jobs.cli import OK, USAGE, console

NOT_JOBS = ("cli",)


def job_names() -> list[str]:
    """Every module of `jobs/` that can be run, as people type it."""
    modules = (module.name for module in pkgutil.iter_modules(jobs.__path__))
    return sorted(name.replace("_", "-") for name in modules if not name.startswith("_") and name not in NOT_JOBS)


def meaning_of(name: str) -> str:
    """The first line of a job's docstring, read without importing it: Spark takes seconds to import."""
    spec = importlib.util.find_spec(f"jobs.{name.replace('-', '_')}")
    source = spec.loader.get_source(spec.name) if spec and spec.loader and hasattr(spec.loader, "get_source") else ""
    doc = ast.get_docstring(ast.parse(source or ""))
    return doc.splitlines()[0] if doc else ""


def print_jobs() -> None:
    """One line for each job."""
    out = console()
    out.print("usage: tickhouse JOB [flags]      tickhouse JOB --help explains one\n")
    names = job_names()
    for name in names:
        out.print(f"  {name:<{max(map(len, names))}}  {meaning_of(name)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job named first, with the rest as its arguments."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print_jobs()
        return OK
    if argv[0] == "--version":
        print(f"tickhouse {_version()}")
        return OK
    name = argv[0].replace("_", "-")
    if name not in job_names():
        near = get_close_matches(name, job_names(), n=1)
        hint = f"Did you mean {near[0]}?" if near else "`tickhouse` lists them."
        print(f"error: {argv[0]}: there is no such job. {hint}", file=sys.stderr)
        return USAGE
    sys.argv[0] = f"tickhouse {name}"  # argparse takes the name it prints from here
    job = importlib.import_module(f"jobs.{name.replace('-', '_')}")
    return int(job.main(argv[1:]))


def _version() -> str:
    try:
        return version("tickhouse")
    except PackageNotFoundError:
        return "(a checkout)"


if __name__ == "__main__":
    sys.exit(main())
