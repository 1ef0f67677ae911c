"""Deleting datasets: a new state without them. Snapshots still show them, and arrays stay until they are pruned."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from homeobox.catalog import Catalog
from homeobox.catalog.snapshot import groups_of_snapshots
from homeobox.catalog.sql import is_in, quote, quote_column
from homeobox.errors import ConflictError, InvalidArgumentError, NotFoundError
from homeobox.ingest.group_claim import GroupClaim, claim_group, hold_group
from homeobox.ingest.pending import check_unrecorded
from homeobox.ingest.restore_claim import refuse_beside_restore


class UnknownDatasetError(NotFoundError, ValueError):
    """The atlas has no dataset of that name."""


def delete_dataset(catalog: Catalog, names: str | Sequence[str]) -> int:
    """Remove the cells of datasets in one commit, then their dataset rows; returns the number of cells.

    Between the two commits the rows are pending, which nothing shows, and the same call removes them.

    Raises
    ------
    UnknownDatasetError
        No dataset of such a zarr group or uid.
    InvalidArgumentError
        The catalog is read-only, a name means several datasets, or cells of the datasets also point to another one.
    ConflictError
        A process is writing one of the groups, or restores the atlas.
    """
    if catalog.read_only:
        raise InvalidArgumentError(f"cannot delete from {catalog.location}: it is checked out and read-only")
    groups = _groups_of(catalog, [names] if isinstance(names, str) else list(names))
    if not groups:
        return 0
    with ExitStack() as held:
        # Nobody ingests under these names meanwhile, or the new dataset's row would be taken for the old one's.
        recorded = catalog.groups_with_cells() | groups_of_snapshots(catalog)
        claims = [held.enter_context(_hold(catalog, group, group in recorded)) for group in groups]
        refuse_beside_restore(catalog)
        where = _points_to(catalog, groups)
        _refuse_shared_cells(catalog, groups, where)
        n_cells = catalog.count_cells(where)
        _confirm(catalog, claims)
        if n_cells:
            catalog.cells.table.delete(where)
        _confirm(catalog, claims)  # else the rows may be another's by now
        if catalog.count_cells(where):
            raise ConflictError(f"cells of {groups} came back to {catalog.location} while they were deleted; try again")
        catalog.datasets.table.delete(is_in("zarr_group", groups))
    return n_cells


def _confirm(catalog: Catalog, claims: Sequence[GroupClaim]) -> None:
    for claim in claims:
        claim.confirm()
    refuse_beside_restore(catalog)


def _groups_of(catalog: Catalog, names: list[str]) -> list[str]:
    """Groups of datasets that are named by group or by uid, ascending, so that two calls claim in one order."""
    rows = catalog.datasets.arrow().select(["uid", "zarr_group"]).to_pylist()
    # Cells whose row is lost can be deleted as well.
    known = {row["zarr_group"] for row in rows} | catalog.groups_with_cells()
    groups: set[str] = set()
    for name in names:
        found = {row["zarr_group"] for row in rows if row["uid"] == name}
        if name in known:
            found.add(name)
        if len(found) > 1:
            raise InvalidArgumentError(
                f"{name!r} means {len(found)} datasets of {catalog.location}, as zarr group or as uid: "
                f"{sorted(found)}; name each by what only it has"
            )
        if not found:
            raise UnknownDatasetError(
                f"no dataset with zarr group or uid {name!r} in {catalog.location}; "
                f"it has {sorted(row['zarr_group'] for row in rows)[:20]}"
            )
        groups |= found
    return sorted(groups)


def _hold(catalog: Catalog, group: str, recorded: bool) -> GroupClaim:
    if recorded:
        return hold_group(catalog.store, group)
    # Only a pending row: its arrays are leftovers, which nobody would find without it.
    try:
        return claim_group(catalog.store, group, lambda: check_unrecorded(catalog, group))
    except InvalidArgumentError:
        return hold_group(catalog.store, group)  # not an ingest's, so only the row goes


def _points_to(catalog: Catalog, groups: list[str]) -> str:
    listed = ", ".join(quote(group) for group in groups)
    return " OR ".join(f"{quote_column(name)}.zarr_group IN ({listed})" for name in catalog.pointer_fields)


def _refuse_shared_cells(catalog: Catalog, groups: list[str], where: str) -> None:
    """A cell of several modalities goes with all of them or not at all: its row is one."""
    listed = ", ".join(quote(group) for group in ["", *groups])
    for name in catalog.pointer_fields:
        child = f"{quote_column(name)}.zarr_group"
        elsewhere = f"({where}) AND {child} IS NOT NULL AND {child} NOT IN ({listed})"
        shared = catalog.scan_cells([f"{name}.zarr_group"], elsewhere, limit=1)
        if shared.num_rows:
            other = shared[f"{name}.zarr_group"][0].as_py()
            raise InvalidArgumentError(
                f"cells of {groups} also point to the dataset of zarr group '{other}': delete them together, "
                f"as in delete_dataset({sorted([*groups, other])})"
            )
