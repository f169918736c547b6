"""Send the events of a run to a web hook.

`on_event=` of a run calls a function with each event; this one posts it as JSON. The receiver is a
small server of this script: a chat, a pipeline or a monitor in practice. It is down for a while,
and gets what it has missed afterwards.

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
posts = []


class Hook(BaseHTTPRequestHandler):
    """Take note of what is posted; the fourth time, be down."""

    def do_POST(self) -> None:
        """Answer a post."""
        posts.append(self.rfile.read(int(self.headers["Content-Length"])))
        is_down = len(posts) == 4
        if not is_down:
            received.append(json.loads(posts[-1]))
        self.send_response(503 if is_down else 204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Write nothing to standard error."""


server = HTTPServer(("127.0.0.1", 0), Hook)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"

# %%
# ## The sender
#
# The token of the last event that arrived says what is still to be sent. After an error nothing
# is posted any more, so that the receiver gets the events in order.

sent = []
errors = []


def send(event: swarmgrid.Event) -> None:
    """Post an event as JSON."""
    request = urllib.request.Request(
        url, event.to_json().encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()
    sent.append(event.token)


def post(event: swarmgrid.Event) -> None:
    """Post an event while the receiver answers."""
    if not errors:
        try:
            send(event)
        except OSError as error:
            errors.append(error)


def simulate(alpha: float, n: int) -> float:
    """Return a point of a growth curve."""
    if n == 7:
        raise ValueError("no data of this day")
    return alpha * n**2


ds, done = swarmgrid.run(
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
print(len(sent), "events arrived, then", errors[0] if errors else "all others")

# %%
# ## What is still to be sent
#
# Another process, on another machine, could do this a week later: the store tells the events from
# the token on. The token knows of this run's grid alone: of any other all would be told again.

grid = ds.swarmgrid.grid
for event in swarmgrid.watch(store, grid, since=sent[-1] if sent else None, timeout=0):
    send(event)
server.shutdown()
server.server_close()
for document in received:
    print(document["event"], document.get("point") or document.get("n_points") or "")
