"""`make bench`: the rows of the benchmark table, side by side with their rivals.

python -m benchmarks [--rows a,b]      rows a to e and g to j, an hour or more; results to docs/benchmarks.md
python -m benchmarks --quick           the same on little data, under five minutes; results beside the data
python -m benchmarks soak              row f: 50 M trades and one hour of stream against themselves
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks import report
from benchmarks.data import CACHE
from benchmarks.harness import OK, Result, Row, Run, Trial, run_row
from benchmarks.hosts import HOUSE, PYTHON, STOCK, Host
from benchmarks.plan import rows_of, soak_rows

QUICK_ROUNDS = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code is 1 where a row failed, was void, or lies under its floor."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(given)
    rows = soak_rows(quick=args.quick) if args.what == "soak" or args.soak else rows_of(quick=args.quick)
    wanted = set(args.rows.split(",")) if args.rows else {row.key for row in rows}
    if strangers := wanted - {row.key for row in rows}:
        print(f"There are no rows {sorted(strangers)}; there are {[row.key for row in rows]}.", file=sys.stderr)
        return 2
    results = run_rows([row for row in rows if row.key in wanted], quick=args.quick)
    print(report.write(results, " ".join(["python -m benchmarks", *given]), quick=args.quick))
    return 0 if all(is_sound(one) for one in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("soak",), help="the long row instead of the others")
    parser.add_argument("--soak", action="store_true", help="the same as the word soak")
    parser.add_argument(
        "--quick", action="store_true", help="little data and few rounds: does it run, do outputs agree"
    )
    parser.add_argument("--rows", help="only these rows, for example a,b")
    return parser


def run_rows(rows: Sequence[Row | Trial], *, quick: bool) -> list[Result]:
    """Run rows one after the other, each contender in its host; a host lives as long as the run."""
    scratch, results = CACHE / f"run-{os.getpid()}", []
    with ExitStack() as closing:
        hosts = {kind: closing.enter_context(Host(kind, scratch / kind)) for kind in (HOUSE, STOCK, PYTHON)}
        for row in rows:
            print(f"{row.key}: {row.title}", flush=True)
            before = os.getloadavg()[0]
            results.append(_run_one(row, lambda host, call, given: hosts[host].call(call, **given), quick=quick))
            results[-1].load = [before, os.getloadavg()[0]]
            print("\n".join(["  " + results[-1].status, *results[-1].detail]), flush=True)
    if all(one.status == OK for one in results):
        shutil.rmtree(scratch, ignore_errors=True)
    else:
        print(f"Left for a look: {scratch}")
    return results


def _run_one(row: Row | Trial, run: Run, *, quick: bool) -> Result:
    if isinstance(row, Trial):
        return row.run(run)
    return run_row(row, run, most_rounds=QUICK_ROUNDS if quick else None)


def is_sound(result: Result) -> bool:
    """Whether a row ran, its outputs agreed, and no floor was missed."""
    return result.status == OK and not any(goal["verdict"].startswith("UNDER") for goal in result.verdicts)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that hosts, in groups of their own, are ended too
    sys.exit(main())
