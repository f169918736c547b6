"""What an output may be, and which names clash."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from swarmgrid.errors import InputError
from swarmgrid.outputs.outputs import Coord, Output, Schema, dtype_name

NAMES: dict[str, tuple[Any, str]] = {
    **{
        name: (name, name) for name in ("float16", "float32", "float64", "complex64", "complex128")
    },
    **{name: (name, name) for name in ("int8", "int16", "int32", "int64", "bool")},
    **{name: (name, name) for name in ("uint8", "uint16", "uint32", "uint64")},
    "Python float": (float, "float64"),
    "Python int": (int, "int64"),
    "Python bool": (bool, "bool"),
    "Python str": (str, "string"),
    "object": (object, "string"),
    "string": ("string", "string"),
    "fixed-width text": ("U5", "string"),
    "strings of numpy 2": (np.dtypes.StringDType(), "string"),
    "big-endian": (">f4", "float32"),
    "days": ("M8[D]", "datetime64[ns]"),
    "seconds": ("m8[s]", "timedelta64[ns]"),
}


@pytest.mark.parametrize(("dtype", "expected"), NAMES.values(), ids=NAMES)
def test_a_dtype_has_one_stored_name(dtype: Any, expected: str) -> None:
    assert dtype_name(dtype) == expected
    assert dtype_name(expected) == expected


REFUSED = {
    "byte strings": ("S3", "cannot be stored"),
    "long double": ("longdouble", "cannot be stored"),
    "long complex": ("clongdouble", "cannot be stored"),
    "structured": ("i4,f8", "cannot be stored"),
    "void": ("V4", "cannot be stored"),
    "no dtype": ("floaty", "is no dtype"),
}


@pytest.mark.parametrize(("dtype", "message"), REFUSED.values(), ids=REFUSED)
def test_a_dtype_is_refused(dtype: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dtype_name(dtype)


def test_one_dim_and_one_length_need_no_tuple() -> None:
    loose: Any = {"dims": "t", "shape": 3}
    assert Output(**loose).fits(Output(("t",), (3,)))


def test_an_output_knows_its_size() -> None:
    output = Output(("t", "u"), (2, 3), "f4")
    assert (output.size, output.nbytes, output.memory_dtype) == (6, 24, np.dtype("f4"))
    assert Output(dtype="string").memory_dtype == np.dtype(object)
    assert Output(dtype="string").nbytes > 0
    assert Output(("t",), (0,)).nbytes == 0


BAD_SHAPES: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "a dim too many": (("t", "u"), (1,)),
    "a length too many": (("t",), (1, 2)),
    "a dim twice": (("t", "t"), (1, 1)),
    "a negative length": (("t",), (-1,)),
}


@pytest.mark.parametrize(("dims", "shape"), BAD_SHAPES.values(), ids=BAD_SHAPES)
def test_an_output_needs_a_length_for_each_of_different_dims(
    dims: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match="expected as many different dims as lengths"):
        Output(dims, shape)


def test_attributes_do_not_say_whether_values_fit() -> None:
    assert Output(attrs={"units": "m"}).fits(Output())
    assert not Output().fits(Output(dtype="f4"))
    assert not Output(("t",), (1,)).fits(Output(("u",), (1,)))
    assert not Output(("t",), (1,)).fits(Output(("t",), (2,)))


def test_a_coordinate_is_described_like_an_output() -> None:
    coord = Coord(("t",), np.array(["a", "b"]), {"long_name": "label"})
    assert coord.output == Output(("t",), (2,), "string", {"long_name": "label"})


def test_a_schema_knows_its_largest_output() -> None:
    assert Schema({"a": Output(), "b": Output(("t",), (100,))}).point_nbytes == 800
    assert Schema({}).point_nbytes == 8


CLASHES: dict[str, tuple[dict[str, Output], str]] = {
    "output and axis": ({"s": Output()}, "'s' is both an axis and an output"),
    "dim and axis": (
        {"a": Output(("s",), (1,))},
        "'s' is both an axis and a dim of an output",
    ),
    "output and dim": (
        {"t": Output(), "a": Output(("t",), (1,))},
        "'t' is both an output and a dim",
    ),
    "two lengths": (
        {"a": Output(("t",), (1,)), "b": Output(("t",), (2,))},
        "dim 't' has the lengths 1 and 2",
    ),
}


@pytest.mark.parametrize(("outputs", "message"), CLASHES.values(), ids=CLASHES)
def test_names_that_clash_are_refused(outputs: dict[str, Output], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Schema(outputs).check(("s", "x"))


def test_outputs_may_share_a_dim_of_one_length() -> None:
    Schema({"a": Output(("t",), (2,)), "b": Output(("t",), (2,))}).check(("s", "x"))
