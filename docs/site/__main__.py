"""Build the site: ``python -m docs.site [FOLDER]``; warnings are errors."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.site.llms import write_llms
from docs.site.stage import stage


def main() -> int:
    """Return Sphinx's exit status."""
    parser = argparse.ArgumentParser(prog="python -m docs.site", description=__doc__)
    parser.add_argument("folder", nargs="?", default="build/site", help="default: build/site")
    parser.add_argument(
        "--links", action="store_true", help="check the links to other sites; needs a network"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, "source")
        stage(source)
        builder = "linkcheck" if options.links else "html"
        doctrees = ["-d", str(Path(temporary, "doctrees"))]
        arguments = ["-q", "-W", "--keep-going", "-b", builder, *doctrees]
        status = build_main([*arguments, str(source), options.folder])
        if not options.links:
            write_llms(source, Path(options.folder))
    return status


if __name__ == "__main__":
    sys.exit(main())
