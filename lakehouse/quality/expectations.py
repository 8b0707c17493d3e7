"""Expectations that Great Expectations lacks: rules counted in one pass, declared types with precision, whole keys.

Its own row expectations run a query each, and another for examples of what failed; these are aggregates, which it
computes all together in one scan of a table.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_partial, metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Kwargs = dict[str, Any]


class RowsThatBreakARule(TableMetricProvider):
    """How many rows a rule is not TRUE of: all of them where the table lacks a column the rule is about."""

    metric_name = "tickhouse.rows_that_break_a_rule"
    value_keys = ("rule", "about")

    @metric_partial(
        engine=SparkDFExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _spark(
        cls, execution_engine: Any, metric_domain_kwargs: Kwargs, metric_value_kwargs: Kwargs, **_: Any
    ) -> tuple[Column, Kwargs, Kwargs]:
        rows = execution_engine.get_domain_records(domain_kwargs=metric_domain_kwargs)
        broken = F.lit(True)
        if set(metric_value_kwargs["about"]) <= set(rows.columns):
            broken = ~F.coalesce(F.expr(metric_value_kwargs["rule"]), F.lit(False))
        return F.count_if(broken), metric_domain_kwargs, {}


class RowsThatShareAKey(TableMetricProvider):
    """How many rows have a key that another row has too; NULL equals NULL."""

    metric_name = "tickhouse.rows_that_share_a_key"
    value_keys = ("key",)

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(cls, execution_engine: Any, metric_domain_kwargs: Kwargs, metric_value_kwargs: Kwargs, **_: Any) -> int:
        rows: DataFrame = execution_engine.get_domain_records(domain_kwargs=metric_domain_kwargs)
        key = [name for name in metric_value_kwargs["key"] if name in rows.columns]
        shared = rows.groupBy(*key).count().where("count > 1").agg(F.sum("count")).collect()
        return int(shared[0][0] or 0)


class ColumnTypes(TableMetricProvider):
    """The Spark type of each column as text, precision included."""

    metric_name = "tickhouse.column_types"

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(cls, execution_engine: Any, metric_domain_kwargs: Kwargs, **_: Any) -> dict[str, str]:
        rows: DataFrame = execution_engine.get_domain_records(domain_kwargs=metric_domain_kwargs)
        return dict(rows.dtypes)


class _RowsExpectation(BatchExpectation):
    """Base of those that count rows."""

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        unexpected, rows = (int(metrics[name]) for name in self.metric_dependencies)
        share = 100 * unexpected / rows if rows else 0.0
        counts = {"element_count": rows, "unexpected_count": unexpected, "unexpected_percent": share}
        return {"success": unexpected == 0, "result": {"observed_value": _of(unexpected, rows), **counts}}


class ExpectTableRowsToFollowRule(_RowsExpectation):
    """Expect a rule about several columns to be TRUE of every row."""

    rule: str
    about: list[str]

    metric_dependencies: ClassVar[tuple[str, ...]] = (RowsThatBreakARule.metric_name, "table.row_count")
    success_keys: ClassVar[tuple[str, ...]] = ("rule", "about")


class ExpectColumnRowsToFollowRule(_RowsExpectation):
    """Expect a rule about one column to be TRUE of every row; Data Docs show it with its column."""

    column: str
    rule: str
    about: list[str]

    metric_dependencies: ClassVar[tuple[str, ...]] = (RowsThatBreakARule.metric_name, "table.row_count")
    success_keys: ClassVar[tuple[str, ...]] = ("rule", "about")
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "column")


class ExpectTableKeyToBeUnique(_RowsExpectation):
    """Expect no two rows to have the same key."""

    key: list[str]

    metric_dependencies: ClassVar[tuple[str, ...]] = (RowsThatShareAKey.metric_name, "table.row_count")
    success_keys: ClassVar[tuple[str, ...]] = ("key",)


class ExpectColumnTypeToBeDeclared(BatchExpectation):
    """Expect a column to have exactly the declared Spark type."""

    column: str
    type_: str

    metric_dependencies: ClassVar[tuple[str, ...]] = (ColumnTypes.metric_name,)
    success_keys: ClassVar[tuple[str, ...]] = ("type_",)
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "column")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        found = metrics[ColumnTypes.metric_name].get(self.column)
        return {"success": found == self.type_, "result": {"observed_value": found or "no such column"}}


def _of(unexpected: int, rows: int) -> str:
    return f"{unexpected:,} of {rows:,} rows break it"
