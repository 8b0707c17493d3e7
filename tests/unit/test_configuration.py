"""Settings: three layers in order, one clear line for every mistake, secrets never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lakehouse.configuration import MASK, LoadedSettings, load_settings
from lakehouse.errors import SettingsError
from lakehouse.settings import CONF, Settings

SECTIONS = ", ".join(Settings.model_fields)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    folder.mkdir()
    return folder


def load(conf: Path, text: str, *overrides: str, **environ: str) -> LoadedSettings:
    (conf / "local.yaml").write_text(text)
    return load_settings("local", overrides, environ, conf)


def complaint(conf: Path, text: str, *overrides: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(conf, text, *overrides, **environ)
    return str(caught.value)


def row(loaded: LoadedSettings, key: str) -> tuple[object, str]:
    return next((one.value, one.origin) for one in loaded.rows() if one.key == key)


def test_a_flag_beats_the_environment_and_the_environment_beats_the_file(conf: Path) -> None:
    text = "paths: {warehouse: from-file, landing: from-file, logs: from-file}"
    environ = {"TICKHOUSE__PATHS__WAREHOUSE": "from-environ", "TICKHOUSE__PATHS__LANDING": "from-environ"}

    loaded = load(conf, text, "paths.warehouse=from-flag", **environ)

    assert loaded.settings.paths.warehouse == "from-flag"
    assert loaded.settings.paths.landing == "from-environ"
    assert loaded.settings.paths.logs == "from-file"
    assert loaded.settings.paths.archive == Settings().paths.archive


def test_every_value_knows_the_line_variable_or_flag_it_came_from(conf: Path) -> None:
    text = "spark:\n  driver_memory: 3g\n"

    loaded = load(conf, text, "stream.grace_seconds=5", TICKHOUSE__SPARK__SHUFFLE_PARTITIONS="7")

    assert row(loaded, "spark.driver_memory") == ("3g", "conf/local.yaml:2")
    assert row(loaded, "spark.shuffle_partitions") == (7, "TICKHOUSE__SPARK__SHUFFLE_PARTITIONS")
    assert row(loaded, "stream.grace_seconds") == (5.0, "--set")
    assert row(loaded, "spark.master") == ("local[2]", "default")
    assert row(loaded, "environment") == ("local", "--env")


def test_entries_of_spark_conf_merge_one_by_one_and_keep_their_dots(conf: Path) -> None:
    text = "spark:\n  conf:\n    spark.a: file\n    spark.b.c: file\n"

    loaded = load(conf, text, "spark.conf.spark.b.c=flag", TICKHOUSE__SPARK__CONF='{"spark.d": "environ"}')

    assert loaded.settings.spark.conf == {"spark.a": "file", "spark.b.c": "flag", "spark.d": "environ"}
    assert row(loaded, "spark.conf.spark.b.c") == ("flag", "--set")


def test_null_as_text_unsets_what_may_be_unset_and_nothing_else(conf: Path) -> None:
    loaded = load(conf, "", "spark.master=null", "paths.logs=null")

    assert loaded.settings.spark.master is None
    assert loaded.settings.paths.logs == "null"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "paths:\n  warehous: x",
            "conf/local.yaml:2: paths.warehous: expected a known setting, found an unknown key. "
            "Did you mean paths.warehouse?",
        ),
        (
            "starting_position: LATEST",
            "conf/local.yaml:1: starting_position: expected a known setting, found an unknown key. "
            "Did you mean source.kinesis.starting_position?",
        ),
        (
            "zebra: 1",
            f"conf/local.yaml:1: zebra: expected a known setting, found an unknown key. Known here: {SECTIONS}.",
        ),
        (
            "source:\n  kind: kinesi",
            "conf/local.yaml:2: source.kind: expected one of files, kinesis, kafka, found 'kinesi'.",
        ),
        (
            "stream:\n  grace_seconds: -1",
            "conf/local.yaml:2: stream.grace_seconds: expected a number, at least 0, found -1.",
        ),
        (
            "stream: {grace_seconds: .inf}",
            "conf/local.yaml:1: stream.grace_seconds: expected a number, at least 0, found inf.",
        ),
        (
            "spark: {conf: {spark.ui.enabled: false}}",
            'conf/local.yaml:1: spark.conf.spark.ui.enabled: expected text, found False. Quote it: "false".',
        ),
        (
            "paths: here",
            "conf/local.yaml:1: paths: expected a section with warehouse, checkpoints, landing, archive, logs, "
            "data_docs, found a single value.",
        ),
        (
            "paths:\n  logs: a\n  logs: b",
            "conf/local.yaml:3: paths.logs: expected the key once, found it a second time.",
        ),
        (
            "- a list",
            f"conf/local.yaml:1: the file: expected a section with {SECTIONS}, found a single value.",
        ),
        (
            "environment: prod",
            "conf/local.yaml:1: environment: expected no value here, found 'prod'. Choose it with --env.",
        ),
        (
            "paths:\n  logs: s3a://${BUCKET}/logs",
            "conf/local.yaml:2: paths.logs: expected the environment variable BUCKET, found it not set. "
            "Export BUCKET and run again.",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_file_line_key_expected_and_found(
    conf: Path, text: str, line: str
) -> None:
    assert complaint(conf, text) == line


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("stream.grace_seconds", "--set: stream.grace_seconds: expected section.key=value, found no key and value."),
        (
            "source.kafka.max_offsets_per_trigger=0",
            "--set: source.kafka.max_offsets_per_trigger: expected a whole number, at least 1, found '0'.",
        ),
        (
            "source.kafka=x",
            "--set: source.kafka: expected one key of this section, found the section. "
            "Keys: bootstrap_servers, topic, starting_offsets, fail_on_data_loss, max_offsets_per_trigger.",
        ),
        ("spark.conf=[1]", """--set: spark.conf: expected {"name": "value"}, found other text."""),
    ],
)
def test_a_mistake_in_a_flag_names_the_flag(conf: Path, flag: str, line: str) -> None:
    assert complaint(conf, "", flag) == line


def test_a_mistake_in_a_variable_names_the_variable(conf: Path) -> None:
    environ = {"TICKHOUSE__STREAM__LEASE_SECOND": "1", "TICKHOUSE_PATHS__LOGS": "x"}

    lines = complaint(conf, "", **environ).splitlines()

    assert lines == [
        "environment: TICKHOUSE_PATHS__LOGS: expected TICKHOUSE__SECTION__KEY, found one underscore. "
        "Did you mean TICKHOUSE__PATHS__LOGS?",
        "TICKHOUSE__STREAM__LEASE_SECOND: stream.lease_second: expected a known setting, found an unknown key. "
        "Did you mean stream.lease_seconds?",
    ]


def test_all_mistakes_are_reported_at_once(conf: Path) -> None:
    text = "paths: {warehous: x}\nstream: {grace_seconds: soon}\n"

    lines = complaint(conf, text, "source.kind=carrier-pigeon").splitlines()

    assert len(lines) == 3


def test_other_variables_of_the_house_are_left_alone(conf: Path) -> None:
    loaded = load(conf, "", TICKHOUSE_JARS="somewhere", TICKHOUSE_CRASHPOINT="bars.after_merge")

    assert loaded.settings == Settings()


def test_an_unknown_environment_lists_the_files_there_are(conf: Path) -> None:
    (conf / "aws.yaml").write_text("")

    with pytest.raises(SettingsError, match=r"--env prod: expected .* found no prod\.yaml\. There: aws\."):
        load_settings("prod", (), {}, conf)


def test_a_file_that_is_not_yaml_is_named_with_the_place(conf: Path) -> None:
    message = complaint(conf, "paths: {warehouse: [\n")

    assert message.startswith("conf/local.yaml: expected YAML in UTF-8, found: ")
    assert "\n" not in message


def test_a_secret_is_read_from_a_variable_and_never_shown(conf: Path) -> None:
    text = "source:\n  kinesis:\n    access_key: ${KEY_ID}\n    secret_key: ${KEY}\n"

    loaded = load(conf, text, KEY_ID="hush-id", KEY="hush")

    assert loaded.settings.source.kinesis.secret_key is not None
    assert loaded.settings.source.kinesis.secret_key.get_secret_value() == "hush"
    assert row(loaded, "source.kinesis.secret_key") == (MASK, "conf/local.yaml:4, $KEY")
    assert "hush" not in repr(loaded)


def test_a_missing_secret_is_one_line_that_says_what_to_export(conf: Path) -> None:
    text = "source: {kinesis: {secret_key: '${KEY}'}}"

    assert complaint(conf, text) == (
        "conf/local.yaml:1: source.kinesis.secret_key: expected the secret in the environment variable KEY, "
        "found it not set. Export KEY and run again."
    )


def test_a_secret_written_out_in_a_file_is_refused_and_not_repeated(conf: Path) -> None:
    message = complaint(conf, "source: {kinesis: {secret_key: hush}}")

    assert "expected no secret in a file" in message
    assert "TICKHOUSE__SOURCE__KINESIS__SECRET_KEY" in message
    assert "hush" not in message


def test_half_a_pair_of_keys_is_refused(conf: Path) -> None:
    message = complaint(conf, "", TICKHOUSE__SOURCE__KINESIS__ACCESS_KEY="hush")

    assert message == (
        "TICKHOUSE__SOURCE__KINESIS__ACCESS_KEY: source.kinesis: expected access_key and secret_key together, "
        "found only access_key; set secret_key too."
    )


def test_secrets_inside_spark_conf_are_masked_too(conf: Path) -> None:
    loaded = load(conf, "", "spark.conf.spark.hadoop.fs.s3a.secret.key=hush")

    assert row(loaded, "spark.conf.spark.hadoop.fs.s3a.secret.key") == (MASK, "--set")


def test_a_secret_of_the_wrong_type_is_refused_without_being_shown(conf: Path) -> None:
    message = complaint(conf, "", TICKHOUSE__SPARK__CONF='{"spark.hadoop.fs.s3a.secret.key": 4711}')

    assert message.startswith(
        "TICKHOUSE__SPARK__CONF: spark.conf.spark.hadoop.fs.s3a.secret.key: expected text, found "
    )
    assert "4711" not in message


def test_the_committed_files_load(conf: Path) -> None:
    local = load_settings("local", (), {}, CONF)
    aws_environ = {"TICKHOUSE_BUCKET": "b", "TICKHOUSE_STREAM": "s", "AWS_REGION": "eu-west-1"}
    aws = load_settings("aws", (), aws_environ, CONF)

    assert local.settings.source.kind == "files"
    assert aws.settings.paths.warehouse == "s3a://b/lake"
    assert aws.settings.spark.master is None


@settings(max_examples=50)
@given(text=st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=30))
def test_any_text_survives_the_way_through_a_flag(text: str) -> None:
    loaded = load_settings("local", (f"reference.watchlist={text}",), {}, CONF)

    assert loaded.settings.reference.watchlist == text


@settings(max_examples=50)
@given(key=st.from_regex(r"[a-z_]{1,12}(\.[a-z_]{1,12}){0,2}", fullmatch=True))
def test_any_unknown_key_is_refused_with_one_line_that_holds_it(key: str) -> None:
    known = {one.key for one in load_settings("local", (), {}, CONF).rows()}

    assume(key not in known and not key.startswith("spark.conf."))
    with pytest.raises(SettingsError) as caught:
        load_settings("local", (f"{key}=1",), {}, CONF)

    assert str(caught.value).startswith(f"--set: {key}: expected ")
    assert "\n" not in str(caught.value)
