"""Taking a stored grid to an archive, and back."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import ArchivedError, DamageError, InputError, StoreError, brief
from swarmgrid.finding.resolve import not_stored
from swarmgrid.handle.base import GridBase
from swarmgrid.handle.removing import drop, drop_store
from swarmgrid.inventory.keeping import recorded
from swarmgrid.leases import lease
from swarmgrid.leases.preflight import check_writable
from swarmgrid.maintenance.layout_swap import estimated_nbytes
from swarmgrid.maintenance.repair import invalidate_bad_rows, read_tidy, restore_metadata
from swarmgrid.planning.growth import check_key
from swarmgrid.quantities import check_flags
from swarmgrid.readable import count, nbytes
from swarmgrid.records.grid_state import read_state
from swarmgrid.store.archive import NAME, Archive, Record, read_record, write_record
from swarmgrid.store.location import Location, to_location
from swarmgrid.store.object_store import check_storage_class, is_url_of_object_store
from swarmgrid.store.scoping import check_no_scope
from swarmgrid.transfer.archiving import bring_home, check_there, copy_out, delete_here, mark

if TYPE_CHECKING:
    import os

    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState


@dataclass(frozen=True, slots=True)
class ArchiveChange:
    """The outcome of taking a grid to an archive, or back."""

    __module__ = "swarmgrid"

    archive: str
    """The folder or URL of the archive: a store of its own, with this one grid."""
    chunks: int
    """The chunks that it has, or had, of all outputs together."""
    nbytes: int
    """Their bytes, as the manifest counts them."""

    def __repr__(self) -> str:
        """The numbers on one line."""
        size = nbytes(self.nbytes)
        return f"ArchiveChange({count(self.chunks)} chunks, {size}, {self.archive!r})"


class GridArchiving(GridBase):
    """A stored grid, as far as it is archived; see `Grid`."""

    def archive(
        self,
        target: str | os.PathLike[str],
        *,
        storage_class: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> ArchiveChange:
        """Move the values of the grid to an archive; everything else stays and answers.

        The grid is copied to a store of its own below the target. What arrived is held against
        the checksums, then one write says where the values are, and the chunks here are deleted.
        A kill at any moment leaves them whole in one of the two places; the same call again
        completes it. Until `thaw`, what needs values, or would compute some, is an
        `ArchivedError`. Waits while another process fills the grid.

        Parameters
        ----------
        target : str or path
            A folder, or a URL of an object store, such as ``"s3://glacier/lab"``.
        storage_class : str, optional
            The storage class of the chunks in an object store, by the server's own name, such as
            ``"DEEP_ARCHIVE"``. What was restored from such a class `thaw` reads.
        storage_options : mapping, optional
            The settings of the target's URL. They are not stored.

        Returns
        -------
        ArchiveChange

        Raises
        ------
        InputError
            If nothing is stored, or the target cannot be an archive of this grid; or the grid is
            in its archive already, with another storage class.
        DamageError
            If a stored value is damaged; `repair` comes first then.
        EncryptionError
            If the grid is encrypted, and this process does not have its key.
        StoreError
            If one of the two stores cannot be used. Nothing was deleted.

        Examples
        --------
        >>> import swarmgrid
        >>> @swarmgrid.grid(store="memory://archive", executor="sync")
        ... def area(width, height):
        ...     return width * height
        >>> ds = area.compute({"height": 2.0}, {"width": [1, 2, 3]})
        >>> grid = area.grid({"height": 2.0})
        >>> change = grid.archive("memory://glacier")
        >>> grid.state().points_computed, grid.state().archive[:16]
        (3, 'memory://glacier')
        >>> change = grid.thaw()
        >>> grid.dataset()["value"].values
        array([2., 4., 6.])
        """
        goal = checked_target(self._ref.location, target, storage_class, storage_options)
        self._read()  # what is not stored is said before any write
        check_writable(self._ref.location)
        with self._written() as held:
            state = self._restored(held)
            found = self._begun(held, state, goal)
            if state.grid.archive is not None:
                _check_class(state.grid.archive, storage_class)
                # again: a kill may have come before the last deletion
                mark(held, state.grid, state.grid.archive)
                delete_here(held, state)
                return self._change(state, state.grid.archive)
            check_key(None, state.grid)  # what is copied is held against the rows
            archive = replace(found or self._new_archive(goal), storage_class=storage_class or "")
            place, path = replace(goal, url=archive.store), self._ref.path
            # before the first object: so whatever a kill leaves there is found again
            write_record(held.blobs, path, Record(archive))
            try:
                check_writable(place)
            except StoreError:
                if found is None:
                    held.blobs.delete(path.manifest + NAME)
                raise
            tidied = read_tidy(held, path) or state
            with lease.acquire(place, path) as there, recorded(there, path):
                copy_out(held.blobs, tidied, archive, there)
            # from this write on readers go to the archive; before it, a chunk that is missing here
            # would be damage
            mark(held, tidied.grid, archive)
            delete_here(held, tidied)
        return self._change(tidied, archive)

    def thaw(
        self,
        store: str | os.PathLike[str] | None = None,
        *,
        storage_options: Mapping[str, Any] | None = None,
        skip_damaged: bool = False,
    ) -> ArchiveChange:
        """Move the values of an archived grid back, and delete the archive.

        The same call again completes what a kill, or an object that cannot be read yet, cut
        short: what is here already is not copied again. Of an archiving that was cut short it
        deletes what is left.

        Parameters
        ----------
        store : str or path, optional
            The place to which the archive was moved: the folder or URL that itself has
            ``data.zarr``. It is not deleted then. Default: the place where `archive` put it.
        storage_options : mapping, optional
            The settings of its URL.
        skip_damaged : bool, default False
            Whether to go on where chunks of the archive are damaged or missing: their points count
            as not computed then. The archive is not deleted then.

        Returns
        -------
        ArchiveChange

        Raises
        ------
        ArchivedError
            If objects are in an archival storage class, and were not restored yet. The others are
            here then.
        InputError
            If the grid is not archived.
        StoreError
            If the archive is not there, or a chunk of it is damaged. Nothing was deleted.
        """
        check_flags(skip_damaged=skip_damaged)
        given = None if store is None else to_location(store, storage_options)
        if not self.is_archived():  # said before any write
            raise self._not_archived()
        check_writable(self._ref.location)
        with self._written() as held:
            state, path = self._restored(held), self._ref.path
            record = read_record(held.blobs, path)
            archive = state.grid.archive or (record.archive if record is not None else None)
            if archive is None:
                raise self._not_archived()
            place = given or to_location(archive.store, storage_options)
            has_lost = False
            if state.grid.archive is not None or record is None or not record.is_left:
                has_lost = self._bring(held, state, archive, place, skip_damaged=skip_damaged)
            if given is None and not has_lost:
                # from here on the archive is nothing that an archiving could go on with
                write_record(held.blobs, path, Record(archive, is_left=True))
                held.check()
                if place.open().names(path.prefix):
                    drop(place, path)
                drop_store(place)
            # last: until here the same call again finds what it left
            held.check()
            held.blobs.delete(path.manifest + NAME)
        return self._change(state, archive)

    def is_archived(self) -> bool:
        """Whether the values of the grid are in an archive, or something is left of one.

        Raises
        ------
        InputError
            If nothing is stored of it.
        """
        try:
            state = self._read()
        except DamageError:  # `thaw` restores what it needs
            return True
        return state.grid.archive is not None or NAME in state.names

    def _bring(
        self,
        held: Lease,
        state: GridState,
        archive: Archive,
        place: Location,
        *,
        skip_damaged: bool,
    ) -> bool:
        """Copy home what is not there, and say so: whether something is lost for that."""
        blobs, is_archived = place.open(), state.grid.archive is not None
        if is_archived:
            check_there(blobs, self._ref.path, place.url)
        brought = bring_home(held, state, blobs)
        if brought.frozen:
            n = len(brought.frozen)
            raise ArchivedError(
                self._ref.path.group,
                place.url,
                archive.since,
                f"{count(n)} chunk{'s' * (n != 1)} cannot be read yet: they are in the storage "
                f"class {archive.storage_class or 'of an archive'}, and the server restores them "
                f"on request, within hours. {_request(place.url, archive)} Call thaw again when "
                f"that is done; the {count(len(brought.nbytes))} that were read are here already",
            )
        if not is_archived:  # what is damaged here is so as in any grid
            mark(held, state.grid, None)  # a kill may have come before the last document
            return False
        if brought.lost and not skip_damaged:
            n = len(brought.lost)
            raise StoreError(
                f"{count(n)} chunk{'s' * (n != 1)} of the archive {place.url!r} "
                f"{'is' if n == 1 else 'are'} damaged or missing, the first is "
                f"{brought.lost[0][0]}; all others are here. Nothing was deleted. Bring the "
                "archive back from a backup and call thaw again, or pass skip_damaged=True: the "
                "points count as not computed then"
            )
        mark(held, state.grid, None)
        if brought.lost:
            lost = {index for _, index in brought.lost}
            invalidate_bad_rows(held, state.grid.at_home(), lost)
        return bool(brought.lost)

    def _begun(self, held: Lease, state: GridState, goal: Location) -> Archive | None:
        """The archive below a place that was begun, if any; InputError for one elsewhere."""
        record = read_record(held.blobs, self._ref.path)
        archive = state.grid.archive or (record.archive if record is not None else None)
        if archive is None:
            return None
        if state.grid.archive is None and record is not None and record.is_left:
            raise InputError(
                f"the archive {archive.store!r} of the grid was being deleted when that was cut "
                "short; call thaw, which completes it, and archive the grid then"
            )
        if archive.store.rpartition("/")[0] != goal.url.rstrip("/"):
            raise InputError(
                f"the grid is, or was about to be, in the archive {archive.store!r}; thaw it "
                "before you archive it elsewhere, or pass the same target to complete that"
            )
        return archive

    def _change(self, state: GridState, archive: Archive) -> ArchiveChange:
        n = len(list(state.manifest.chunks())) * len(state.grid.schema.outputs)
        return ArchiveChange(archive.store, n, estimated_nbytes(state.manifest))

    def _restored(self, held: Lease) -> GridState:
        """The state of the grid, once its metadata is restored from its replicas if need be."""
        try:
            state = read_state(held.blobs, self._ref.path)
        except DamageError:
            if not restore_metadata(held, self._ref):
                raise
            state = read_state(held.blobs, self._ref.path)
        if state is None:
            raise not_stored(self._ref)
        return state

    def _not_archived(self) -> InputError:
        return InputError(
            f"grid {self._ref.path.group} in {self._ref.location.url!r} is not archived; its "
            "values are there"
        )

    def _new_archive(self, goal: Location) -> Archive:
        # of a name that was never used: no late write of an earlier archiving can reach it
        path = self._ref.path
        name = f"{path.folder}-{path.grid[:12]}-{secrets.token_hex(4)}"
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        return Archive(f"{goal.url.rstrip('/')}/{name}", now)


def checked_target(
    home: Location, target: Any, storage_class: Any, options: Mapping[str, Any] | None
) -> Location:
    """The place of archives that the user means; InputError if it can be none for a store."""
    goal = to_location(target, options, "target")
    check_no_scope("archiving", home)
    is_memory = goal.url.startswith("memory://")
    is_lasting = goal.is_directory or is_url_of_object_store(goal.url)
    is_plain = goal.store is None and goal.tiers is None and not goal.prefix
    if not (is_plain and (is_memory or is_lasting)):
        raise InputError(
            f"target is {brief(target)}; expected a folder, or a URL of an object store "
            "(s3://, gs://, az://), where the archive is found again by its name"
        )
    if is_memory and not home.url.startswith("memory://"):
        raise InputError(
            f"target is {target!r}, which ends with this process; expected a folder or a URL "
            "that lasts"
        )
    inside = goal.is_directory and home.is_directory
    if goal.url == home.url or (inside and Path(goal.url).is_relative_to(home.url)):
        raise InputError(
            f"target {goal.url!r} is the store of the grid itself, or in it; expected another "
            "place"
        )
    if storage_class is not None:
        check_storage_class(storage_class, goal.url)
    return goal


def _check_class(archive: Archive, storage_class: str | None) -> None:
    """Raise InputError where a whole archive has another storage class than is asked for."""
    if storage_class is not None and storage_class != archive.storage_class:
        there = archive.storage_class
        raise InputError(
            f"storage_class is {storage_class!r}, and the grid is in the archive "
            f"{archive.store!r} already, {f'with {there!r}' if there else 'with the usual one'}; "
            "thaw it before you archive it with another, or leave storage_class out"
        )


def _request(url: str, archive: Archive) -> str:
    """The way to have objects restored, in a sentence."""
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme == "az":
        return (
            "Request that by another tier for them: az storage blob list --container-name "
            f"{bucket} --prefix {prefix}/data.zarr/ --num-results '*' --query "
            f"\"[?properties.blobTier=='{archive.storage_class}'].name\" --output tsv | "
            f"xargs -I KEY az storage blob set-tier --container-name {bucket} --name KEY --tier "
            "Hot."
        )
    if scheme not in {"s3", "s3a"}:
        return "Request that by the tools of the server."
    return (
        f"Request that, for a week: aws s3api list-objects-v2 --bucket {bucket} --prefix "
        f"{prefix}/data.zarr/ --query \"Contents[?StorageClass=='{archive.storage_class}'].Key\" "
        "--output text | tr '\\t' '\\n' | xargs -I KEY aws s3api restore-object --bucket "
        f"{bucket} --key KEY --restore-request "
        '\'{"Days": 7, "GlacierJobParameters": {"Tier": "Bulk"}}\'.'
    )
