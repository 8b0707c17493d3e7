"""Play a tape to the stream: Lean ticks, Finnhub frames, or our own archive, at any speed.

  tickhouse replay lean FOLDER --symbols IBM BAC --from 2013-10-07 --to 2013-10-11
  tickhouse replay finnhub FILE.jsonl
  tickhouse replay archive FOLDER --from 2026-03-02 --to 2026-03-02 --speed 10
Stamps come from the tape's own clock and are the same in every replay, so a tape played twice adds nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from jobs._feeding import feed_bar, sink_of
from jobs.cli import console, parser, print_json, run, settings_of
from streaming.feeds.pack import Record, by_receipt, pack
from streaming.feeds.replay import replay
from streaming.feeds.tapes import archive_records, finnhub_frames, lean_tape
from streaming.wire import DEFAULT_FEED

LEAN = "lean"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = parser(__doc__)
    flags.add_argument("kind", choices=("lean", "finnhub", "archive"))
    flags.add_argument("tape", help="folder or file of the tape")
    flags.add_argument("--symbols", nargs="+", default=(), help="tickers to play (lean)")
    flags.add_argument("--from", dest="first", type=date.fromisoformat, default=date.min, help="first date")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, default=date.max, help="last date")
    flags.add_argument("--speed", type=float, default=0.0, help="0 as fast as it goes (default), 1 the market's pace")
    return run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Read the tape, send it, say what was sent."""
    settings = settings_of(args)
    sink = sink_of(settings, f"{args.kind}-{Path(args.tape).stem}")
    try:
        with feed_bar("replay", None) as report:
            sent = replay(
                records_of(args), sink, speed=args.speed, sleep=time.sleep, clock=time.monotonic, report=report
            )
    finally:
        sink.close()
    if args.json:
        print_json({"records": sent.records, "prints": sent.prints, "seconds": sent.elapsed_seconds})
    else:
        console().print(f"{sent.prints:,} prints in {sent.records:,} records, {sent.prints_per_second:,.0f}/s.")


def records_of(args: argparse.Namespace) -> Iterator[Record]:
    """The tape as records of the stream."""
    if args.kind == "archive":
        return archive_records(args.tape, args.first, args.last)
    if args.kind == "finnhub":
        return pack(finnhub_frames(args.tape), feed=DEFAULT_FEED)
    return pack(by_receipt(lean_tape(args.tape, args.symbols, args.first, args.last)), feed=LEAN)


if __name__ == "__main__":
    sys.exit(main())
