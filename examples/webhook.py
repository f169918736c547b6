"""Send the events of a run to a web hook.

`on_event=` of a run calls a function with each event; this one posts it as JSON. The receiver is a
small server of this script: a chat, a pipeline or a monitor in practice.

    python examples/webhook.py [--store DIR]
"""

from __future__ import annotations

import argparse
import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import swarmgrid

# %% command line
parser = argparse.ArgumentParser(description="Send the events of a run to a web hook.")
parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
store = parser.parse_args().store

# %%
# ## The receiver

received = []


class Hook(BaseHTTPRequestHandler):
    """Take note of what is posted."""

    def do_POST(self) -> None:
        """Answer a post."""
        received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Write nothing to standard error."""


server = HTTPServer(("127.0.0.1", 0), Hook)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"

# %%
# ## The sender
#
# If the receiver is down, the error is logged and the run goes on. The token of an event that
# arrived is where a later `swarmgrid.watch(store, since=token)` begins, so that none is lost.


def post(event: swarmgrid.Event) -> None:
    """Post an event as JSON."""
    request = urllib.request.Request(
        url, event.to_json().encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def simulate(alpha: float, n: int) -> float:
    """Return a point of a growth curve."""
    if n == 7:
        raise ValueError("no data of this day")
    return alpha * n**2


_, done = swarmgrid.run(
    simulate,
    {"alpha": 0.4},
    {"n": range(12)},
    store=store,
    on_error="record",
    retry_failed=False,
    on_event=post,
    verbose=0,
)
print(done)
server.shutdown()
server.server_close()
for document in received:
    print(document["event"], document.get("point") or document.get("n_points") or "")
