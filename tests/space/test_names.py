"""Which names an axis, an output, a dim or a coordinate can have."""

from __future__ import annotations

import contextlib
import enum
import unicodedata
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import InputError
from swarmgrid.space.names import MAX_NBYTES, beside_axes, check_different, checked_name

REFUSED: dict[str, tuple[Any, str]] = {
    "empty": ("", "is empty"),
    "no text": (1, "is no text but a int"),
    "none": (None, "is no text but a NoneType"),
    "bytes": (b"a", "is no text but a bytes"),
    "a path": ("a/b", "has a slash"),
    "a path upwards": ("../../../../evil", "has a slash"),
    "a path of another system": ("a\\b", "has a slash"),
    "this folder": (".", "begins with a dot"),
    "the folder above": ("..", "begins with a dot"),
    "hidden": (".zattrs", "begins with a dot"),
    "reserved by Zarr": ("__xyz", "Zarr reserves"),
    "a document": ("zarr.json", "metadata of a Zarr array"),
    "a document, elsewhere": ("Zarr.JSON", "metadata of a Zarr array"),
    "a line break": ("a\nb", "cannot be seen"),
    "a null": ("a\0", "cannot be seen"),
    "a delete": ("a\x7f", "cannot be seen"),
    "a change of direction": ("a\u202eb", "cannot be seen"),
    "half a character": ("a\ud800", "cannot be seen"),
    "a line separator": ("a\u2028b", "cannot be seen"),
    "a blank at the end": ("a ", "begins or ends with a blank"),
    "only a blank": (" ", "begins or ends with a blank"),
    "long": ("a" * (MAX_NBYTES + 1), "has 201 bytes"),
    "long in bytes": ("é" * (MAX_NBYTES // 2 + 1), "has 202 bytes"),
}


@pytest.mark.parametrize(("name", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_name_is_refused(name: Any, reason: str) -> None:
    with pytest.raises(InputError, match=rf"^an output has the name .* {reason}.*; give it an"):
        checked_name("an output", name)


@pytest.mark.parametrize(
    "name",
    ["value", "c", "T", "_x", "mean value", "p<0.05", "größe", "温度", "😀", "a" * MAX_NBYTES],
)
def test_a_name_is_taken(name: str) -> None:
    assert checked_name("an output", name) == name


@given(st.text())
def test_a_name_that_is_taken_is_one_folder_below(name: str) -> None:
    try:
        checked_name("an output", name)
    except InputError:
        return
    inside = PurePosixPath("group") / name / "zarr.json"
    assert inside.parts == ("group", name, "zarr.json")
    assert len(f"copy-{name}-c.0.0.0".encode()) < 255
    assert name.isprintable() or {unicodedata.category(c) for c in name} & {"Zs", "Co", "Cn"}


def test_a_name_of_an_enum_is_its_text() -> None:
    class Metric(str, enum.Enum):  # noqa: UP042  # whose str() is not its text
        LOSS = "loss"

    name = checked_name("an output", Metric.LOSS)
    assert (name, type(name)) == ("loss", str)


@given(st.lists(st.text(st.sampled_from("aé\u0301e\u212bÅ"), min_size=1, max_size=3), unique=True))
def test_names_that_are_one_text_are_refused(names: list[str]) -> None:
    is_one = len({unicodedata.normalize("NFC", name) for name in names}) < len(names)
    with pytest.raises(InputError, match="the same text") if is_one else contextlib.nullcontext():
        check_different("names", names)


_NAMES = st.lists(st.sampled_from(["a", "a_", "a__", "b", "b_"]), unique=True)


@given(_NAMES, _NAMES)
def test_facts_have_names_of_their_own_beside_axes(facts: list[str], axes: list[str]) -> None:
    found = beside_axes(facts, axes)
    assert [*found] == facts
    assert len({*found.values(), *axes}) == len(facts) + len(axes)
    for fact, name in found.items():
        assert name.rstrip("_") == fact.rstrip("_")
        assert (name == fact) == (fact not in axes)
