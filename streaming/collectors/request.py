"""What is asked for: one document of one source under an id that stays the same, and what is known of it already."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Request:
    """One document. `changes`: ask again whether it did; what does not change is fetched once. No secret in `url`."""

    source: str
    kind: str
    document_id: str
    url: str
    changes: bool
    symbol: str | None = None
    cik: int | None = None


@dataclass(frozen=True)
class Version:
    """The newest version of a document that is stored, and what its server needs to say that it still is."""

    content_hash: str
    fetched_at: datetime
    etag: str | None = None
    last_modified: str | None = None

    @property
    def conditions(self) -> dict[str, str]:
        """Headers that ask for the document only if it changed; empty where the server gave nothing to go by."""
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True)
class Answer:
    """A body that arrived whole."""

    body: bytes
    fetched_at: datetime
    status: int | None = None
    content_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None


UNCHANGED, MISSING, DENIED, FAILED, BARRED, STOPPED = "unchanged", "missing", "denied", "failed", "barred", "stopped"


@dataclass(frozen=True)
class Nothing:
    """No body, and why: the document is unchanged or missing, not for this key (denied), did not come (failed), the
    source lets us in no more (barred), or the run was stopped.
    """

    outcome: str
    why: str = ""


Place = tuple[str, str]  # source and document id


@dataclass
class Known:
    """What is stored: of each document its newest version, and the hashes of all of them."""

    newest: dict[Place, Version] = field(default_factory=dict)
    hashes: dict[Place, set[str]] = field(default_factory=dict)

    def version(self, request: Request) -> Version | None:
        """The newest stored version of what is asked for."""
        return self.newest.get((request.source, request.document_id))

    def holds(self, request: Request) -> bool:
        """Whether nothing need be asked: it is stored, and does not change."""
        return not request.changes and self.version(request) is not None

    def has(self, request: Request, content_hash: str) -> bool:
        """Whether this very content is stored."""
        return content_hash in self.hashes.get((request.source, request.document_id), ())

    def add(self, place: Place, version: Version) -> None:
        """Take note of a version, whatever the order they come in."""
        self.hashes.setdefault(place, set()).add(version.content_hash)
        now = self.newest.get(place)
        if now is None or (version.fetched_at, version.content_hash) > (now.fetched_at, now.content_hash):
            self.newest[place] = version

    def merge(self, other: Known) -> None:
        """Take note of all that another knows."""
        for place, version in other.newest.items():
            self.add(place, version)
        for place, found in other.hashes.items():
            self.hashes.setdefault(place, set()).update(found)
