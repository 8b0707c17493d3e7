"""Options for the connectors that AWS ships, for those who choose them in conf. Ours is streaming/sources/kinesis.py.

Neither is deterministic under replay: executors decide where a batch ends. DESIGN, section 3, says why ours is default.
"""

from __future__ import annotations

from lakehouse.settings import KinesisSettings


def kinesis_endpoint(kinesis: KinesisSettings) -> str:
    """The endpoint of the settings, else the public one of the region."""
    return kinesis.endpoint or f"https://kinesis.{kinesis.region}.amazonaws.com"


def emr_kinesis_options(kinesis: KinesisSettings) -> dict[str, str]:
    """Options of EMR's `aws-kinesis`, whose defaults (LATEST, failOnDataLoss false) skip data in silence."""
    options = {
        "kinesis.endpointUrl": kinesis_endpoint(kinesis),
        "kinesis.streamName": kinesis.stream,
        "kinesis.region": kinesis.region,
        "kinesis.consumerType": "GetRecords",
        "kinesis.startingPosition": kinesis.starting_position,
        "kinesis.failOnDataLoss": str(kinesis.fail_on_data_loss).lower(),
        "kinesis.maxFetchRecordsPerShard": str(kinesis.max_records_per_shard),
        "kinesis.maxFetchTimePerShardSec": str(max(10, round(kinesis.max_span_seconds))),
        "kinesis.getRecords.fetchIntervalMs": "1000",
    }
    if kinesis.access_key and kinesis.secret_key:
        options["kinesis.awsAccessKeyId"] = kinesis.access_key.get_secret_value()
        options["kinesis.awsSecretKey"] = kinesis.secret_key.get_secret_value()
    return options


def glue_kinesis_options(kinesis: KinesisSettings) -> dict[str, str]:
    """Connection options of Glue's `kinesis` source: raw records, their arrival time, an explicit start."""
    position = kinesis.starting_position
    return {
        "streamName": kinesis.stream,
        "endpointUrl": kinesis_endpoint(kinesis),
        "startingPosition": position.removeprefix("AT_TIMESTAMP ") if " " in position else position.lower(),
        "failOnDataLoss": str(kinesis.fail_on_data_loss).lower(),
        "inferSchema": "false",
        "addRecordTimestamp": "true",
        "emitConsumerLagMetrics": "true",
        "avoidEmptyBatches": "true",
        "maxFetchRecordsPerShard": str(kinesis.max_records_per_shard),
        "addIdleTimeBetweenReads": "true",
        "idleTimeBetweenReadsInMs": "1000",
    }
