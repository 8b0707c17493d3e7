"""Settings: declared types over conf/*.yaml, then the environment, then the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Position = Annotated[str, Field(pattern=r"^(TRIM_HORIZON|LATEST|AT_TIMESTAMP \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$")]


class Section(BaseModel):
    """Base of every section: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Paths(Section):
    """Where data, checkpoints and logs lie; a local path or an s3a:// address."""

    warehouse: str = "warehouse/lake"
    checkpoints: str = "warehouse/checkpoints"
    landing: str = "warehouse/landing"
    archive: str = "warehouse/archive"
    logs: str = "warehouse/logs"
    data_docs: str = "warehouse/data_docs"


class SparkSettings(Section):
    """The session. `conf` is passed to Spark as it stands."""

    master: str | None = "local[2]"
    driver_memory: str = "2g"
    shuffle_partitions: int = Field(2, ge=1)
    jars: str | None = None
    conf: dict[str, str] = Field(default_factory=dict)


class KinesisSettings(Section):
    """The Kinesis stream; option names follow EMR's aws-kinesis connector."""

    connector: Literal["tickhouse", "emr", "glue"] = "tickhouse"
    stream: str = "tickhouse-market-events"
    region: str = "us-east-1"
    endpoint: str | None = None
    starting_position: Position = "TRIM_HORIZON"
    fail_on_data_loss: bool = True
    max_span_seconds: float = Field(60.0, gt=0)
    max_records_per_shard: int = Field(100_000, ge=1)
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None

    @model_validator(mode="after")
    def _keys_come_in_pairs(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            given, missing = ("secret_key", "access_key") if self.access_key is None else ("access_key", "secret_key")
            raise ValueError(f"expected access_key and secret_key together, found only {given}; set {missing} too")
        return self


class KafkaSettings(Section):
    """The Kafka topic."""

    bootstrap_servers: str = "127.0.0.1:9092"
    topic: str = "tickhouse-market-events"
    starting_offsets: Literal["earliest", "latest"] = "earliest"
    fail_on_data_loss: bool = True
    max_offsets_per_trigger: int = Field(100_000, ge=1)


class FilesSettings(Section):
    """A folder of JSON Lines files; files appear by rename and never change."""

    max_files_per_trigger: int = Field(1000, ge=1)


class SourceSettings(Section):
    """Which source the ingest query reads."""

    kind: Literal["files", "kinesis", "kafka"] = "files"
    files: FilesSettings = FilesSettings()
    kinesis: KinesisSettings = KinesisSettings()
    kafka: KafkaSettings = KafkaSettings()


class StreamSettings(Section):
    """How the three queries run."""

    trigger_seconds: float = Field(1.0, ge=0)
    poll_seconds: float = Field(0.2, ge=0)
    take_turns: bool = False
    grace_seconds: float = Field(10.0, ge=0)
    future_tolerance_seconds: float = Field(300.0, ge=0)
    max_payload_bytes: int = Field(1_048_576, ge=1024)
    max_bytes_per_trigger: str = Field("16m", pattern=r"^\d+[kmg]$")
    refine_bytes_per_trigger: str = Field("64m", pattern=r"^\d+[kmg]$")
    lease_seconds: float = Field(30.0, gt=0)
    optimize_every_batches: int = Field(200, ge=0)


class ReferenceSettings(Section):
    """Calendars, watchlists, sale conditions, indicators, concepts, sectors: files of conf/ unless a path is given."""

    exchange: str = "XNYS"
    watchlist: str = "watchlist.yaml"
    sale_conditions: str = "sale_conditions.yaml"
    indicators: str = "indicators.yaml"
    concepts: str = "concepts.yaml"
    sectors: str = "sectors.yaml"
    lean_folder: str | None = None
    closes_folder: str | None = None


class MetricsSettings(Section):
    """Where the stream's figures go besides its log."""

    cloudwatch_namespace: str | None = Field(None, min_length=1)


class FinnhubSettings(Section):
    """Finnhub: addresses, the key, and when a connection counts as dead. Pings come every minute or two."""

    token: SecretStr | None = None
    websocket: str = Field("wss://ws.finnhub.io", pattern=r"^wss?://[^?#]+$")
    rest: str = Field("https://finnhub.io/api/v1", pattern=r"^https?://[^?#]+$")
    silence_seconds: float = Field(150.0, gt=0)
    retry_seconds: float = Field(1.0, gt=0)
    retry_at_most_seconds: float = Field(60.0, gt=0)


class SpoolSettings(Section):
    """The local disk between a feed and the stream; a dead stream fills it, `max_mb` bounds it."""

    folder: str = "warehouse/spool"
    segment_mb: int = Field(16, ge=1)
    max_mb: int = Field(1024, ge=2)
    drain_seconds: float = Field(15.0, ge=0)

    @model_validator(mode="after")
    def _holds_two_segments(self) -> Self:
        if self.max_mb < 2 * self.segment_mb:
            raise ValueError(f"expected max_mb of at least two segments ({2 * self.segment_mb}), found {self.max_mb}")
        return self


class QuotesSettings(Section):
    """Quotes polled by REST. Finnhub's free key allows 60 calls a minute for everything it is used for."""

    source: Literal["finnhub", "yfinance"] = "finnhub"
    every_seconds: float = Field(60.0, gt=0)
    calls_per_minute: float = Field(50.0, gt=0)
    timeout_seconds: float = Field(10.0, gt=0)
    outside_regular_hours: bool = False


class FeedHealthSettings(Section):
    """When silence is no longer usual, and when a feed is too thin for signals on volume."""

    usual_sessions: int = Field(20, ge=1)
    mute_prints: float = Field(15.0, gt=0)
    least_coverage: float = Field(0.995, gt=0, le=1)
    tolerated_minutes: float = Field(0.0, ge=0, lt=1)
    vouched_sessions: int = Field(5, ge=1)


class FeedsSettings(Section):
    """Live feeds: where they connect, what they keep on disk, and how their health is judged."""

    finnhub: FinnhubSettings = FinnhubSettings()
    spool: SpoolSettings = SpoolSettings()
    quotes: QuotesSettings = QuotesSettings()
    health: FeedHealthSettings = FeedHealthSettings()


class SecSettings(Section):
    """The SEC's servers. They want to know who asks (name and e-mail), and allow 10 requests a second. A run fetches at
    most `documents_a_run` main documents of filings, so that a long watchlist is no flood; the next run goes on.
    """

    user_agent: str | None = Field(None, pattern=r"^[ -~]*[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+[ -~]*$")
    data: str = Field("https://data.sec.gov", pattern=r"^https?://[^?#]+$")
    archives: str = Field("https://www.sec.gov", pattern=r"^https?://[^?#]+$")
    requests_per_second: float = Field(5.0, gt=0, le=10)
    documents_a_run: int = Field(1000, ge=1)


class MentionsSettings(Section):
    """Counts of mentions or searches from files of `timestamp,value` in UTC; `{symbol}` in `files` is the ticker."""

    files: str | None = Field(None, pattern=r"^[^{}]*\{symbol\}[^{}]*$")
    source: str = Field("mentions", pattern=r"^[a-z][a-z0-9_]*$")
    seconds: float = Field(300.0, gt=0)


class CollectorsSettings(Section):
    """Documents fetched from others: how often they are asked, and when we give up until the next run."""

    sec: SecSettings = SecSettings()
    mentions: MentionsSettings = MentionsSettings()
    finnhub_calls_per_minute: float = Field(30.0, gt=0)
    threads: int = Field(4, ge=1, le=16)
    tries: int = Field(5, ge=1)
    retry_seconds: float = Field(1.0, gt=0)
    retry_at_most_seconds: float = Field(60.0, gt=0)
    timeout_seconds: float = Field(30.0, gt=0)
    body_seconds: float = Field(600.0, gt=0)
    body_mb: int = Field(256, ge=1, le=1024)
    append_mb: int = Field(32, ge=1)


class AlertsSettings(Section):
    """Alert rules and portfolios, files of conf/ unless a path is given."""

    rules: str = "alerts.yaml"
    portfolios: str = "portfolios.yaml"


class DetectSettings(Section):
    """How `detect` follows the stream: when prints and bars count as complete, and how much it takes in at once."""

    poll_seconds: float = Field(1.0, gt=0)
    settle_seconds: float = Field(2.0, ge=0)
    idle_seconds: float = Field(60.0, gt=0)
    prints_per_step: int = Field(200_000, ge=1)
    anomaly_seconds: float = Field(10.0, gt=0)
    fold_seconds: float = Field(60.0, gt=0)
    tell_hours: float | None = Field(24.0, gt=0)


class DeliverySettings(Section):
    """The outbox of alerts (a DynamoDB table) and how it is emptied; an endpoint is for emulators."""

    table: str = Field("tickhouse-alerts", pattern=r"^[A-Za-z0-9_.\-]{3,255}$")
    region: str = "us-east-1"
    endpoint: str | None = None
    sns_endpoint: str | None = None
    sns_topic: str | None = None
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    attempts: int = Field(12, ge=1)
    lease_seconds: float = Field(60.0, gt=0)
    timeout_seconds: float = Field(10.0, gt=0)
    retry_seconds: float = Field(1.0, gt=0)
    retry_cap_seconds: float = Field(300.0, gt=0)
    poll_seconds: float = Field(0.1, gt=0)

    @model_validator(mode="after")
    def _a_lease_outlasts_a_call(self) -> Self:
        if self.lease_seconds < 3 * self.timeout_seconds:
            raise ValueError(
                f"expected lease_seconds of at least 3 x timeout_seconds ({3 * self.timeout_seconds:g}), found "
                f"{self.lease_seconds:g}: another process would send what this one is sending"
            )
        return self


class FastLaneSettings(Section):
    """The plain consumer for price jumps: calls a second it takes of each shard's five, and how it starts."""

    calls_per_second: float = Field(2.5, gt=0, le=5)
    look_back_minutes: float = Field(15.0, ge=0)


class MlflowSettings(Section):
    """Where models are tracked and registered: a server's address, or an sqlite file; its artifacts in a folder."""

    tracking_uri: str = Field("sqlite:///warehouse/mlflow/mlflow.db", pattern=r"^(sqlite:///|https?://).+$")
    artifacts: str | None = "warehouse/mlflow/artifacts"

    @property
    def artifact_location(self) -> str | None:
        """Where a new experiment keeps its artifacts; None leaves that to the server."""
        if self.artifacts is None or "://" in self.artifacts:
            return self.artifacts
        return Path(self.artifacts).absolute().as_uri()


class Settings(Section):
    """Everything a job may be told. Each job takes this one object."""

    environment: str = "local"
    paths: Paths = Paths()
    spark: SparkSettings = SparkSettings()
    source: SourceSettings = SourceSettings()
    stream: StreamSettings = StreamSettings()
    reference: ReferenceSettings = ReferenceSettings()
    metrics: MetricsSettings = MetricsSettings()
    feeds: FeedsSettings = FeedsSettings()
    collectors: CollectorsSettings = CollectorsSettings()

    alerts: AlertsSettings = AlertsSettings()
    delivery: DeliverySettings = DeliverySettings()
    detect: DetectSettings = DetectSettings()
    fast_lane: FastLaneSettings = FastLaneSettings()
    mlflow: MlflowSettings = MlflowSettings()

    def checkpoint(self, query: str) -> str:
        """The checkpoint folder of one query; the version segment changes when its state layout does."""
        return f"{self.paths.checkpoints.rstrip('/')}/{query}/v1"


CONF = Path(__file__).resolve().parent.parent / "conf"
