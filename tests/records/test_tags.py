"""Tags: edits that survive each other, and what may be one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from swarmgrid import InputError
from swarmgrid.records import tags
from swarmgrid.space.tags import checked_tags
from swarmgrid.store.location import to_location
from tests.stores.grids import PATH

EDITS = st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 3)))


@given(st.lists(EDITS, max_size=25))
def test_many_edits_leave_what_a_dict_would_hold_in_few_records(
    edits: list[dict[str, Any]],
) -> None:
    blobs = to_location(MemoryStore()).open()
    model: dict[str, Any] = {}
    for edit in edits:
        model = {n: v for n, v in {**model, **edit}.items() if v is not None}
        assert tags.write_tags(blobs, PATH, edit) == model
        names = blobs.names(PATH.manifest)
        assert tags.read_tags(blobs, PATH, names) == model
        assert len(names) < tags.COMPACT_FROM


def test_edits_of_different_tags_at_the_same_time_are_all_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process edits a tag while this one folds the records of eight edits."""
    blobs = to_location(MemoryStore()).open()
    for i in range(tags.COMPACT_FROM - 1):
        tags.write_tags(blobs, PATH, {str(i): i})
    put = type(blobs).put

    def other_first(self: Any, key: str, data: bytes) -> None:
        if key.endswith(f"-all{tags.SUFFIX}"):
            monkeypatch.undo()
            tags.write_tags(blobs, PATH, {"other": True})
        put(self, key, data)

    monkeypatch.setattr(type(blobs), "put", other_first)
    tags.write_tags(blobs, PATH, {"mine": True})
    found = tags.read_tags(blobs, PATH, blobs.names(PATH.manifest))
    assert found == {**{str(i): i for i in range(7)}, "other": True, "mine": True}


def test_a_clock_that_is_set_back_does_not_bring_an_old_tag_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blobs = to_location(MemoryStore()).open()
    for now, value in ((2000, "first"), (1000, "second"), (10, "third")):
        monkeypatch.setattr("time.time_ns", lambda now=now: now)
        tags.write_tags(blobs, PATH, {"a": value})
    assert tags.read_tags(blobs, PATH, blobs.names(PATH.manifest)) == {"a": "third"}


def test_a_record_that_cannot_be_read_loses_its_own_edit_alone() -> None:
    blobs = to_location(MemoryStore()).open()
    tags.write_tags(blobs, PATH, {"a": 1})
    tags.write_tags(blobs, PATH, {"b": 2})
    first, second = blobs.names(PATH.manifest)
    data = blobs.get(PATH.manifest + first) or b""
    for wrong in (
        b"",
        b"torn",
        data.replace(b'"a": 1', b'"a": 2'),
        blobs.get(PATH.manifest + second),
    ):
        blobs.put(PATH.manifest + first, wrong or b"")
        assert tags.read_tags(blobs, PATH, [first, second]) == {"b": 2}


def test_tags_are_what_json_holds() -> None:
    given_ = {
        "a": "x",
        "b": np.int64(3),
        "c": 0.5,
        "d": np.True_,
        "e": ("x", np.float32(0.5)),
        "f": None,
    }
    found = checked_tags(given_)
    assert found == {"a": "x", "b": 3, "c": 0.5, "d": True, "e": ["x", 0.5], "f": None}
    assert [type(found[name]) for name in "bd"] == [int, bool]


@pytest.mark.parametrize(
    "wrong",
    [3, ["a", 3], {3: "a"}, {"": "a"}, {"a\n": 1}, {"a": {}}, {"a": [[1]]}, {"a": np.nan},
     {"a": float("inf")}, {"a": object()}, {"a": 2**70}, {"a": np.arange(3)}, {"a": b"x"},
     {"a" * 300: 1}, {"a": "x" * 2**20}],
    ids=lambda wrong: repr(wrong)[:30].partition("0x")[0],
)  # fmt: skip
def test_what_is_no_tag_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="tag"):
        checked_tags(wrong)
