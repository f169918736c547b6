"""The stores of the cloud as plain stores: conditional writes, on the server of each."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmgrid.errors import InputError
from swarmgrid.store.location import to_location
from swarmgrid.stores import Condition, from_url
from tests.long import examples, first

pytestmark = pytest.mark.server
KEYS = st.sampled_from(["a", "b/c"])
VALUES = st.sampled_from([b"", b"abc", bytes(range(256))])


@pytest.fixture(params=["gs", *first(0, ["s3", "az"])])
def place(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The URL and the options of an empty store on a server of each kind."""
    url, options = request.getfixturevalue(request.param).place(uuid.uuid4().hex)
    return url, options


@settings(max_examples=examples(15))
@given(
    acts=st.lists(st.tuples(KEYS, VALUES, st.none() | st.just(True) | VALUES, st.booleans())),
    is_deleted=st.booleans(),
)
def test_a_write_on_condition_does_what_a_dict_does(
    place: tuple[str, dict[str, Any]], acts: list[Any], *, is_deleted: bool
) -> None:
    store, model = from_url(*place), {}
    for key in ("a", "b/c"):
        assert store.write_if(key, None)
    for key, data, value, has_condition in acts:
        condition = Condition(key, value) if has_condition else None
        holds = condition is None or condition.holds(model.get(key))
        assert store.write_if(key, data, condition) == holds
        model |= {key: data} if holds else {}
        if is_deleted and not holds:
            store.write_if(key, None)
            model.pop(key, None)
    read = to_location(store).open().get_many(["a", "b/c"])
    assert read == [model.get("a"), model.get("b/c")]


def test_a_replacement_on_condition_loses_no_update(place: tuple[str, dict[str, Any]]) -> None:
    from_url(*place).write_if("n", b"0")

    def count(_: int) -> None:
        store = from_url(*place)
        for _ in range(5):
            while True:
                before = to_location(store).open().get("n")
                assert before is not None
                if store.write_if("n", b"%d" % (int(before) + 1), Condition("n", before)):
                    break

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(count, range(3)))
    assert to_location(from_url(*place)).open().get("n") == b"15"


def test_what_no_such_server_can_check_is_refused(place: tuple[str, dict[str, Any]]) -> None:
    store = from_url(*place)
    for data, condition in ((b"1", Condition("lease")), (None, Condition("a"))):
        with pytest.raises(InputError, match=r"expected a write, and a condition on the same key"):
            store.write_if("a", data, condition)
    with pytest.raises(ValueError, match="read-only"):
        store.with_read_only(True).write_if("a", b"1")
