"""Any history of a grid through several handles with tiers: each of them always has the truth."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

import swarmgrid
from swarmgrid import ArchivedError, Tiered
from swarmgrid.inventory.keeping import stored_grids
from swarmgrid.store.location import to_location
from swarmgrid.tiers.forms import form_in
from tests.long import examples
from tests.scenarios.test_histories import KEYS, Histories, Points, bound, points_of

pytestmark = pytest.mark.filterwarnings("ignore:Combining a `sharding_indexed` codec")

FORMS: dict[str, Any] = {"stored": "stored", "not compressed": [], "blosc": "blosc"}
Form = st.sampled_from(sorted(FORMS))
HELD = [key for key in KEYS if key is not None]


class TierHistories(Histories):
    """Two processes of a host, which share a disk, a process of another host, and no tiers.

    Whichever of them makes a change, all read the same, old Datasets too.
    """

    which = st.integers(0, 3)

    def __init__(self) -> None:
        super().__init__()
        self.home = self.store
        self.folders = [Path(tempfile.mkdtemp()) for _ in range(2)]
        self.handles: list[Any] = [self.home]
        self.olds: list[tuple[Any, Points]] = []
        self.form, self.copies = self.form_at_home(), set[tuple[Path, bytes]]()

    @initialize(ram=st.sampled_from(["none", "decoded", *FORMS]), disk=Form,
                room=st.sampled_from([600, 1_000_000]))  # fmt: skip
    def begin(self, ram: str, disk: str, room: int) -> None:
        self.room = room
        memory = {} if ram == "none" else {"ram": (room, FORMS.get(ram, ram))}
        near, far = ((folder, room, FORMS[disk]) for folder in self.folders)
        places = [{**memory, "disk": near}, {"disk": near}, {**memory, "disk": far}]
        self.handles += [Tiered(self.home, **sizes) for sizes in places]  # type: ignore[arg-type]

    def teardown(self) -> None:
        super().teardown()
        for folder in self.folders:
            shutil.rmtree(folder)

    @rule(which=which)
    def through(self, which: int) -> None:
        self.store = self.handles[which]
        self.f = bound(self.store)

    @rule(factor=st.sampled_from([1.0, 7.0]))
    def delete_and_make_anew(self, factor: float) -> None:
        self.grid.drop(snapshots=True, archived=self.is_archived)
        self.points, self.taken, self.is_archived = {}, {}, False
        self.olds.clear()
        values = {"number": factor, "text": f"b {factor}", "curve": np.array([0, factor])}
        self.f.put_many({(4, "b"): values}, axes=["x", "name"])
        self.points[4, "b"] = factor

    @rule(which=which)
    def open(self, which: int) -> None:
        grid = swarmgrid.Grid.open(self.handles[which], "model/", key=HELD)
        self.olds.append((grid.dataset(), dict(self.points)))

    @rule(which=st.integers(1, 3), all_copies=st.booleans())
    def tidy(self, which: int, all_copies: bool) -> None:
        self.handles[which].clear_copies() if all_copies else self.handles[which].trim()

    @rule(number=st.integers(0, 50), at=st.floats(0, 1, exclude_max=True), cut=st.booleans())
    def damage(self, number: int, at: float, cut: bool) -> None:
        found = (path for folder in self.folders for path in folder.glob("??/*"))
        files = sorted(path for path in found if path.stat().st_size)
        if files:
            path = files[number % len(files)]
            data = bytearray(path.read_bytes())
            place = int(at * len(data))
            data[place] ^= 1 << number % 8
            path.write_bytes(data[:place] if cut else data)

    @invariant()
    def every_handle_has_the_points(self) -> None:
        for handle in self.handles:
            for _ in range(2):  # the second time from copies
                grid = swarmgrid.Grid.open(handle, "model/", key=HELD)
                with self.as_archived():
                    assert points_of(grid.dataset()) == self.points
        for handle in self.handles[1:]:
            for tier in handle.metrics().values():
                assert tier.nbytes <= self.room or not tier.budget
        self.copies_of_another_layout_or_key_are_gone()  # once each host has opened the grid

    @invariant()
    def old_datasets_have_what_they_had(self) -> None:
        for ds, then in self.olds:
            if then.items() <= self.points.items():
                with contextlib.suppress(swarmgrid.StoreError):  # laid out anew, or archived
                    assert points_of(ds.copy()) == then

    def copies_of_another_layout_or_key_are_gone(self) -> None:
        before, self.form = self.form, self.form_at_home()
        old, self.copies = self.copies, {
            (path, path.read_bytes()) for folder in self.folders for path in folder.glob("??/*")
        }  # fmt: skip
        if before != self.form:
            assert not old & self.copies

    def as_archived(self) -> Any:
        """A context in which values are, as is right, in an archive; or in which nothing is."""
        return pytest.raises(ArchivedError) if self.is_archived else contextlib.nullcontext()

    def form_at_home(self) -> str | None:
        (path,) = stored_grids(blobs := to_location(self.home).open())
        return form_in(blobs.get(path.metadata) or b"")


def test_any_history_through_tiers_is_what_dicts_say() -> None:
    some = settings(max_examples=examples(10), stateful_step_count=6)
    run_state_machine_as_test(TierHistories, settings=some)
