"""Readers of recorded tapes, each in the order in which things were received."""

from __future__ import annotations

import gzip
import heapq
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import unquote

from lakehouse.errors import FeedError
from lakehouse.reference.calendar import exchange_zone, midnight_ms
from streaming.archive_lines import UNDECODABLE, unwrapped
from streaming.feeds.pack import Record, Timed
from streaming.wire import MICROS, Print

LEAN_FEED = "lean"
LEAN_EXCHANGE = "XNYS"
LEAN_PRICE_MICROS = MICROS // 10_000
SUSPICIOUS = "suspicious"  # the word by which conf/sale_conditions.yaml knows Lean's last column
TRADED = re.compile(rb'"t"\s*:\s*(\d{12,13})\b')
RECEIVED = re.compile(rb'"received_at"\s*:\s*(\d{12,13})\b')


def lean_tape(folder: str | Path, tickers: Sequence[str], first: date, last: date) -> Iterator[Print]:
    """Lean's tick trades of some tickers (none named: all there are), merged by time; missing days are skipped."""
    tickers = tickers or sorted(path.name for path in (Path(folder) / "tick").glob("*"))
    days = sorted({day for ticker in tickers for day in lean_days(folder, ticker) if first <= day <= last})
    if not days:
        raise FeedError(
            f"{Path(folder) / 'tick'}: expected tick trades of {', '.join(tickers)} between {first} and {last}, found "
            f"no file. Nothing was sent. Check tickers, dates and reference.lean_folder."
        )
    for day in days:
        present = [ticker for ticker in tickers if _lean_path(folder, ticker, day).is_file()]
        yield from heapq.merge(*(lean_trades(folder, one, day) for one in present), key=lambda one: one.traded_ms)


def lean_days(folder: str | Path, ticker: str) -> list[date]:
    """The days of which a Lean folder holds tick trades of a ticker."""
    names = (path.name for path in (Path(folder) / "tick" / ticker.lower()).glob("*_trade.zip"))
    return sorted(datetime.strptime(name[:8], "%Y%m%d").replace(tzinfo=UTC).date() for name in names)


def lean_trades(folder: str | Path, ticker: str, day: date) -> Iterator[Print]:
    """One ticker's trades of one day, stamped by the tape's own clock, in the order of the file.

    `trade_id` is lean-TICKER-DAY-LINE, `seq` counts the prints of one millisecond, `received_at` is `traded_at`.
    """
    path, symbol = _lean_path(folder, ticker, day), ticker.upper()
    prefix = f"lean-{ticker.lower()}-{day:%Y%m%d}"
    midnight = midnight_ms(day, exchange_zone(LEAN_EXCHANGE))
    latest, seq = -1, 0
    for number, line in enumerate(_lean_lines(path), start=1):
        try:
            since, price, size, venue, condition, suspicious = line.split(",")
            traded = midnight + int(since)
            seq, latest = (seq + 1 if traded == latest else 0), traded
            yield Print(
                symbol, int(price) * LEAN_PRICE_MICROS, int(size) * MICROS, traded, f"{prefix}-{number}", seq, traded,
                _lean_conditions(condition, suspicious), venue or None,
            )  # fmt: skip
        except ValueError as error:
            raise _damaged(path, f"line {number} is {line[:80]!r} ({error})") from error


def _lean_path(folder: str | Path, ticker: str, day: date) -> Path:
    return Path(folder) / "tick" / ticker.lower() / f"{day:%Y%m%d}_trade.zip"


def _lean_conditions(condition: str, suspicious: str) -> tuple[str, ...] | None:
    if int(suspicious):
        return (condition, SUSPICIOUS) if condition else (SUSPICIOUS,)
    return (condition,) if condition else None


def _lean_lines(path: Path) -> Iterator[str]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
            for line in file:
                yield line.decode("ascii").rstrip("\r\n")
    except FileNotFoundError as error:
        raise FeedError(
            f"{path}: expected a day of Lean's tick trades, found no file. Nothing of this day was sent. Check ticker, "
            f"day and reference.lean_folder."
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, IndexError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, found: str) -> FeedError:
    return FeedError(
        f"{path}: expected lines of ms, price, size, exchange, condition, suspicious; found that {found}. What came "
        f"before it was sent, and sending it again changes nothing. Replace the file and replay the day."
    )


def finnhub_frames(path: str | Path) -> Iterator[Timed]:
    """Captured websocket frames, one a line, passed on verbatim; each is delivered at the latest time it mentions."""
    with Path(path).open("rb") as file:
        yield from _delivered(line.rstrip(b"\r\n") for line in file)


def _delivered(payloads: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Raw records with the time each was received; one that shows none came right after its predecessor."""
    now = 0
    for payload in payloads:
        if payload:
            now = max(now, raw_time(payload) or now)
            yield now, payload


def raw_time(payload: bytes) -> int | None:
    """The latest receipt a raw record shows, else its latest trade, in ms; None where it shows neither."""
    shown = RECEIVED.findall(payload) or TRADED.findall(payload)
    return max(map(int, shown)) if shown else None


def archive_records(folder: str | Path, first: date, last: date) -> Iterator[Record]:
    """Records of the JSON Lines archive (`date=YYYY-MM-DD/symbol=TICKER/*.jsonl[.gz]`), bytes verbatim, key = symbol.

    Sorted by time within each date, which is held in memory: nobody can hold thousands of files open to merge them.
    """
    for day in sorted(Path(folder).glob("date=????-??-??")):
        if first <= date.fromisoformat(day.name.removeprefix("date=")) <= last:
            yield from sorted(_archived_day(day), key=lambda one: one.at_ms)


def _archived_day(day: Path) -> Iterator[Record]:
    for path in sorted(day.glob("symbol=*/*")):
        if path.name.startswith(".") or not path.name.endswith((".jsonl", ".jsonl.gz")):
            continue
        symbol = unquote(path.parent.name.removeprefix("symbol="))
        lines = _archived_lines(path)
        for at_ms, payload in _delivered(map(unwrapped, lines) if symbol == UNDECODABLE else lines):
            yield Record(symbol, payload, payload.count(b'"p":'), at_ms)


def _archived_lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stored, gzip.open(stored, "rb") if path.suffix == ".gz" else stored as file:
            for line in file:
                yield line.removesuffix(b"\n")
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise FeedError(
            f"{path}: expected whole JSON Lines, found a damaged file ({error}). Nothing of this date was sent. Run "
            f"archive_raw again for the date; bronze holds its records."
        ) from error
