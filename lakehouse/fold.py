"""Prints to bars: Arrow columns in, partial bars out. One implementation for the stream and for every recompute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.bar_columns import Bars
from lakehouse.bars import INTERVALS, PARTIAL, SESSION_CODES, BarRules
from lakehouse.kernels import bars as kernel
from lakehouse.kernels import running

Longs = NDArray[np.int64]
Codes = NDArray[np.int32]

CODES = SESSION_CODES | {"none": -1}
NAMES = ("kind", "session", "symbol", "instrument_id")
NOTHING, NO_LONGS = np.empty(0, np.int32), np.empty(0, np.int64)
OUT_BARS, ASIDE_PRINTS = 1 << 16, 1 << 14  # room that is asked for at a time


def fold_batches(batches: Iterable[pa.RecordBatch], rules: BarRules) -> Iterator[pa.RecordBatch]:
    """All prints of one task in, its bars out. A task holds whole instruments, or its bars must be merged."""
    fold = Fold(rules)
    for batch in batches:
        fold.add(pa.Table.from_batches([batch]))
    bars = fold.finish().whole()
    if bars.num_rows:
        yield as_plain(bars)


def fold_table(prints: pa.Table, rules: BarRules) -> pa.RecordBatch:
    """Rows with PRINT_COLUMNS (in a recompute FATE_COLUMNS too) to bars; cancels and sessionless prints build none.

    Names come out as dictionaries, which Parquet takes as they are; `as_plain` spells them out.
    """
    fold = Fold(rules)
    fold.add(prints)
    return fold.finish().whole()


def as_plain(bars: pa.RecordBatch) -> pa.RecordBatch:
    """Bars with names as strings, which is how Spark takes them."""
    return bars.cast(PARTIAL)


@dataclass
class Names:
    """Texts as codes, in the order of first sight."""

    codes: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.codes)

    def of(self, texts: pa.Array) -> Codes:
        """The code of each text, entered if it is new."""
        return np.array([self.codes.setdefault(one, len(self.codes)) for one in texts.to_pylist()], np.int32)


@dataclass
class _Room:
    """An array of columns that is filled, kept and replaced by an empty one, over and over."""

    rows: int
    filled: list[Longs] = field(default_factory=list)
    open: Longs = field(default_factory=lambda: np.empty((0, 0), np.int64))
    count: int = 0

    def make(self, most: int) -> None:
        """Put aside what is filled, and begin anew."""
        if self.count:
            self.filled.append(self.open[:, : self.count])
        self.open, self.count = np.empty((self.rows, most), np.int64), 0


class Fold:
    """Prints in, batch by batch and best in order of arrival; their bars out once, at the end."""

    def __init__(self, rules: BarRules) -> None:
        self._rules = rules
        self._instruments, self._symbols = Names(), Names()
        self._lengths = np.array([INTERVALS[name] for name in rules.intervals], np.int64)
        self._daily = (self._lengths == 0).astype(np.int64)
        self._days: tuple[int, int] | None = None
        self._opens, self._closes = NO_LONGS, NO_LONGS
        self._windows = np.empty((0, running.WINDOW_WIDTH), np.int64)
        self._bars = np.empty((0, len(self._lengths), kernel.CLEAN_WIDTH), np.int64)
        self._out = _Room(kernel.CLEAN_WIDTH)
        self._aside: list[tuple[Longs, Codes]] = []
        self._free = np.empty((0, kernel.PRINT_WIDTH), np.int64), NOTHING
        self._put = 0

    def add(self, prints: pa.Table) -> None:
        """Take in rows with PRINT_COLUMNS, and FATE_COLUMNS where any of them died."""
        for name in NAMES:
            if not pa.types.is_dictionary(prints.schema.field(name).type):
                at = prints.column_names.index(name)
                prints = prints.set_column(at, name, prints[name].dictionary_encode())
        touched, first = _touched(prints, self._rules), 0
        for batch in prints.to_batches():
            if batch.num_rows:
                self._run_in(batch, touched[first : first + batch.num_rows])
            first += batch.num_rows

    def finish(self) -> Bars:
        """Every bar, each once."""
        self._close_all()
        by_name = sorted(self._symbols.codes)
        rank = np.empty(len(by_name), np.int64)
        rank[[self._symbols.codes[name] for name in by_name]] = np.arange(len(by_name))
        full = self._folded_aside(rank)
        index, clean = running.index_of(full), []
        for bars in self._out.filled:
            clean.append(bars[:, : running.add_to_full(bars, bars.shape[1], rank, full, index)])
        return Bars(clean, full.T, self._rules.intervals, list(self._instruments.codes), by_name)

    @property
    def _all_aside(self) -> bool:
        """Whether nothing can be added up from the bars of the first interval.

        Held bars lack prints that others need; and every other length must be a multiple of the first.
        """
        first = self._lengths[0]
        return bool(self._rules.held) or first == 0 or bool((self._lengths % first).any())

    def _run_in(self, batch: pa.RecordBatch, touched: Codes) -> None:
        kinds, sessions = (batch[name].dictionary.to_pylist() for name in ("kind", "session"))
        group_of, symbol_of = (
            names.of(batch[name].dictionary)
            for names, name in ((self._instruments, "instrument_id"), (self._symbols, "symbol"))
        )
        self._know_days(batch["session_date"])
        self._know_groups()
        columns = (
            group_of, _indices(batch["instrument_id"]),
            np.array([CODES[name] for name in sessions], np.int32), _indices(batch["session"]),
            np.array([name != "cancel" for name in kinds], np.bool_), _indices(batch["kind"]),
            symbol_of, _indices(batch["symbol"]), batch["session_date"].cast(pa.int32()).to_numpy(),
            _micros_since_1970(batch["traded_at"]), _micros_since_1970(batch["received_at"]),
            _micros(batch["price"]), _micros(batch["size"]), batch["eligibility"].to_numpy(), batch["ord"].to_numpy(),
            batch["batch"].to_numpy(),
            batch["fate"].to_numpy().astype(np.int32) if "fate" in batch.schema.names else NOTHING,
            touched, _dead_at(batch),
        )  # fmt: skip
        at, room = 0, self._out
        while True:
            at, room.count, self._put = running.run_in(
                at, *columns, self._all_aside, self._first_key, self._opens, self._closes, self._lengths, self._daily,
                self._rules.grace_ms, self._windows, self._bars, room.open, room.count, *self._free, self._put,
            )  # fmt: skip
            if at == batch.num_rows:
                return
            if self._put == len(self._free[1]):
                self._keep_aside(ASIDE_PRINTS)
            else:
                room.make(OUT_BARS)

    @property
    def _first_key(self) -> int:
        return self._days[0] * 3 if self._days else 0

    def _know_days(self, days: pa.Array) -> None:
        """Know when the sessions of these dates open and close, and of those before."""
        span = pc.min_max(days)
        seen = (span["min"].cast(pa.int32()).as_py(), span["max"].cast(pa.int32()).as_py())
        known = self._days or seen
        wanted = min(known[0], seen[0]), max(known[1], seen[1])
        if wanted != self._days:
            keys = np.arange(wanted[0] * 3, wanted[1] * 3 + 3, dtype=np.int64)
            self._days, (self._opens, self._closes) = wanted, self._rules.sessions.bounds(keys // 3, keys % 3)

    def _know_groups(self) -> None:
        """Have room for the open bars of every group."""
        groups, known = len(self._instruments) * 3, len(self._windows)
        if groups > known:
            more = max(groups - known, known)
            windows = np.full((more, running.WINDOW_WIDTH), running.NO_DAY, np.int64)
            bars = np.full((more, *self._bars.shape[1:]), kernel.NEVER, np.int64)
            self._windows, self._bars = np.concatenate([self._windows, windows]), np.concatenate([self._bars, bars])

    def _keep_aside(self, most: int) -> None:
        if self._put:
            self._aside.append((self._free[0][: self._put], self._free[1][: self._put]))
        self._free, self._put = (np.empty((most, kernel.PRINT_WIDTH), np.int64), np.empty(most, np.int32)), 0

    def _close_all(self) -> None:
        open_groups = np.flatnonzero(self._windows[:, running.DAY] != running.NO_DAY)
        self._out.make(2 * len(self._lengths) * len(open_groups))
        for group in open_groups:
            self._out.count = running.close_all(
                self._windows, self._bars, group, self._first_key, self._opens, self._closes, self._lengths,
                self._daily, self._out.open, self._out.count,
            )  # fmt: skip
        self._out.make(0)

    def _folded_aside(self, rank: Longs) -> Longs:
        """The bars of the prints that were set aside, one row each."""
        self._keep_aside(0)
        if not self._aside:
            return np.empty((0, kernel.WIDTH), np.int64)
        prints, groups = (np.concatenate(part) for part in zip(*self._aside, strict=True))
        tags = prints[:, kernel.TAGS]
        symbols = (tags >> kernel.SYMBOL_SHIFT) & kernel.SYMBOL_BITS
        tags += ((rank[symbols] - symbols) << kernel.SYMBOL_SHIFT) - (self._first_key << kernel.SESSION_SHIFT)
        laid = prints[np.argsort(groups, kind="stable")]
        counts = np.bincount(groups, minlength=len(self._instruments) * 3)
        bounds = np.concatenate([[0], np.cumsum(counts)])
        held_keys, held_batch = _held(self._rules, self._instruments)
        rows = np.empty((len(laid) * len(self._lengths), kernel.WIDTH), np.int64)
        count = kernel.fold(
            laid, bounds, self._first_key, self._opens, self._closes, self._lengths, self._daily, self._rules.grace_ms,
            held_keys, held_batch, rows.T,
        )  # fmt: skip
        return rows[:count]


def _indices(column: pa.DictionaryArray) -> Codes:
    codes: Codes = column.indices.to_numpy()
    return codes


def _micros_since_1970(column: pa.Array) -> Longs:
    microseconds: Longs = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return microseconds


def _micros(array: pa.Array) -> Longs:
    """The low words of DECIMAL(18,6), which are its whole millionths."""
    words: Longs = np.frombuffer(array.buffers()[1], np.int64)
    return words[2 * array.offset : 2 * (array.offset + len(array)) : 2]


def _dead_at(prints: pa.RecordBatch) -> Longs:
    """When the word of each print's death was received, in ms; NEVER for the living."""
    if "dead_at" not in prints.schema.names:
        return NO_LONGS
    dead_at: Longs = pc.fill_null(pc.divide(prints["dead_at"].cast(pa.int64()), 1000), kernel.NEVER).to_numpy()
    return dead_at


def _touched(prints: pa.Table, rules: BarRules) -> Codes:
    """1 for each print that died, or that some cancel or correction refers to; empty where nobody is."""
    if "fate" in prints.column_names:
        dead: Codes = (prints["fate"].to_numpy() != 0).astype(np.int32)
        return dead
    if not rules.referenced:
        return NOTHING
    suspects = pc.is_in(prints["trade_id"], value_set=pa.array(sorted({one for _, one in rules.referenced})))
    touched: Codes = suspects.to_numpy().astype(np.int32)
    for index in np.flatnonzero(touched):
        day = prints["session_date"][int(index)].cast(pa.int32()).as_py()
        touched[index] = (day, prints["trade_id"][int(index)].as_py()) in rules.referenced
    return touched


def _held(rules: BarRules, instruments: Names) -> tuple[Longs, Longs]:
    """Recomputed bars as sorted keys (group, interval, start), under each session: a start lies in one only."""
    rows = sorted(
        (instruments.codes[instrument] * 3 + session, rules.intervals.index(interval), start, through)
        for instrument, interval, start, through in rules.held
        if instrument in instruments.codes and interval in rules.intervals
        for session in range(3)
    )
    table = np.array(rows, np.int64).reshape(-1, 4)
    return np.ascontiguousarray(table[:, :3]), np.ascontiguousarray(table[:, 3])
