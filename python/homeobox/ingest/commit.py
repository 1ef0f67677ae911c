"""Writes a planned dataset in the order that keeps the atlas whole at every moment.

Claim, arrays, manifest, layout rows, dataset row, and at last one append of cell rows, which is the commit: before
it nothing points to the group, after it everything is there. An error before it removes what was written; a crash
leaves a claim without a living writer, which the next ingest of the name clears away.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa

from homeobox import _core
from homeobox.catalog.sql import equals
from homeobox.ingest.cell_rows import cell_table, dense_pointers, sparse_pointers
from homeobox.ingest.dataset_plan import DatasetPlan
from homeobox.ingest.dense_writer import write_dense
from homeobox.ingest.group_claim import GroupClaim, claim_group
from homeobox.ingest.pending import check_unrecorded, is_pending, remove_pending
from homeobox.ingest.progress import row_progress
from homeobox.ingest.sources import CsrSource, DenseSource
from homeobox.ingest.sparse_writer import SparsePlan, WrittenObject, write_sparse

if TYPE_CHECKING:
    from homeobox.catalog import Catalog

_GROUP_ATTRIBUTES = json.dumps({"homeobox": {"format": 1}})


def write_dataset(catalog: Catalog, plan: DatasetPlan) -> int:
    """Write the dataset and return its number of cells.

    Raises
    ------
    ConflictError
        Another ingest holds the group's name.
    InvalidArgumentError
        The name was taken since the plan was made.
    """
    with claim_group(catalog.store, plan.group, lambda: check_unrecorded(catalog, plan.group)) as claim:
        # Once more, now that nobody else can write there: the name may have been committed since it was checked.
        remove_pending(catalog, plan.group)
        catalog.datasets.check_new(plan.record)
        objects = _write_arrays(catalog.store, plan, claim)
        _core.write_manifest(catalog.store, plan.group, objects)
        catalog.layouts.add_rows(plan.layout)
        cells = cell_table(
            catalog.cells_schema,
            catalog.pointer_fields,
            plan.obs,
            dataset_uid=plan.record.uid,
            present={plan.pointer_field.name: _pointers(catalog, plan)},
            n_cells=plan.n_cells,
        )
        _add_dataset_row(catalog, plan, claim)
        # An append that fails may still have happened, so from here on everything stays whatever comes.
        claim.keep_objects()
        catalog.append_cells(cells)
    return plan.n_cells


def _add_dataset_row(catalog: Catalog, plan: DatasetPlan, claim: GroupClaim) -> None:
    claim.confirm()
    try:
        catalog.datasets.add(plan.record)
        claim.confirm()  # the last moment before cells point to the arrays
    except BaseException:
        # It may be there all the same, and then names arrays that are about to be removed. Of the rows of this group
        # only our own: another writer may have taken the group over.
        if is_pending(catalog, plan.group):
            own = f"{equals('uid', plan.record.uid)} AND {equals('zarr_group', plan.group)}"
            catalog.datasets.table.delete(own)
        raise


def _write_arrays(store: _core.Store, plan: DatasetPlan, claim: GroupClaim) -> list[WrittenObject]:
    objects = _write_groups(store, plan)
    with row_progress(f"ingest {plan.group}", plan.n_cells) as advance:

        def on_rows(n_rows: int) -> None:
            advance(n_rows)
            claim.renew()

        if isinstance(plan.arrays, SparsePlan):
            assert isinstance(plan.matrix, CsrSource)  # a sparse plan is made of rows only
            return objects + write_sparse(store, plan.group, plan.arrays, plan.matrix, on_rows)
        assert isinstance(plan.matrix, DenseSource)
        return objects + write_dense(store, plan.group, plan.arrays, plan.matrix, on_rows)


def _write_groups(store: _core.Store, plan: DatasetPlan) -> list[WrittenObject]:
    """Metadata of the group, of those above it, and of those inside it. Returns the objects that are its own."""
    above = plan.group.split("/")[:-1]
    for depth in range(len(above)):
        _core.write_group(store, "/".join(above[: depth + 1]))
    objects = [_core.write_group(store, plan.group, _GROUP_ATTRIBUTES)]
    inside = plan.spec.layers.path.split("/")
    objects += [_core.write_group(store, "/".join([plan.group, *inside[: i + 1]])) for i in range(len(inside))]
    return objects


def _pointers(catalog: Catalog, plan: DatasetPlan) -> pa.StructArray:
    struct = catalog.cells_schema.field(plan.pointer_field.name).type
    space = plan.spec.feature_space
    if isinstance(plan.matrix, CsrSource):
        return sparse_pointers(struct, space, plan.group, plan.matrix.indptr[:-1], plan.matrix.indptr[1:])
    return dense_pointers(struct, space, plan.group, plan.n_cells)
