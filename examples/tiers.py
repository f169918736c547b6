"""Keep copies near: memory and a disk in front of a store that is far.

A folder stands for the bucket, so that this runs anywhere. What was read once is not asked of it
again; where points are added by someone else, exactly their chunks are. The last step puts arrays
on a GPU, if there is one.

    python examples/tiers.py [--store DIR]
"""

from __future__ import annotations

import argparse

import numpy as np
from zarr.codecs import BloscCodec

import swarmgrid


def wing(speed: float, angle: float) -> float:
    """Return the lift of a wing, very roughly."""
    stall = 1 / (1 + np.exp(2 * (angle - 14)))
    return float(0.6 * speed**2 * 0.11 * angle * stall)


def main(store: str) -> None:
    """Fill the store, read it through tiers, add to it, and read it again."""
    axes = {"speed": np.arange(10.0, 48.0), "angle": np.arange(0.0, 20.0, 0.5)}
    options = {"func": wing, "chunks": {"speed": 5, "angle": 40}, "executor": "sync"}
    # in memory as they are stored, on the disk by a codec of its own
    scratch = (f"{store}-scratch", "500MB", BloscCodec(cname="lz4"))
    far = swarmgrid.Tiered(store, ram="50MB", disk=scratch)

    # writes go to the store itself first, and leave copies
    _, done = swarmgrid.run(axes=axes, store=far, **options)
    print(f"through the tiers:      {done}")

    def read(what: str) -> None:
        before = far.metrics()["home"].hits
        ds = swarmgrid.open(func=wing, store=far)
        lift = float(ds["value"].max())
        asked = far.metrics()["home"].hits - before
        print(f"{what:23} best lift {lift:.0f}; chunks asked of the store: {asked}")

    far.clear_copies()  # as on another machine
    read("read:")
    read("read again:")

    # someone else adds points, without these tiers: the copy of the last chunk is old, as it is
    # fuller now, and there is one more
    more = {**axes, "speed": np.arange(10.0, 52.0)}
    _, done = swarmgrid.run(axes=more, store=store, **options)
    print(f"by someone else:        {done}")
    read("read after that:")

    # a part that is needed soon, and shall stay
    part = swarmgrid.open(func=wing, store=far).sel(speed=slice(30, 40))
    far.prefetch(part)
    with far.pinned(part):
        print(f"a pinned part:          mean lift {float(part['value'].mean()):.0f}")
    ram = far.metrics()["ram"]
    print(f"memory:                 {ram.copies} copies, {ram.percent_used:.2f} % of its bytes")

    for device in ("cuda", "cpu"):
        try:
            half = part.swarmgrid.to_device(device, dtype="float16")
        except swarmgrid.InputError as error:
            print(f"no GPU here:            {str(error).partition(';')[0]}")
        else:
            print(f"{'in float16 on ' + device + ':':23} {half['value'].data.nbytes} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tiers in front of a store.")
    parser.add_argument("--store", default="cache", help="directory or URL (default: cache)")
    main(parser.parse_args().store)
