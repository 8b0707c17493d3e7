"""The options of the Kinesis source, named as EMR's aws-kinesis connector does; ours are `kinesis.tickhouse.*`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from lakehouse.clock import to_ms
from lakehouse.errors import SourceError

OLDEST = "TRIM_HORIZON"
NEWEST = "LATEST"
POSITIONS = f"{OLDEST}, {NEWEST} or `AT_TIMESTAMP 2026-01-01T00:00:00Z`"


@dataclass(frozen=True)
class Start:
    """Where a query without a checkpoint begins: the oldest record, the newest, or the first that arrived at a time."""

    kind: str
    at_ms: int = 0

    @classmethod
    def parse(cls, text: str) -> Start:
        """TRIM_HORIZON (or EARLIEST), LATEST, or AT_TIMESTAMP and an ISO time with its zone."""
        word, _, rest = text.strip().partition(" ")
        if word.upper() in (OLDEST, "EARLIEST") and not rest:
            return cls(OLDEST)
        if word.upper() == NEWEST and not rest:
            return cls(NEWEST)
        if word.upper() == "AT_TIMESTAMP" and rest:
            return cls("AT_TIMESTAMP", parse_instant(rest))
        raise ValueError(f"expected {POSITIONS}")


@dataclass(frozen=True)
class KinesisOptions:
    """What one reader was told. Spans are milliseconds, sizes bytes."""

    stream: str
    start: Start
    region: str
    endpoint: str | None = None
    fail_on_data_loss: bool = True
    max_records: int = 100_000
    max_span_ms: int = 60_000
    until_ms: int | None = None
    fetch_records: int = 10_000
    fetch_interval_ms: int = 500
    bytes_per_second: int = 1_600_000
    threads: int = 8
    retries: int = 8
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> KinesisOptions:
        """The typed options; an unknown name, a bad value or a missing one is refused, naming it."""
        values = {name.lower(): text for name, text in given.items()}
        unknown = sorted(set(values) - {name.lower() for name in FIELDS})
        if unknown:
            raise SourceError(
                f"tickhouse-kinesis: unknown option {unknown[0]}. Known are: {', '.join(FIELDS)}. Nothing was read."
            )
        asked = {name: field for name, field in FIELDS.items() if name.lower() in values}
        known: dict[str, Any] = {member: _read(name, values, parser) for name, (member, parser) in asked.items()}
        for name in ("kinesis.streamName", "kinesis.startingPosition"):
            if FIELDS[name][0] not in known:
                raise SourceError(f"tickhouse-kinesis: the option {name} is missing. Nothing was read. Set it.")
        if not known.get("region"):
            known["region"] = _region_of(known.get("endpoint"))
        return cls(**known)


def parse_instant(text: str) -> int:
    """Milliseconds since 1970 of an ISO time that names its zone."""
    instant = datetime.fromisoformat(text.strip())
    if instant.tzinfo is None:
        raise ValueError("expected a time with its zone, such as 2026-01-01T00:00:00Z")
    return to_ms(instant)


def _region_of(endpoint: str | None) -> str:
    """The region inside an AWS endpoint such as https://kinesis.eu-west-1.amazonaws.com."""
    parts = (urlsplit(endpoint).hostname or "").split(".") if endpoint else []
    if len(parts) >= 4 and parts[0].startswith("kinesis") and parts[2] == "amazonaws":
        return parts[1]
    raise SourceError(
        f"tickhouse-kinesis: no region: kinesis.region is not set and {endpoint or 'no kinesis.endpointUrl'} names "
        "none. Nothing was read. Set kinesis.region."
    )


def _read(name: str, values: Mapping[str, str], parser: Callable[[str], Any]) -> Any:
    text = values[name.lower()]
    try:
        return parser(text)
    except ValueError as error:
        raise SourceError(f"tickhouse-kinesis: {name} is {text!r}: {error}. Nothing was read. Correct it.") from None


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < least:
            raise ValueError(f"expected a whole number, at least {least}")
        return int(text)

    return parse


def _truth(text: str) -> bool:
    if text.strip().lower() not in ("true", "false"):
        raise ValueError("expected true or false")
    return text.strip().lower() == "true"


def _span_ms(text: str) -> int:
    if not float(text) > 0:
        raise ValueError("expected seconds, more than 0")
    return max(1, round(float(text) * 1000))


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("expected a text")
    return text.strip()


def _page(text: str) -> int:
    if _whole(1)(text) > 10_000:
        raise ValueError("Kinesis gives at most 10000 records a call")
    return int(text)


FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "kinesis.streamName": ("stream", _text),
    "kinesis.startingPosition": ("start", Start.parse),
    "kinesis.region": ("region", _text),
    "kinesis.endpointUrl": ("endpoint", _text),
    "kinesis.failOnDataLoss": ("fail_on_data_loss", _truth),
    "kinesis.maxFetchRecordsPerShard": ("max_records", _whole(1)),
    "kinesis.getRecords.numberOfRecordsPerFetch": ("fetch_records", _page),
    "kinesis.getRecords.fetchIntervalMs": ("fetch_interval_ms", _whole(0)),
    "kinesis.checkNewRecordThreads": ("threads", _whole(1)),
    "kinesis.clientNumRetries": ("retries", _whole(0)),
    "kinesis.awsAccessKeyId": ("access_key", _text),
    "kinesis.awsSecretKey": ("secret_key", _text),
    "kinesis.sessionToken": ("session_token", _text),
    "kinesis.tickhouse.maxSpanSeconds": ("max_span_ms", _span_ms),
    "kinesis.tickhouse.bytesPerSecond": ("bytes_per_second", _whole(1)),
    "kinesis.tickhouse.until": ("until_ms", parse_instant),
}
