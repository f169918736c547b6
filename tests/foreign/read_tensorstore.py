"""Print arrays of a Zarr group as tensorstore reads them: one JSON object.

Run by `readers.py` as `python -I -W error read_tensorstore.py PATH NAME...`.
"""

# ruff: noqa: E402  # the block must come before every import that it could concern

from __future__ import annotations

import sys

sys.modules["swarmgrid"] = None  # `import swarmgrid` now raises, installed or not

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

sys.path.append(str(Path(__file__).parent))  # -I leaves it out

from array_json import to_json


def read(path: Path) -> dict[str, Any]:
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
    array = ts.open(spec, read=True).result()
    return to_json(np.asarray(array.read().result()), [d or None for d in array.domain.labels])


def main() -> None:
    group, *names = sys.argv[1:]
    json.dump({name: read(Path(group, name)) for name in names}, sys.stdout)


if __name__ == "__main__":
    main()
