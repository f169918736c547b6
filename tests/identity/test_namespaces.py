"""Of a namespace such as that of argparse, what the code reads counts, and nothing else."""

from __future__ import annotations

import types
from argparse import Namespace
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from swarmgrid.identity import explained, fingerprint

NARROW = [
    "x * args.lr",
    "[args.lr * y for y in x]",
    "(lambda: args.lr)()",
    "args.lr.real + args.lr",
    "helper(x)",
]
WHOLE = [
    "str(args)",
    "vars(args)['lr']",
    "getattr(args, 'lr')",
    "args.__dict__['lr']",
    "args == args.lr",
    "[args][0].lr",
    "globals()['args'].lr",
    "args.lr + other(x)",
    "args.absent",
]


def made(use: str, args: Any) -> Callable[..., Any]:
    module = types.ModuleType("script")
    text = (
        "def helper(x):\n    return args.lr * x\n"
        "def other(x):\n    return repr(args)\n"
        f"def f(x):\n    return {use}\n"
    )
    vars(module)["args"] = args
    exec(compile(text, "<script>", "exec"), vars(module))
    found: Callable[..., Any] = vars(module)["f"]
    return found


@pytest.mark.parametrize("kind", [Namespace, SimpleNamespace])
@pytest.mark.parametrize("use", NARROW)
def test_an_attribute_that_no_code_reads_does_not_count(use: str, kind: Any) -> None:
    before = fingerprint(made(use, kind(lr=0.1, verbose=False)))
    assert fingerprint(made(use, kind(lr=0.1, verbose=True))) == before
    assert fingerprint(made(use, kind(lr=0.1, verbose=object()))) == before
    assert fingerprint(made(use, kind(lr=0.1))) == before
    assert fingerprint(made(use, kind(lr=0.2, verbose=False))) != before


@pytest.mark.parametrize("kind", [Namespace, SimpleNamespace])
@pytest.mark.parametrize("use", WHOLE)
def test_a_namespace_that_may_be_read_in_another_way_counts_as_a_whole(
    use: str, kind: Any
) -> None:
    before = fingerprint(made(use, kind(lr=0.1, verbose=False)))
    assert fingerprint(made(use, kind(lr=0.1, verbose=True))) != before


def test_of_a_type_that_may_compute_its_attributes_everything_counts() -> None:
    class Computed(Namespace):
        @property
        def lr(self) -> Any:
            return self.verbose

    before = fingerprint(made("args.lr", Computed(verbose=1)))
    assert fingerprint(made("args.lr", Computed(verbose=2))) != before


def test_a_closure_is_narrowed_too() -> None:
    def outer(args: Any) -> Callable[..., Any]:
        def inner(x: float) -> Any:
            return args.lr * x

        return inner

    before = fingerprint(outer(Namespace(lr=0.1, verbose=False)))
    assert fingerprint(outer(Namespace(lr=0.1, verbose=True))) == before
    assert fingerprint(outer(Namespace(lr=0.3, verbose=True))) != before


def test_the_list_of_what_counts_names_the_namespace() -> None:
    args = Namespace(lr=0.1, verbose=False)
    parts = {part.path: part.kind for part in explained(made("args.lr", args)).parts}
    assert parts["global 'args' of f"] == "Namespace"
    whole = fingerprint(made("args.lr", args), {"args"})
    args.lr = 5
    assert fingerprint(made("args.lr", args), {"verbose"}) == fingerprint(made("args.lr", args))
    assert fingerprint(made("args.lr", args), {"args"}) == whole
