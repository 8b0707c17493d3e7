"""Records as frames of a spool file: length, checksum, body. Whatever a crash leaves, whole frames can be told."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from streaming.feeds.pack import Record

HEAD = struct.Struct("<II")  # length of the body, its CRC-32
BODY = struct.Struct("<qIH")  # at_ms, prints, length of the key; then the key, then the record's bytes
LARGEST_BODY = 4 * 1_048_576  # a length beyond it is no length


def encode_frame(record: Record) -> bytes:
    """One record as a frame."""
    key = record.key.encode()
    body = BODY.pack(record.at_ms, record.prints, len(key)) + key + record.data
    return HEAD.pack(len(body), zlib.crc32(body)) + body


def decode_frames(data: bytes | memoryview) -> Iterator[tuple[Record, int]]:
    """Records from the beginning of some bytes on, each with where its frame ends; stops where no whole frame is."""
    at, view = 0, memoryview(data)
    while (end := _frame_end(view, at)) is not None:
        yield _record(view[at + HEAD.size : end]), end
        at = end


def _frame_end(view: memoryview, at: int) -> int | None:
    """Where the frame at a place ends; None where it is cut, damaged or none. Zeros are none: a body is never empty."""
    if at + HEAD.size > len(view):
        return None
    length, checksum = HEAD.unpack_from(view, at)
    end = at + HEAD.size + length
    if not BODY.size <= length <= LARGEST_BODY or end > len(view):
        return None
    return end if zlib.crc32(view[at + HEAD.size : end]) == checksum else None


def _record(body: memoryview) -> Record:
    at_ms, prints, key_length = BODY.unpack_from(body, 0)
    key_end = BODY.size + key_length
    return Record(bytes(body[BODY.size : key_end]).decode(), bytes(body[key_end:]), prints, at_ms)
