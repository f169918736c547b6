"""No identity depends on where a class or function of swarmgrid lies in the package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import swarmgrid
from swarmgrid.user_code.ownership import label, qualname, type_name


def test_no_name_in_an_identity_tells_of_the_layout_of_the_package() -> None:
    names = {}
    for found in pkgutil.walk_packages(swarmgrid.__path__, "swarmgrid."):
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if getattr(value, "__module__", None) == module.__name__:
                if inspect.isclass(value):
                    names[value] = type_name(value)
                elif inspect.isfunction(value):
                    names[value] = label(value)
    assert len(names) > 500
    wrong = [name for value, name in names.items() if name != f"swarmgrid.{qualname(value)}"]
    assert wrong == []
