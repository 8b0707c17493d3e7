"""Options of the Kinesis source, and the option dictionaries for the connectors of others."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from lakehouse.clock import fixed_clock
from lakehouse.errors import SourceError
from lakehouse.settings import KafkaSettings, KinesisSettings
from streaming.sources.connectors import emr_kinesis_options, glue_kinesis_options
from streaming.sources.kafka import kafka_options
from streaming.sources.kinesis_client import kinesis_client, parse_records
from streaming.sources.kinesis_options import KinesisOptions, Start
from streaming.sources.market_events import kinesis_options

NEEDED = {"kinesis.streamName": "s", "kinesis.startingPosition": "TRIM_HORIZON", "kinesis.region": "eu-west-1"}
NOON = fixed_clock(datetime(2026, 1, 2, 12, 0, 0, 250_000, UTC))


def test_defaults_never_skip_data() -> None:
    options = KinesisOptions.parse(NEEDED)

    assert options.fail_on_data_loss
    assert (options.max_records, options.max_span_ms, options.until_ms) == (100_000, 60_000, None)


def test_option_names_are_case_insensitive_as_spark_delivers_them() -> None:
    given = {name.lower(): text for name, text in NEEDED.items()} | {"KINESIS.maxfetchrecordspershard": "7"}

    assert KinesisOptions.parse(given).max_records == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TRIM_HORIZON", Start("TRIM_HORIZON")),
        ("earliest", Start("TRIM_HORIZON")),
        ("LATEST", Start("LATEST")),
        ("AT_TIMESTAMP 1970-01-01T00:00:01.5Z", Start("AT_TIMESTAMP", 1500)),
        ("AT_TIMESTAMP 1970-01-01T01:00:00+01:00", Start("AT_TIMESTAMP", 0)),
    ],
)
def test_a_starting_position_is_read(text: str, expected: Start) -> None:
    assert Start.parse(text) == expected


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("kinesis.startingPosition", "TOMORROW", "expected TRIM_HORIZON, LATEST or"),
        ("kinesis.startingPosition", "AT_TIMESTAMP 2026-01-01T00:00:00", "with its zone"),
        ("kinesis.startingPosition", "AT_TIMESTAMP", "expected TRIM_HORIZON"),
        ("kinesis.maxFetchRecordsPerShard", "0", "at least 1"),
        ("kinesis.maxFetchRecordsPerShard", "-5", "whole number"),
        ("kinesis.getRecords.numberOfRecordsPerFetch", "10001", "at most 10000"),
        ("kinesis.failOnDataLoss", "yes", "expected true or false"),
        ("kinesis.tickhouse.maxSpanSeconds", "0", "more than 0"),
        ("kinesis.tickhouse.maxSpanSeconds", "nan", "more than 0"),
        ("kinesis.tickhouse.until", "2026-01-01", "with its zone"),
        ("kinesis.streamName", " ", "expected a text"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, text: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=f"{name} is .*{complaint}.*Nothing was read"):
        KinesisOptions.parse(NEEDED | {name: text})


@pytest.mark.parametrize("name", ["kinesis.streamName", "kinesis.startingPosition"])
def test_a_missing_option_is_refused_by_name(name: str) -> None:
    with pytest.raises(SourceError, match=f"{name} is missing"):
        KinesisOptions.parse({key: text for key, text in NEEDED.items() if key != name})


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SourceError, match=r"unknown option kinesis\.streamname2.*Known are: kinesis\.streamName"):
        KinesisOptions.parse(NEEDED | {"kinesis.streamName2": "s"})


def test_the_region_is_taken_from_an_aws_endpoint_and_must_be_given_for_any_other() -> None:
    without = {name: text for name, text in NEEDED.items() if name != "kinesis.region"}
    aws = without | {"kinesis.endpointUrl": "https://kinesis.eu-central-1.amazonaws.com"}

    assert KinesisOptions.parse(aws).region == "eu-central-1"
    with pytest.raises(SourceError, match="Set kinesis.region"):
        KinesisOptions.parse(without | {"kinesis.endpointUrl": "http://127.0.0.1:4567"})


def test_secrets_do_not_show_in_the_text_of_the_options() -> None:
    options = KinesisOptions.parse(NEEDED | {"kinesis.awsSecretKey": "hidden1", "kinesis.sessionToken": "hidden2"})

    assert "hidden" not in repr(options)


@given(
    records=st.integers(1, 10**6),
    span=st.floats(0.001, 10**5),
    fails=st.booleans(),
    endpoint=st.sampled_from([None, "http://127.0.0.1:1"]),
    position=st.sampled_from(["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP 2026-01-01T00:00:00Z"]),
)
def test_settings_reach_the_source_unchanged(
    records: int, span: float, fails: bool, endpoint: str | None, position: str
) -> None:
    settings = KinesisSettings(
        max_records_per_shard=records,
        max_span_seconds=span,
        fail_on_data_loss=fails,
        endpoint=endpoint,
        starting_position=position,
    )

    options = KinesisOptions.parse(kinesis_options(settings, NOON, until=NOON()))

    assert (options.max_records, options.fail_on_data_loss, options.endpoint) == (records, fails, endpoint)
    assert options.max_span_ms == max(1, round(span * 1000))
    assert options.until_ms == 1_767_355_200_250
    assert options.start.at_ms == {"T": 0, "L": 1_767_355_200_250, "A": 1_767_225_600_000}[position[0]]


def test_emrs_connector_is_told_to_skip_nothing_and_where_to_start() -> None:
    keyed: dict[str, Any] = {"access_key": SecretStr("id"), "secret_key": SecretStr("secret")}
    options = emr_kinesis_options(KinesisSettings(stream="s", region="eu-west-1", max_span_seconds=2, **keyed))

    assert options == {
        "kinesis.endpointUrl": "https://kinesis.eu-west-1.amazonaws.com",
        "kinesis.streamName": "s",
        "kinesis.region": "eu-west-1",
        "kinesis.consumerType": "GetRecords",
        "kinesis.startingPosition": "TRIM_HORIZON",
        "kinesis.failOnDataLoss": "true",
        "kinesis.maxFetchRecordsPerShard": "100000",
        "kinesis.maxFetchTimePerShardSec": "10",
        "kinesis.getRecords.fetchIntervalMs": "1000",
        "kinesis.awsAccessKeyId": "id",
        "kinesis.awsSecretKey": "secret",
    }


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("TRIM_HORIZON", "trim_horizon"),
        ("LATEST", "latest"),
        ("AT_TIMESTAMP 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_glues_source_is_told_to_skip_nothing_and_to_leave_the_records_alone(position: str, expected: str) -> None:
    options = glue_kinesis_options(KinesisSettings(stream="s", region="eu-west-1", starting_position=position))

    assert options["startingPosition"] == expected
    assert options["failOnDataLoss"] == "true"
    assert options["endpointUrl"] == "https://kinesis.eu-west-1.amazonaws.com"
    assert options["inferSchema"] == "false"
    assert "classification" not in options


def test_kafka_is_told_to_skip_nothing_and_to_cap_its_batches() -> None:
    assert kafka_options(KafkaSettings(bootstrap_servers="h:1", topic="t", max_offsets_per_trigger=5)) == {
        "kafka.bootstrap.servers": "h:1",
        "subscribe": "t",
        "startingOffsets": "earliest",
        "failOnDataLoss": "true",
        "maxOffsetsPerTrigger": "5",
    }


@given(st.lists(st.tuples(st.binary(max_size=50), st.text(max_size=10), st.integers(0, 2**40)), max_size=20))
def test_records_taken_out_of_an_answer_are_those_botocore_would_have_parsed(
    written: list[tuple[bytes, str, int]],
) -> None:
    client = kinesis_client(KinesisOptions.parse(NEEDED))
    parser = client._endpoint._response_parser_factory.create_parser("json")
    shape = client.meta.service_model.operation_model("GetRecords").output_shape
    records = [
        {
            "Data": b64encode(data).decode(),
            "PartitionKey": key,
            "SequenceNumber": str(at),
            "ApproximateArrivalTimestamp": at / 1000,
        }
        for data, key, at in written
    ]
    body = json.dumps({"Records": records, "MillisBehindLatest": 3, "NextShardIterator": "it"}).encode()
    response = {"body": body, "headers": {"date": "x"}, "status_code": 200}
    expected = parser.parse(dict(response), shape)

    taken: dict[str, Any] = {}
    parse_records(response, taken)
    found = parser.parse(response, shape) | taken

    assert found == expected


def test_an_answer_that_is_an_error_is_left_to_botocore() -> None:
    response, taken = {"body": b"<html>", "status_code": 500}, dict[str, Any]()

    parse_records(response, taken)

    assert (response["body"], taken) == (b"<html>", {})
