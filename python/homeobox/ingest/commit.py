"""Writes planned groups in the order that keeps the atlas whole at every moment.

Claim, arrays, manifest, layout rows, dataset row, and at last one append of cell rows, which is the commit: before
it nothing points to the groups, after it everything is there. Cells with several modalities have several groups, and
each step is done for all of them before the next one. An error before the commit removes what was written; a crash
leaves claims without a living writer, which the next ingest of the names clears away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pyarrow as pa

from homeobox import _core
from homeobox.catalog.sql import equals
from homeobox.errors import ConflictError, HomeoboxError, InvalidArgumentError
from homeobox.ingest.cell_rows import cell_table, spread_pointers
from homeobox.ingest.dataset_plan import DatasetPlan
from homeobox.ingest.group_claim import GroupClaim, claim_group
from homeobox.ingest.group_name import check_not_nested
from homeobox.ingest.group_plan import CellsOfGroup, GroupPlan, MatrixGroup
from homeobox.ingest.pending import check_unrecorded, failures_are_final, is_pending, remove_pending
from homeobox.ingest.progress import row_progress
from homeobox.ingest.restore_claim import refuse_beside_restore
from homeobox.ingest.sparse_writer import WrittenObject

if TYPE_CHECKING:
    from homeobox.catalog import Catalog
    from homeobox.schema import DatasetRecord

_GROUP_ATTRIBUTES = json.dumps({"homeobox": {"format": 1}})


def write_dataset(catalog: Catalog, plan: DatasetPlan) -> int:
    """Write a dataset of one group and return its number of cells. Errors as :func:`write_groups`."""
    return write_groups(catalog, [CellsOfGroup(MatrixGroup(plan))], plan.obs, plan.n_cells)


def check_together(records: Sequence[DatasetRecord]) -> None:
    """Refuse dataset records that cannot belong to the same cells.

    Raises
    ------
    InvalidArgumentError
        Two have one feature space, uid or group, or a group lies inside another; names them.
    """
    for attribute in ("feature_space", "uid", "zarr_group"):
        values = [getattr(record, attribute) for record in records]
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise InvalidArgumentError(f"dataset records must differ in {attribute}, found {repeated} more than once")
    for record in records:
        check_not_nested(record.zarr_group, [other.zarr_group for other in records if other is not record])


def write_groups(catalog: Catalog, groups: Sequence[CellsOfGroup], obs: Mapping[str, pa.Array], n_cells: int) -> int:
    """Write the groups and one row per cell with its pointers to all of them, and return the number of cells.

    Parameters
    ----------
    groups
        Their records are known to fit together (`check_together`). The cells' ``dataset_uid`` is the uid of the first.
    obs
        Obs columns of the cell rows, each of `n_cells`.

    Raises
    ------
    ConflictError
        Another ingest holds the name of a group, or the atlas is being restored.
    InvalidArgumentError
        A name was taken since the plan was made.
    """
    plans = [cells.group for cells in groups]
    with ExitStack() as held:
        claims = [held.enter_context(_claim(catalog, plan)) for plan in plans]
        for plan in plans:
            # Once more, now that nobody else can write there: the name may have been committed since it was checked.
            remove_pending(catalog, plan.record.zarr_group)
            catalog.datasets.check_new(plan.record)
        for plan in plans:
            objects = _write_arrays(catalog.store, plan, claims)
            _core.write_manifest(catalog.store, plan.record.zarr_group, objects)
        for plan in plans:
            if plan.layout is not None:
                catalog.add_layout(plan.layout, plan.record.feature_space)
        rows = cell_table(
            catalog.cells_schema,
            catalog.pointer_fields,
            obs,
            dataset_uid=plans[0].record.uid,
            present={cells.group.pointer_field.name: _pointers(catalog, cells) for cells in groups},
            n_cells=n_cells,
        )
        _add_dataset_rows(catalog, plans, claims)
        # An append that fails may still have happened, so from here on everything stays unless it is known not to have.
        for claim in claims:
            claim.keep_objects()
        try:
            catalog.append_cells(rows)
        except HomeoboxError:
            if failures_are_final(catalog):
                _take_back(catalog, plans, claims)
            raise
    return n_cells


def _claim(catalog: Catalog, plan: GroupPlan) -> GroupClaim:
    name = plan.record.zarr_group
    return claim_group(catalog.store, name, lambda: check_unrecorded(catalog, name))


def _add_dataset_rows(catalog: Catalog, plans: Sequence[GroupPlan], claims: Sequence[GroupClaim]) -> None:
    _confirm(catalog, claims)
    begun: list[DatasetRecord] = []
    try:
        for plan in plans:
            begun.append(plan.record)
            catalog.datasets.add(plan.record)
        _confirm(catalog, claims)  # the last moment before cells point to the arrays
        _require_rows(catalog, plans)
    except BaseException:
        # They may be there all the same, and then name arrays that are about to be removed. Of the rows of a group
        # only our own: another writer may have taken the group over.
        for record in begun:
            if is_pending(catalog, record.zarr_group):
                _remove_row(catalog, record)
        raise


def _confirm(catalog: Catalog, claims: Sequence[GroupClaim]) -> None:
    for claim in claims:
        claim.confirm()
    refuse_beside_restore(catalog)


def _require_rows(catalog: Catalog, plans: Sequence[GroupPlan]) -> None:
    """A restore that took this writer for dead may have come and gone."""
    rows = catalog.datasets.by_group()
    for plan in plans:
        record = plan.record
        if rows.get(record.zarr_group, {}).get("uid") != record.uid:
            raise ConflictError(
                f"the dataset row of zarr group '{record.zarr_group}' is gone from {catalog.location}, which was "
                "restored meanwhile; try again"
            )


def _take_back(catalog: Catalog, plans: Sequence[GroupPlan], claims: Sequence[GroupClaim]) -> None:
    """Remove everything, unless the cells are there after all. What cannot be removed stays claimed, as leftovers."""
    with suppress(HomeoboxError):
        if not all(is_pending(catalog, plan.record.zarr_group) for plan in plans):
            return
        for claim in claims:
            claim.remove_objects()  # first, since removing rows takes room on a disk that may be full
        for plan in plans:
            _remove_row(catalog, plan.record)
        for claim in claims:
            claim.give_up_objects()


def _remove_row(catalog: Catalog, record: DatasetRecord) -> None:
    own = f"{equals('uid', record.uid)} AND {equals('zarr_group', record.zarr_group)}"
    catalog.datasets.table.delete(own)


def _write_arrays(store: _core.Store, plan: GroupPlan, claims: Sequence[GroupClaim]) -> list[WrittenObject]:
    objects = _write_group_documents(store, plan)
    with row_progress(f"ingest {plan.record.zarr_group}", plan.n_rows) as advance:

        def on_rows(n_rows: int) -> None:
            advance(n_rows)
            for claim in claims:
                claim.renew()

        return objects + plan.write_arrays(store, on_rows)


def _write_group_documents(store: _core.Store, plan: GroupPlan) -> list[WrittenObject]:
    """Metadata of the group, of those above it, and of those inside it. Returns the objects that are its own."""
    group = plan.record.zarr_group
    above = group.split("/")[:-1]
    for depth in range(len(above)):
        _core.write_group(store, "/".join(above[: depth + 1]))
    objects = [_core.write_group(store, group, _GROUP_ATTRIBUTES)]
    return objects + [_core.write_group(store, f"{group}/{inside}") for inside in plan.subgroups]


def _pointers(catalog: Catalog, cells: CellsOfGroup) -> pa.StructArray:
    struct = catalog.cells_schema.field(cells.group.pointer_field.name).type
    pointers = cells.group.pointers(struct)
    return pointers if cells.row_of_cell is None else spread_pointers(pointers, cells.row_of_cell)
