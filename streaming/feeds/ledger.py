"""What a collector writes down: stamped frames into the spool, and beside them gaps, counters, and that it is alive.

`alive.json` says until when everything received is on disk, so that the next process knows where a gap began that
nobody could note: the collector was killed, or was not running.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from streaming.feeds.pack import Record
from streaming.feeds.spool import Spool, SpoolFull
from streaming.feeds.spool_files import replace_file
from streaming.feeds.stamps import CONTROL, MALFORMED, Stamper
from streaming.feeds.status import CONNECTED, GAP, MINUTE, STARTED, STOPPED, WATCHLIST, Counters, Gap, status

LOGGER = logging.getLogger("tickhouse.feeds")
Item = tuple[int, bytes | str]
"""What a socket yields, with the moment in ms: a frame, or the reason why the connection ended."""

MINUTE_MS, ALIVE_EVERY_MS = 60_000, 1_000
ALIVE = "alive.json"
NOT_RUNNING = "the collector was not running"
REFUSALS = ("api key", "token", "unauthorized")


class Ledger:
    """Writes what a feed delivers and what happens to it. One write at a time; notes may come from another thread."""

    def __init__(self, spool: Spool, folder: Path, feed: str, run: str, hide: Callable[[object], str] = str) -> None:
        self.counters = Counters()
        self.refusal: str | None = None  # the vendor's words, where it refuses the key in a frame
        self._spool, self._alive, self._feed, self._run, self._hide = spool, folder / ALIVE, feed, run, hide
        self._stamper = Stamper(run, feed)
        self._notes: list[Record] = []  # what happened and is not written yet
        self._noting, self._writing = threading.Lock(), threading.Lock()
        self._mute, self._full = Gap(), Gap()  # no connection; no room
        self._last_frame_ms: int | None = None
        self._minute_ms, self._alive_ms, self._told = 0, 0, Counters()

    def begin(self, now_ms: int, tickers: Sequence[str]) -> None:
        """The feed starts: since the last sign of life there was a gap, which lasts until the first frame."""
        self._minute_ms = now_ms
        last = read_life(self._alive)
        self._mute = last or Gap(now_ms, "starting")
        if self._spool.cut_bytes:
            LOGGER.warning("%d bytes of unfinished frames were set aside in the spool.", self._spool.cut_bytes)
        self._note(now_ms, STARTED, run=self._run, symbols=list(tickers), cut_bytes=self._spool.cut_bytes)
        self.write(now_ms, [])

    def connected(self, now_ms: int, symbols: int) -> None:
        """A connection stands and everything is subscribed to."""
        self.counters.connections += 1
        self._note(now_ms, CONNECTED, symbols=symbols)

    def watchlist(self, now_ms: int, added: Sequence[str], removed: Sequence[str]) -> None:
        """The watchlist changed and the vendor was told."""
        self._note(now_ms, WATCHLIST, added=list(added), removed=list(removed))

    def write(self, now_ms: int, items: Sequence[Item]) -> None:
        """Put items on disk, notes first. Frames there is no room for are lost, and counted as a gap."""
        with self._writing:
            before = self.counters.frames, self.counters.prints
            records = [record for item in items for record in self._records(*item)]
            lost = self.counters.frames - before[0], self.counters.prints - before[1]
            written_ms = items[-1][0] if items else now_ms
            if now_ms - self._minute_ms >= MINUTE_MS:
                self._minute(now_ms)
            try:
                self._append(records, items[0][0] if items else now_ms)
            except SpoolFull as error:
                self._refused(items[0][0] if items else now_ms, error, *lost)
            self._show_life(written_ms)

    def end(self, now_ms: int) -> None:
        """The feed stops, cleanly."""
        self._minute(now_ms)
        self._note(now_ms, STOPPED, run=self._run, **self.counters.totals())
        self._alive_ms = 0
        self.write(now_ms, [])

    def _records(self, at_ms: int, item: bytes | str) -> list[Record]:
        """A frame as records, counted; the end of a connection begins a gap, the next frame ends it."""
        if isinstance(item, str):
            self._mute.open(at_ms if self._last_frame_ms is None else self._last_frame_ms, item)
            return []
        if self._mute.is_open:
            self._note_gap(max(at_ms, self._mute.since_ms or 0), self._mute)
        self._last_frame_ms = at_ms
        stamped = self._stamper.stamp(at_ms, item)
        self.counters.frames += 1
        self.counters.malformed += stamped.kind == MALFORMED
        self.counters.prints += sum(stamped.prints.values())
        self.counters.next.update({name: self._stamper.numbers.get(name, 0) for name in stamped.prints})
        if stamped.kind == CONTROL and stamped.control:
            self._control(stamped.control)
        return stamped.records

    def _control(self, message: dict[str, object]) -> None:
        self.counters.pings += message["type"] == "ping"
        if message["type"] == "error":
            self.counters.errors += 1
            said = self._hide(message.get("msg", message))[:200]
            LOGGER.warning("%s says: %s", self._feed, said)
            if any(word in said.lower() for word in REFUSALS):
                self.refusal = said

    def _append(self, records: list[Record], at_ms: int) -> None:
        """Notes and records into the spool; where it was full, first that it was. Raises SpoolFull and keeps notes."""
        if self._full.is_open and not self._spool.has_room:
            raise SpoolFull("still no room")
        was_full = [self._gap(at_ms, self._full)] if self._full.is_open else []
        with self._noting:
            notes = list(self._notes)
        if notes or was_full or records:
            self._spool.append([*was_full, *notes, *records])
        with self._noting:
            del self._notes[: len(notes)]
        if was_full:
            LOGGER.warning("The spool has room again; %d frames were lost meanwhile.", self._full.frames)
            self.counters.gaps += 1
            self._full = Gap()

    def _refused(self, at_ms: int, error: SpoolFull, frames: int, prints: int) -> None:
        """No room: said once, counted always."""
        if not self._full.is_open:
            LOGGER.error("%s", error)
            self._full.open(at_ms, "no room in the spool")
        self._full.lose(frames, prints)
        self.counters.lost_frames += frames
        self.counters.lost_prints += prints

    def _gap(self, until_ms: int, gap: Gap) -> Record:
        return status(self._feed, GAP, until_ms, **gap.facts(until_ms))

    def _note_gap(self, until_ms: int, gap: Gap) -> None:
        with self._noting:
            self._notes.append(self._gap(until_ms, gap))
        self.counters.gaps += 1
        self._mute = Gap()

    def _minute(self, now_ms: int) -> None:
        """What was counted since the last time, and the number each symbol's next print gets."""
        now, then = self.counters.totals(), self._told.totals()
        fresh = {name: value - then[name] for name, value in now.items()}
        moved = {name: one for name, one in self.counters.next.items() if one != self._told.next.get(name)}
        spool = {"waiting": self._spool.waiting, "spool_bytes": self._spool.size}
        span = {"from": self._minute_ms, "until": now_ms}
        self._note(now_ms, MINUTE, **span, run=self._run, **fresh, next=moved, **spool)
        self._told = Counters(**now, next=dict(self.counters.next))
        self._minute_ms = now_ms

    def _note(self, now_ms: int, event: str, **facts: object) -> None:
        with self._noting:
            self._notes.append(status(self._feed, event, now_ms, **facts))

    def _show_life(self, written_ms: int) -> None:
        """Until when everything received is on disk; since when not, where a gap is not noted yet."""
        if written_ms - self._alive_ms < ALIVE_EVERY_MS:
            return
        opened = sorted((one for one in (self._mute, self._full) if one.is_open), key=lambda gap: gap.since_ms or 0)
        life: dict[str, object] = {"at": written_ms}
        if opened:
            frames, prints = self._full.frames + self._mute.frames, self._full.prints + self._mute.prints
            life |= {"since": opened[0].since_ms, "reason": opened[0].reason, "frames": frames, "prints": prints}
        try:
            replace_file(self._alive, json.dumps(life))
            self._alive_ms = written_ms
        except OSError as error:
            LOGGER.warning("%s could not be written (%s).", self._alive, error.strerror)


def read_life(path: Path) -> Gap | None:
    """The gap that began with the last sign of life of an earlier process; None where none ever ran here."""
    try:
        life = json.loads(path.read_text(encoding="utf-8"))
        if "since" not in life:
            return Gap(int(life["at"]), NOT_RUNNING)
        reason = str(life["reason"]).removesuffix(f"; then {NOT_RUNNING}")
        return Gap(int(life["since"]), f"{reason}; then {NOT_RUNNING}", int(life["frames"]), int(life["prints"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
