"""Dataset rows without cells: what an ingest leaves that died between its dataset row and its commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeobox.catalog.location import url_scheme
from homeobox.catalog.snapshot import groups_of_snapshots, snapshots_with_group
from homeobox.catalog.sql import equals, quote, quote_column
from homeobox.errors import InvalidArgumentError
from homeobox.ingest.nesting import MANIFEST, groups_above
from homeobox.ingest.restore_claim import refuse_beside_restore
from homeobox.schema import get_spec, registered_feature_spaces

if TYPE_CHECKING:
    from homeobox import _core
    from homeobox.catalog import Catalog


def is_pending(catalog: Catalog, group: str) -> bool:
    """Whether the group has a dataset row, but no cell points to it.

    Raises
    ------
    InvalidArgumentError
        Cells point to the group: the name is taken.
    """
    if group not in catalog.datasets.by_group():
        return False
    _refuse_if_cells_point(catalog, group)
    return True


def groups_of_datasets(catalog: Catalog) -> set[str]:
    """Groups that are a dataset's, now or in a snapshot, pending ones too."""
    return set(catalog.datasets.by_group()) | groups_of_snapshots(catalog)


def groups_around(catalog: Catalog, group: str) -> set[str]:
    """Of the groups that are a dataset's, now or in a snapshot, at least those that a new `group` could touch.

    Snapshots are asked only where arrays lie at the place, inside it or around it: what they need is there, and a name
    that is new costs a few requests however many snapshots there are.
    """
    store = catalog.store
    if store.list(f"{group}/") or any(_may_hold_arrays(store, above) for above in groups_above(group)):
        return groups_of_datasets(catalog)
    return set(catalog.datasets.by_group())


def _may_hold_arrays(store: _core.Store, path: str) -> bool:
    """Whether a path may be a dataset's group and not only a folder of groups; those of 0.2.2 have no manifest."""
    if store.size(f"{path}/zarr.json") is None:
        return False
    specs = [get_spec(space) for space in registered_feature_spaces()]
    parts = {array.array_name for spec in specs for array in spec.required_arrays}
    parts |= {spec.layers.path for spec in specs}
    return any(store.size(key) is not None for key in (f"{path}/{MANIFEST}", *(f"{path}/{p}/zarr.json" for p in parts)))


def check_unrecorded(catalog: Catalog, group: str) -> None:
    """Refuse a group whose arrays somebody may still read, so that they must stay as they are.

    Raises
    ------
    InvalidArgumentError
        Cells point to it, now or in a snapshot; names the snapshots.
    """
    _refuse_if_cells_point(catalog, group)
    if group in groups_of_snapshots(catalog):
        snapshots = snapshots_with_group(catalog, group)
        raise InvalidArgumentError(
            f"zarr group '{group}' already exists in {catalog.location}: cells of snapshot(s) {snapshots} point to it; "
            "choose another zarr_group"
        )


def _refuse_if_cells_point(catalog: Catalog, group: str) -> None:
    conditions = [f"{quote_column(name)}.zarr_group = {quote(group)}" for name in catalog.pointer_fields]
    if catalog.count_cells(" OR ".join(conditions)):
        raise InvalidArgumentError(
            f"zarr group '{group}' already exists in {catalog.location}; choose another zarr_group"
        )


def failures_are_final(catalog: Catalog) -> bool:
    """Whether a write that was reported to have failed cannot happen any more: so with files, not with requests."""
    return not catalog.location.is_remote and url_scheme(catalog.store_uri) in (None, "file")


def remove_pending(catalog: Catalog, group: str) -> None:
    """Take a pending row out, so that a new ingest of the group can add its own; for whoever has claimed the group.

    Errors as `is_pending` and `refuse_beside_restore`: a restore may be about to bring its cells back.
    """
    refuse_beside_restore(catalog)
    if is_pending(catalog, group):
        catalog.datasets.table.delete(equals("zarr_group", group))
