"""The settings of an index: all that its name stands for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self, get_args

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.search.ranking import Metric, check_metric

if TYPE_CHECKING:
    from swarmgrid.outputs.outputs import Output

SUFFIX = ".usearch"
KIND = "usearch 2, float32, 1"
"""The kind of the graph and of the vectors in it: another one is another index."""
MAX_CONNECTIVITY, MAX_EXPANSION = 256, 4096


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The settings of one index."""

    output: str
    metric: Metric = "cosine"
    connectivity: int = 16
    """The links of a vector in each layer of the graph."""
    expansion: int = 128
    """The candidates that are looked at for each vector that is added."""

    @property
    def name(self) -> str:
        """The name of its object, within the grid's folder of indexes."""
        text = json.dumps([KIND, asdict(self)], sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return f"{self.output}-{digest}{SUFFIX}"

    def to_document(self) -> dict[str, Any]:
        """The settings as JSON."""
        return {"kind": KIND, **asdict(self)}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Settings of JSON; ValueError or another of `checked_json.MALFORMED` if it has none."""
        if document["kind"] != KIND:
            raise ValueError(f"it is of the kind {document['kind']!r}")
        names = ("output", "metric", "connectivity", "expansion")
        found = cls(**{name: document[name] for name in names})
        if not isinstance(found.output, str) or found.metric not in get_args(Metric):
            raise ValueError("its settings make no sense")
        for name, most in (("connectivity", MAX_CONNECTIVITY), ("expansion", MAX_EXPANSION)):
            if type(document[name]) is not int or not 1 < document[name] <= most:
                raise ValueError("its settings make no sense")
        return found

    def check(self, outputs: dict[str, Output]) -> None:
        """Raise InputError where a grid with some outputs cannot have such an index."""
        names = ", ".join(map(repr, outputs))
        if not isinstance(self.output, str) or self.output not in outputs:
            raise InputError(f"there is no output {brief(self.output)}; expected one of {names}")
        output = outputs[self.output]
        if np.dtype("O" if output.dtype == "string" else output.dtype).kind not in "biuf":
            raise InputError(
                f"output {self.output!r} has the dtype {output.dtype}; expected real numbers"
            )
        if not output.shape or 0 in output.shape:
            raise InputError(
                f"output {self.output!r} has the shape {output.shape} at each point; expected "
                "vectors. ds.swarmgrid.nearest(..., dim=...) searches along an axis"
            )
        check_metric(self.metric)
        for name, most in (("connectivity", MAX_CONNECTIVITY), ("expansion", MAX_EXPANSION)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 < value <= most:
                raise InputError(f"{name} is {brief(value)}; expected a number from 2 to {most}")
