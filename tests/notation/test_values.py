"""The notation of an axis' values: what it holds is what it says, also where floats round."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmgrid.errors import InputError
from swarmgrid.notation.kinds import converter
from swarmgrid.notation.values import to_values

HERE = Path()
STEPS = st.decimals("-30", "30", places=2).filter(bool)
ENDS = st.decimals("-100", "100", places=2)


def values(text: str, annotation: Any = None) -> Any:
    return to_values("x", text, converter(annotation), HERE)


CASES: dict[str, tuple[Any, str]] = {
    "0:5": (list(range(5)), "the stop is not part of a range, as in Python"),
    "0:200:1": (list(range(200)), "a step of one"),
    "10:0:-4": ([10, 6, 2], "down"),
    "0:1:0.25": ([0.0, 0.25, 0.5, 0.75], "a step that is a float makes floats"),
    "0.0:3": ([0.0, 1.0, 2.0], "a start that is one, too"),
    "0:0.5:0.1": ([0.0, 0.1, 0.2, 0.3, 0.4], "decimals, and no 0.30000000000000004"),
    "1e3:3e3:1e3": ([1000.0, 2000.0], "exponents"),
    "5": ([5], "one value"),
    "1,2,3": ([1, 2, 3], "ints"),
    "1,2.5": ([1.0, 2.5], "ints among floats are floats"),
    "0:3,10,20:22": ([0, 1, 2, 10, 20, 21], "ranges and values"),
    "0:2,0.5": ([0.0, 1.0, 0.5], "a float among ranges of ints"),
    "a,b": (["a", "b"], "texts"),
    "a, b": (["a", "b"], "spaces after a comma"),
    "a,1": (["a", "1"], "a number among texts is a text"),
    '"1","2"': (["1", "2"], "quotes make a text"),
    '"a,b",c': (["a,b", "c"], "quotes keep a comma"),
    "true,false": ([True, False], "bools"),
    "007,008": (["007", "008"], "JSON has no numbers with leading zeros"),
    "[1, 2]": ([1, 2], "JSON"),
    '["1", "b"]': (["1", "b"], "JSON keeps texts"),
    "[1, 2.5]": ([1.0, 2.5], "JSON's numbers"),
    '{"none": null, "4": 4}': ({"none": None, "4": 4}, "labels"),
    "1.5b,7b": (["1.5b", "7b"], "no numbers"),
}


@pytest.mark.parametrize("text", CASES)
def test_a_text_describes_values(text: str) -> None:
    expected = CASES[text][0]
    found = values(text)
    assert (found if isinstance(found, dict) else list(found)) == expected
    if not isinstance(found, dict):
        assert [type(one) for one in found] == [type(one) for one in expected]


BAD = [
    "",
    "1,,2",
    "1,",
    ",",
    "0:5:0",
    "0:5:-1",
    "5:0",
    "0:1e99:1e-99",
    "[1",
    "{",
    "[1]x",
    "0:1e30",
]


@pytest.mark.parametrize("text", BAD)
def test_a_text_that_describes_none_is_an_error_that_names_the_axis(text: str) -> None:
    with pytest.raises(InputError, match="axis 'x'"):
        values(text)


@given(ENDS, ENDS, STEPS)
@example(Decimal(0), Decimal(1), Decimal("0.1"))
@example(Decimal(0), Decimal("0.3"), Decimal("0.1"))
def test_a_range_holds_the_decimals_from_its_start_to_before_its_stop(
    start: Decimal, stop: Decimal, step: Decimal
) -> None:
    expected = []
    for one in itertools.count():
        value = start + one * step
        if not (value < stop if step > 0 else value > stop):
            break
        expected.append(float(value))
    if expected:
        assert [float(one) for one in values(f"{start}:{stop}:{step}")] == expected
    else:
        with pytest.raises(InputError, match="no value"):
            values(f"{start}:{stop}:{step}")


@given(st.integers(-50, 50), st.integers(1, 20), st.sampled_from([1, 2, 5, 8]))
def test_a_finer_or_longer_range_has_the_same_values_again(begin: int, n: int, by: int) -> None:
    step = Decimal("0.1")
    text = f"{begin * step}:{(begin + n) * step}:{step}"
    longer = f"{begin * step}:{(begin + 2 * n) * step}:{step / by}"
    assert {*values(text)} <= {*values(longer)}


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (int, "0:3", [0, 1, 2]),
        (int, "1e3,2", [1000, 2]),
        (float, "0:3", [0.0, 1.0, 2.0]),
        (float, "1,2", [1.0, 2.0]),
        (float, "[1, 2]", [1.0, 2.0]),
        (str, "0:3", ["0:3"]),
        (str, "1,2", ["1", "2"]),
        (bool, "true,False", [True, False]),
    ],
)
def test_an_annotation_decides(annotation: Any, text: str, expected: list[Any]) -> None:
    found = list(values(text, annotation))
    assert found == expected
    assert [type(one) for one in found] == [type(one) for one in expected]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [(int, "0:1:0.25"), (int, "a"), (float, "b"), (bool, "2"), (str, "[1]")],
)
def test_a_value_that_an_annotation_excludes_is_an_error(annotation: Any, text: str) -> None:
    with pytest.raises(InputError, match="axis 'x' has the value"):
        values(text, annotation)


FILES: dict[str, tuple[Any, str, list[Any]]] = {
    "lines.txt": ("1\n\n2\n3\n", "", [1, 2, 3]),
    "names.txt": ("a\nb, c\n", "", ["a", "b, c"]),
    "list.json": (json.dumps(["u", "v"]), "", ["u", "v"]),
    "one.csv": ("0.5\n1\n", "", [0.5, 1.0]),
    "many.csv": ("y,x\n1,2\n3,4\n", "", [2, 4]),
    "named.csv": ("y,z\n1,2\n3,4\n", ":z", [2, 4]),
    "bom.csv": ("\ufeffx\n5\n", "", [5]),
    "array.npy": (np.array([1.5, 2.0]), "", [1.5, 2.0]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_holds_values(name: str, tmp_path: Path) -> None:
    content, column, expected = FILES[name]
    if isinstance(content, str):
        (tmp_path / name).write_text(content)
    else:
        np.save(tmp_path / name, content)
    assert list(to_values("x", f"@{name}{column}", None, tmp_path)) == expected


BAD_FILES: dict[str, str | bytes | None] = {
    "missing.txt": None,
    "empty.txt": "",
    "empty.csv": "",
    "other.csv": "a,b\n1,2\n",
    "short.csv": "y,x\n1\n",
    "broken.json": "[1",
    "deep.json": "[" * 100_000,
    "bad.npy": b"\x93NUMPY",
    "pickled.npy": b"\x80\x04K\x01.",
    "binary.txt": b"\xff\xfe\x00",
    "values.xls": "1",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_without_values_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    content = BAD_FILES[name]
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=r"axis 'x'.*"):
        to_values("x", f"@{name}", None, tmp_path)


@pytest.mark.parametrize("shape", [(2, 2), (), (1, 1, 1)], ids=str)
def test_an_array_of_other_dimensions_is_an_error(shape: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(InputError, match="one dimension"):
        to_values("x", "@a.npy", None, tmp_path)


@given(st.text(max_size=30))
@example("@")
@example("@/")
@example("@\0.txt")
@example("1e99999999:2")
@example("0:1:1e-999")
def test_any_text_is_values_or_an_error_of_the_user(text: str) -> None:
    for annotation in (None, int, float, str):
        try:
            found = values(text, annotation)
        except InputError:
            continue
        assert len(found)
