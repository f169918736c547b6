"""Draw the pictures of the pages: ``python docs/make_pictures.py [PAGE...]``.

A block that saves ``x.png`` draws the picture ``docs/images/x.png`` of its page.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
PAGES = ["tutorials/first-grid.md", "how-to/monte-carlo.md", "how-to/plot.md"]


def draw(page: Path) -> None:
    """Run the blocks of a page, and keep the pictures that they save."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "page.py")
        script.write_text("\n".join(blocks))
        os.chdir(folder)
        exec(compile(script.read_text(), str(script), "exec"), {"__name__": "__main__"})
        for picture in Path(folder).glob("*.png"):
            shutil.copy(picture, DOCS / "images")
        os.chdir(DOCS)


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "Agg"
    for name in sys.argv[1:] or PAGES:
        draw((DOCS / name).resolve())
