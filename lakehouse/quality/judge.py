"""Hold tables, as they are, against the suites of their declarations, and write the pages that show it.

Great Expectations does it in memory: nothing is kept between runs but gold.quality_results and the pages. It is told
to send no usage figures, and asks for nothing on the network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import great_expectations as gx
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)

from lakehouse.lake import Lake
from lakehouse.quality.days import ALL_DAYS, Days
from lakehouse.quality.pages import publish_pages
from lakehouse.quality.suites import suite_of
from lakehouse.quality.verdicts import Run, Verdict
from lakehouse.tables import Table

SITE = "tickhouse"
NOT_JUDGED = "could not be judged: "
LONGEST_MESSAGE = 500


def judge(
    lake: Lake, tables: Sequence[Table], run: Run, data_docs: str, days: Days = ALL_DAYS
) -> list[Verdict]:  # fmt: skip
    """Judge the newest version of each table; the run's pages come to lie in a folder of its own under `data_docs`."""
    with _context() as (context, site):
        source = context.data_sources.add_spark(name=SITE, persist=False)
        found = [verdict for table in tables for verdict in _judge_table(lake, context, source, table, run, days)]
        context.build_data_docs(build_index=False)  # its index is empty without scripts from other hosts
        publish_pages(lake.files, site, data_docs, run, found)
    return found


@contextmanager
def _context() -> Iterator[tuple[Any, Path]]:
    """A context that lives in memory, and the folder its pages are built in."""
    with tempfile.TemporaryDirectory(prefix="data_docs") as folder:
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": folder}
        config = DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            data_docs_sites={
                SITE: {"class_name": "SiteBuilder", "store_backend": store, "show_how_to_buttons": False}
            },
            progress_bars=ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        )  # fmt: skip
        yield gx.get_context(project_config=config, mode="ephemeral"), Path(folder)


def _judge_table(
    lake: Lake, context: Any, source: Any, table: Table, run: Run, days: Days
) -> Iterator[Verdict]:  # fmt: skip
    """The verdicts on one version of a table."""
    version = lake.version(table)
    rows = days.rows(table, lake.read(table, version=version))
    batches = source.add_dataframe_asset(name=table.full_name).add_batch_definition_whole_dataframe("rows")
    suite = context.suites.add(suite_of(table))
    validation = gx.ValidationDefinition(name=table.full_name, data=batches, suite=suite)
    results = context.validation_definitions.add(validation).run(
        batch_parameters={"dataframe": rows},
        run_id=RunIdentifier(run_name=run.run_id, run_time=run.ran_at),
    )
    for result in results.results:
        yield _verdict(table, version, days.scope(table), result)


def _verdict(table: Table, version: int, scope: str, result: Any) -> Verdict:
    """One result of Great Expectations in our words."""
    about = result.expectation_config.meta
    return Verdict(
        table=table.full_name,
        version=version,
        scope=scope,
        expectation=about["name"],
        columns=about["columns"],
        expected=about["says"],
        success=bool(result.success),
        unexpected=result.result.get("unexpected_count"),
        observed=_observed(result),
    )


def _observed(result: Any) -> str:
    """What was found, or why nothing could be."""
    raised = _exception(result.exception_info)
    if raised:
        return (NOT_JUDGED + raised.partition("\n")[0])[:LONGEST_MESSAGE]
    found = result.result.get("observed_value")
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)


def _exception(info: dict[str, Any]) -> str:
    """The message of what a result's metrics raised: it lies flat, or below the name of each metric."""
    one = info if "raised_exception" in info else next(iter(info.values()), {})
    return str(one.get("exception_message")) if one.get("raised_exception") else ""
