"""The outbox's table in DynamoDB: conditions become condition expressions, several changes one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from serving.delivery.store import Change, DeliveryError, Item, Value

INDEX = "due"
CONFLICTS = 8
REFUSED = "ConditionalCheckFailed"
CANCELED = "TransactionCanceledException"
CONFLICT_SECONDS = 0.02


class DynamoStore:
    """A table with the keys pk and sk, and an index of what is due: queue and due_ms."""

    def __init__(self, client: Any, table: str, *, sleep: Callable[[float], None]) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def create(self) -> bool:
        """Create the table with its index, paid by the request; False where it is there. AWS: Terraform does it."""
        names = {"pk": "S", "sk": "S", "queue": "S", "due_ms": "N"}
        try:
            self._client.create_table(
                TableName=self._table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in names.items()],
                KeySchema=_keys("pk", "sk"),
                GlobalSecondaryIndexes=[
                    {"IndexName": INDEX, "KeySchema": _keys("queue", "due_ms"), "Projection": {"ProjectionType": "ALL"}}
                ],
            )
            self._client.get_waiter("table_exists").wait(
                TableName=self._table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
            )
        except ClientError as error:
            if _code(error) == "ResourceInUseException":
                return False
            raise self._failure("create_table", error) from error
        except BotoCoreError as error:
            raise self._failure("create_table", error) from error
        return True

    def apply(self, changes: Sequence[Change]) -> bool:
        """Make all changes or none; a collision with another transaction is tried again, a failed condition is not."""
        updates = [{"TableName": self._table, **update_of(change)} for change in changes]
        for collision in range(CONFLICTS):
            try:
                if len(updates) == 1:
                    self._client.update_item(**updates[0])
                else:
                    self._client.transact_write_items(TransactItems=[{"Update": update} for update in updates])
            except ClientError as error:
                verdict = _verdict(error)
                if verdict is None:
                    raise self._failure("write", error) from error
                if not verdict:
                    return False
                self._sleep(CONFLICT_SECONDS * 2**collision)
            except BotoCoreError as error:
                raise self._failure("write", error) from error
            else:
                return True
        raise self._failure("write", f"{CONFLICTS} collisions with other transactions in a row")

    def due(self, queue: str, until_ms: int, limit: int) -> list[Item]:
        """Items of a queue that are due, the oldest first. The index may lag behind the table."""
        answer = self._ask(
            "query",
            IndexName=INDEX,
            KeyConditionExpression="#queue = :queue AND #due <= :until",
            ExpressionAttributeNames={"#queue": "queue", "#due": "due_ms"},
            ExpressionAttributeValues={":queue": {"S": queue}, ":until": {"N": str(until_ms)}},
            Limit=limit,
        )
        return [read(item) for item in answer["Items"]]

    def partition(self, name: str) -> list[Item]:
        """Every item of a partition, read consistently."""
        asked = {
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": name}},
            "ConsistentRead": True,
        }
        return list(self._pages("query", asked))

    def scan(self) -> Iterator[Item]:
        """Every item of the table."""
        yield from self._pages("scan", {"ConsistentRead": True})

    def _pages(self, operation: str, asked: dict[str, Any]) -> Iterator[Item]:
        after: dict[str, Any] = {}
        while True:
            answer = self._ask(operation, **asked, **after)
            yield from map(read, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            after = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _ask(self, operation: str, **asked: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(TableName=self._table, **asked)
        except (ClientError, BotoCoreError) as error:
            raise self._failure(operation, error) from error
        return answer

    def _failure(self, operation: str, why: object) -> DeliveryError:
        return DeliveryError(
            f"DynamoDB table {self._table}: {operation} failed, retries included: {str(why)[:400]}. Alerts stay where "
            "they are and none is lost. Check delivery.endpoint, credentials and that the table exists "
            "(`tickhouse deliver --create` makes it on an emulator, Terraform on AWS); then start again."
        )


def update_of(change: Change) -> dict[str, Any]:
    """One change as an update of DynamoDB; every name goes by a placeholder, for `status` and others are reserved."""
    names, values = _Placeholders("#"), _Placeholders(":")
    clauses = [
        _clause("SET", [f"{names(name)} = {values(value)}" for name, value in change.put.items()]),
        _clause("ADD", [f"{names(name)} {values(value)}" for name, value in change.add.items()]),
        _clause("REMOVE", [names(name) for name in change.remove]),
    ]
    tests = [f"{names(name)} = {values(value)}" for name, value in change.expect.items()]
    for name, limit in change.below.items():
        tests.append(f"(attribute_not_exists({names(name)}) OR {names(name)} < {values(limit)})")
    if change.is_new:
        tests.append(f"attribute_not_exists({names('pk')})")
    update: dict[str, Any] = {
        "Key": {"pk": {"S": change.key[0]}, "sk": {"S": change.key[1]}},
        "UpdateExpression": " ".join(clause for clause in clauses if clause),
        "ExpressionAttributeNames": {sign: name for (_, name), sign in names.signs.items()},
    }
    if tests:
        update["ConditionExpression"] = " AND ".join(tests)
    if values.signs:
        update["ExpressionAttributeValues"] = {sign: _typed(value) for (_, value), sign in values.signs.items()}
    return update


class _Placeholders:
    """Signs for names or values of an expression, each made once; 1 and True are different values."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.signs: dict[tuple[type, Value], str] = {}

    def __call__(self, what: Value) -> str:
        return self.signs.setdefault((type(what), what), f"{self._prefix}p{len(self.signs)}")


def _clause(word: str, parts: Sequence[str]) -> str:
    return f"{word} {', '.join(parts)}" if parts else ""


def _typed(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


def read(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """An item as plain values; we store texts, whole numbers and truths only."""
    return {name: _plain(typed) for name, typed in item.items()}


def _plain(typed: Mapping[str, Any]) -> Value:
    if "N" in typed:
        return int(typed["N"])
    return bool(typed["BOOL"]) if "BOOL" in typed else str(typed["S"])


def _keys(partition: str, order: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": order, "KeyType": "RANGE"}]


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _verdict(error: ClientError) -> bool | None:
    """True where the same write may succeed at once, False where a condition failed, None for any other error."""
    code = _code(error)
    canceled = error.response.get("CancellationReasons", ())
    reasons = {str(one.get("Code")) for one in canceled} if code == CANCELED else {code}
    if REFUSED in reasons or "ConditionalCheckFailedException" in reasons:
        return False
    passing = {"TransactionConflict", "TransactionConflictException", "TransactionInProgressException", "None"}
    return True if reasons <= passing else None
