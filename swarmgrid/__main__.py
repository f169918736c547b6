"""The program: ``python -m swarmgrid`` is the same as ``swarmgrid``."""

from __future__ import annotations

import sys

from swarmgrid.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
