"""A Zarr store in a table of Amazon's DynamoDB."""

from __future__ import annotations

import contextlib
import functools
import random
import re
import time
import weakref
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, StoreError, brief
from swarmgrid.stores.extras import importing_for
from swarmgrid.stores.key_value import Condition, KeyValueStore
from swarmgrid.stores.per_process import PerProcess
from swarmgrid.stores.redis import PREFIX, with_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_NBYTES = 400_000
"""The most bytes of an object."""
_MAX_ITEM = 409_600
"""The most bytes of an item: the names and the values of all its attributes."""
_AT_ONCE = 50
_TRIES = 12
_MAX_PREFIX = 1024
_REFUSED = "ConditionalCheckFailed"
_WAIT = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
"""The reasons of a cancelled transaction that go away."""
_EXPECTED = "expected dynamodb://table?name, where a table's name has letters, digits and _.-"


class DynamoDB(KeyValueStore):
    """A Zarr store in a DynamoDB table: an item per object, with ``store``, ``key``, ``value``.

    Objects have at most 400,000 bytes. A write is durable when it returns, and every read is
    consistent. A table that is not there is made at the first write, paid per request. Needs the
    extra ``dynamodb``.

    Parameters
    ----------
    table : str
        The table, or ``dynamodb://table?prefix``. Its partition key is the text ``store``, its
        sort key the text ``key``.
    prefix : str
        The name of the store in the table.
    read_only : bool
        Whether the store refuses to be written.
    **options
        Options of ``boto3.client``: ``region_name``, ``endpoint_url``, credentials, ...
    """

    __module__ = "swarmgrid.stores"

    max_nbytes = MAX_NBYTES

    def __init__(
        self, table: str, *, prefix: str = PREFIX, read_only: bool = False, **options: Any
    ) -> None:
        with importing_for("DynamoDB", "dynamodb"):
            import boto3  # noqa: F401
        table, prefix = with_prefix(table.removeprefix("dynamodb://"), prefix)
        if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,255}|arn:[^?]+", table):
            raise InputError(f"store 'dynamodb://{table}' names no table; {_EXPECTED}")
        if not prefix or len(prefix.encode()) > _MAX_PREFIX:
            raise InputError(f"prefix is {brief(prefix)}; expected 1 to {_MAX_PREFIX} bytes")
        self._table, self._prefix, self._options = table, prefix, options
        super().__init__({"table": table, "prefix": prefix, **options}, read_only=read_only)
        connect = functools.partial(_connect, options)
        self._client: PerProcess[Any] = PerProcess(connect, lambda client: client.close())
        weakref.finalize(self, self._client.close)

    def __str__(self) -> str:
        return f"dynamodb://{self._table}?{self._prefix}"

    def read_many(
        self, keys: Sequence[str], start: int = 0, stop: int | None = None
    ) -> list[bytes | None]:
        found: dict[str, bytes] = {}
        unique = list(dict.fromkeys(keys))
        for at in range(0, len(unique), _AT_ONCE):
            found |= self._read(unique[at : at + _AT_ONCE])
        return [found[key][start:stop] if key in found else None for key in keys]

    def _read(self, keys: Sequence[str]) -> dict[str, bytes]:
        # else an answer may be older than a write that has returned: leases rely on it
        asked: Any = {
            self._table: {"Keys": [self._id(key) for key in keys], "ConsistentRead": True}
        }
        found: dict[str, bytes] = {}
        pauses = _pauses()
        while asked:
            try:
                answer = self._client.get().batch_get_item(RequestItems=asked)
            except self._errors().ResourceNotFoundException:
                return {}
            items = answer["Responses"].get(self._table, ())
            found |= {item["key"]["S"]: bytes(item["value"]["B"]) for item in items}
            asked = answer.get("UnprocessedKeys")  # what did not fit into 16 MB, or is too busy
            if asked and not items:
                pause = next(pauses, None)
                if pause is None:  # what was not read must not pass for what is not there
                    raise StoreError(
                        f"store {self}: the table is too busy; {len(found)} of {len(keys)} "
                        "objects were read. Call again later, or give the table more capacity"
                    )
                time.sleep(pause)
        return found

    def write_if(self, key: str, data: bytes | None, condition: Condition | None = None) -> bool:
        self._check_writable()
        if len(data or b"") + len(f"store{self._prefix}key{key}value".encode()) > _MAX_ITEM:
            raise StoreError(
                f"the object {key} has {len(data or b'')} bytes; DynamoDB takes {MAX_NBYTES}. "
                "Choose shorter chunks (for a coordinate or a zarr.json: an axis of fewer or "
                "shorter labels), or a store for larger objects, such as s3://"
            )
        act: dict[str, Any] = {"TableName": self._table}
        if data is None:
            kind, act["Key"] = "Delete", self._id(key)
        else:
            kind, act["Item"] = "Put", {**self._id(key), "value": {"B": data}}
        if condition is not None and condition.key != key:
            # a put takes a condition on its own item only: another item needs a transaction
            check = {"TableName": self._table, "Key": self._id(condition.key)}
            return self._transact(
                [{"ConditionCheck": check | _expression(condition)}, {kind: act}]
            )
        act |= {} if condition is None else _expression(condition)
        try:
            self._made(f"{kind.lower()}_item", **act)
        except self._errors().ConditionalCheckFailedException:
            return False
        return True

    def _transact(self, acts: list[dict[str, Any]]) -> bool:
        """Do all of it, or nothing; whether the conditions held."""
        for pause in _pauses():
            try:
                self._made("transact_write_items", TransactItems=acts)
            except self._errors().TransactionCanceledException as error:
                codes = [reason.get("Code") for reason in error.response["CancellationReasons"]]
                if _REFUSED in codes:
                    return False
                if not _WAIT.intersection(codes):
                    raise
                time.sleep(pause)  # another write of the same object, or of the lease
            else:
                return True
        raise StoreError(f"store {self}: writes of the same objects kept getting in the way")

    def keys(self, first: str, end: str) -> Iterator[str]:
        asked: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "#s = :s AND #k BETWEEN :first AND :end",
            "ProjectionExpression": "#k",
            "ExpressionAttributeNames": {"#s": "store", "#k": "key"},  # reserved words
            "ExpressionAttributeValues": {
                ":s": {"S": self._prefix},
                # the value of a key attribute may not be empty
                ":first": {"S": first or "\0"},
                ":end": {"S": end},
            },
            "ConsistentRead": True,
            "Limit": 16,
        }
        while True:
            try:
                answer = self._client.get().query(**asked)
            except self._errors().ResourceNotFoundException:
                return
            # BETWEEN includes its end
            yield from (key for item in answer["Items"] if (key := item["key"]["S"]) < end)
            if "LastEvaluatedKey" not in answer:
                return
            asked |= {"ExclusiveStartKey": answer["LastEvaluatedKey"], "Limit": 1000}

    def close(self) -> None:
        self._client.close()
        super().close()

    def _id(self, key: str) -> dict[str, Any]:
        return {"store": {"S": self._prefix}, "key": {"S": key}}

    def _errors(self) -> Any:
        return self._client.get().exceptions

    def _made(self, method: str, **arguments: Any) -> None:
        """Call a method that writes; make the table where there is none."""
        call, errors = getattr(self._client.get(), method), self._errors()
        for pause in _pauses():
            try:
                call(**arguments)
            except errors.ResourceNotFoundException:
                self._make_table()
            except errors.TransactionConflictException:  # a transaction that names the same object
                time.sleep(pause)
            else:
                return
        raise StoreError(f"store {self}: writes of the same objects kept getting in the way")

    def _make_table(self) -> None:
        client = self._client.get()
        keys = [("store", "HASH"), ("key", "RANGE")]
        with contextlib.suppress(self._errors().ResourceInUseException):  # made by another process
            client.create_table(
                TableName=self._table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": "S"} for name, _ in keys
                ],
            )
        client.get_waiter("table_exists").wait(
            TableName=self._table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )


def _connect(options: Mapping[str, Any]) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        max_pool_connections=32,
        connect_timeout=10,
        retries={"mode": "standard", "max_attempts": 8},
    )
    # of a session of its own: the default one is not made for threads
    session = boto3.session.Session()
    try:
        return session.client("dynamodb", **{"config": config, **options})
    except (TypeError, ValueError) as error:
        raise InputError(
            f"a dynamodb:// store cannot be opened with the options {sorted(options)}: {error}; "
            "expected those of boto3.client"
        ) from error


def _expression(condition: Condition) -> dict[str, Any]:
    if condition.value is True:
        text = "attribute_exists(#k)"
    elif condition.value is None:
        text = "attribute_not_exists(#k)"
    else:
        values = {":old": {"B": condition.value}}
        return {
            "ConditionExpression": "#v = :old",
            "ExpressionAttributeNames": {"#v": "value"},
            "ExpressionAttributeValues": values,
        }
    return {"ConditionExpression": text, "ExpressionAttributeNames": {"#k": "key"}}


def _pauses() -> Iterator[float]:
    """Seconds to wait before each further try, longer and longer, and of chance."""
    return (random.uniform(0.5, 1.0) * min(2.0, 0.01 * 2**n) for n in range(_TRIES))  # noqa: S311


def open_url(url: str, **options: Any) -> DynamoDB:
    """Open the store of a ``dynamodb://table?prefix`` URL."""
    return DynamoDB(url, **options)
