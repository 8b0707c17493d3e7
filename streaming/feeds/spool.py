"""A queue of records on disk between a feed and the stream: what was appended survives this process and the stream.

Records are appended in order and synced before `append` returns, read in order, and deleted a segment at a time once
everything in it was acknowledged. A file that ends in half a frame was cut by a crash: it is cut back to its last whole
frame, and what is cut off is kept beside it and counted. The size is bounded: what does not fit is refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from lakehouse.crashpoints import crashpoint
from lakehouse.errors import FeedError
from streaming.feeds.pack import Record
from streaming.feeds.spool_files import (
    Place,
    read_position,
    segment_numbers,
    segment_path,
    sync_folder,
    write_all,
    write_position,
)
from streaming.feeds.spool_frames import decode_frames, encode_frame

READ_BYTES = 8 * 1_048_576  # at least one frame of the largest size


class SpoolFull(FeedError):
    """The spool, or the disk under it, has no room for these records; none of them was written."""


class Spool:
    """Segments in a folder, which the caller holds locked. One thread appends, another reads and acknowledges."""

    def __init__(self, folder: Path, *, segment_bytes: int, max_bytes: int) -> None:
        self.cut_bytes = 0  # cut off at opening: frames a crash left unfinished, or damage
        self.waiting = 0  # records not yet acknowledged
        self._folder, self._segment_bytes, self._max_bytes = folder, segment_bytes, max_bytes
        self._changed = threading.Condition()
        self._sizes: dict[int, int] = {}
        self._file: int | None = None
        self._open()

    @property
    def size(self) -> int:
        """Bytes on disk, acknowledged ones of segments in use included."""
        return sum(self._sizes.values())

    @property
    def acknowledged(self) -> Place:
        """Up to where everything was acknowledged: where reading begins."""
        return self._acknowledged

    @property
    def has_room(self) -> bool:
        """Whether it is worth trying again after a refusal: a tenth of it is free."""
        return self.size * 10 <= self._max_bytes * 9

    def append(self, records: Sequence[Record]) -> None:
        """Write records and sync them: all of them, or none and SpoolFull is raised."""
        data = b"".join(map(encode_frame, records))
        with self._changed:
            if self.size + len(data) > self._max_bytes:
                raise SpoolFull(
                    f"{self._folder}: the spool holds {self.size:,} bytes of at most {self._max_bytes:,}, and "
                    f"{len(records):,} records were refused; what it holds is safe. The stream has taken nothing for "
                    f"long: see why below, or raise feeds.spool.max_mb."
                )
            self._write(data, len(records))
            self.waiting += len(records)
            self._changed.notify_all()

    def read(self, place: Place, most: int) -> tuple[list[Record], Place]:
        """At most so many records from a place on, and the place after them; none where nothing is left to read."""
        with self._changed:  # a segment may be written to and sealed meanwhile: one look must tell both
            following = sorted(number for number, size in self._sizes.items() if number > place.segment and size)
            end = self._sizes.get(place.segment, 0)
            if place.offset >= end and following:
                place, end = Place(following[0], 0), self._sizes[following[0]]
        return self._read_segment(place, end, most) if place.offset < end else ([], place)

    def acknowledge(self, place: Place, records: int) -> None:
        """Everything before a place was taken in by the stream: note it, and delete segments that are done with."""
        write_position(self._folder, place)
        crashpoint("spool.mid_delete")
        with self._changed:
            self._acknowledged = place
            self.waiting -= records
            done = [number for number in self._sizes if number < place.segment]
            for number in done:
                segment_path(self._folder, number).unlink(missing_ok=True)
                del self._sizes[number]

    def wait(self, place: Place, seconds: float) -> None:
        """Return when there is something to read at a place, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_more(place), seconds)

    def close(self) -> None:
        """Let go of the file; everything is synced already."""
        with self._changed:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _is_more(self, place: Place) -> bool:
        return any(Place(number, size) > place for number, size in self._sizes.items() if size)

    def _read_segment(self, place: Place, end: int, most: int) -> tuple[list[Record], Place]:
        with segment_path(self._folder, place.segment).open("rb") as file:
            file.seek(place.offset)
            data = file.read(min(READ_BYTES, end - place.offset))
        found: list[Record] = []
        after = place
        for record, stop in decode_frames(data):
            found.append(record)
            after = Place(place.segment, place.offset + stop)
            if len(found) == most:
                break
        if not found:
            raise FeedError(
                f"{segment_path(self._folder, place.segment)}: expected a whole frame at byte {place.offset}, found a "
                f"damaged one, though it was whole when it was written: the disk is failing. Nothing was deleted. "
                f"Start the collector again: it keeps the damaged part aside, notes the gap and goes on."
            )
        return found, after

    def _write(self, data: bytes, records: int) -> None:
        number = max(self._sizes)
        if self._sizes[number] >= self._segment_bytes:
            number = self._begin(number + 1)
        if self._file is None:
            self._file = os.open(segment_path(self._folder, number), os.O_WRONLY | os.O_APPEND)
        before = self._sizes[number]
        try:
            write_all(self._file, data)
        except OSError as error:
            os.ftruncate(self._file, before)
            raise SpoolFull(
                f"{segment_path(self._folder, number)}: {records:,} records could not be written ({error.strerror}) "
                f"and were refused; what the spool holds is safe. Free space on the disk, or repair it."
            ) from error
        self._sizes[number] = before + len(data)
        crashpoint("spool.after_write")

    def _begin(self, number: int) -> int:
        """Start a segment; the one before is never written to again."""
        if self._file is not None:
            os.close(self._file)
        try:
            self._file = os.open(segment_path(self._folder, number), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        except OSError as error:
            self._file = None
            raise SpoolFull(f"{self._folder}: no new segment could be made ({error.strerror}).") from error
        sync_folder(self._folder)
        self._sizes[number] = 0
        return number

    def _open(self) -> None:
        """Take up what an earlier process left, cut back to whole frames."""
        at = read_position(self._folder)
        for number in segment_numbers(self._folder):
            path = segment_path(self._folder, number)
            if number < at.segment:
                path.unlink()
                continue
            size = self._whole(path, at.offset if number == at.segment else 0)
            if size:
                self._sizes[number] = size
            else:
                path.unlink()
        self._acknowledged = Place(at.segment, min(at.offset, self._sizes.get(at.segment, 0)))
        self._begin(max(at.segment, *self._sizes, 0) + 1)  # a new one: a place noted in an old one never fits it

    def _whole(self, path: Path, counted_from: int) -> int:
        """The length of a segment's whole frames. What follows them is cut off and kept beside; frames are counted."""
        data = path.read_bytes()
        end = 0
        for _, end in decode_frames(data):
            self.waiting += end > counted_from
        if end < len(data):
            self.cut_bytes += len(data) - end
            path.with_suffix(".cut").write_bytes(data[end:])
            os.truncate(path, end)
        return end
