"""Draw the pictures of the report and of the live page: ``python -m docs.make_screens``.

Needs Chromium. The report is that of the page how-to/look-at-a-store.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import swarmgrid
from tests.browser import NAMES, started

DOCS = Path(__file__).parent
PAGE = DOCS / "how-to" / "look-at-a-store.md"
RUN = """
import sys, time, swarmgrid

def solve(load, speed):
    time.sleep(0.008)
    if load > 40 and speed < 4:
        raise ArithmeticError(f"no balance at load {load}")
    return load * speed

swarmgrid.stream({}, {"speed": range(60), "load": range(48)}, func=solve, store=sys.argv[1],
    executor="sync", on_error="record", chunks={"load": 6, "speed": 4}, verbose=0)
"""


def draw() -> None:
    """Write both pictures."""
    command = next(filter(None, map(shutil.which, NAMES)))
    with tempfile.TemporaryDirectory() as folder, started(command) as browser:
        os.chdir(folder)
        block = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
        assert block is not None
        code = block[1].replace('"cache"', '"memory://cache"')  # a name without a folder
        exec(compile(code, str(PAGE), "exec"), {"__name__": "__main__"})
        browser.show((1080, 720))
        browser.open(Path("report.html").absolute().as_uri())
        browser.screenshot(DOCS / "images" / "report.png")
        process = subprocess.Popen([sys.executable, "-c", RUN, "live"])
        with swarmgrid.serve("live") as server:
            time.sleep(14)
            grid = swarmgrid.catalog("live").rows[0].grid
            browser.show((1080, 760))
            browser.open(server.url.replace("/?", f"/grid/{grid}?"))
            time.sleep(4)
            browser.screenshot(DOCS / "images" / "live.png")
        process.kill()
        process.wait()
        os.chdir(DOCS)


if __name__ == "__main__":
    draw()
