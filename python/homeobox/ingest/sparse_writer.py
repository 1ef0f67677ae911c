"""Writes one sparse group: flat indices and values, row boundaries, and the stored feature order."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from homeobox import _core
from homeobox.ingest.encoding import ArrayPlan, Encoding
from homeobox.ingest.readers import BLOCK_ELEMENTS, CsrMatrix
from homeobox.schema import ZarrGroupSpec

WrittenObject = tuple[str, int, int]


@dataclass(frozen=True)
class SparsePlan:
    """All that is decided before the first byte."""

    indices_path: str
    values_path: str
    indptr_path: str
    order_path: str
    indices: ArrayPlan
    values: ArrayPlan
    indptr: ArrayPlan
    feature_order: np.ndarray | None  # uint32, stored index -> position in the layout; None: as given
    order_plan: ArrayPlan | None


def plan_sparse(
    spec: ZarrGroupSpec, layer: str, matrix: CsrMatrix, encoding: Encoding, by_expression: bool
) -> SparsePlan:
    """Decide the arrays of the group; reads the matrix once for the feature totals when it is to be reordered."""
    n_entries, n_features = len(matrix.data), matrix.shape[1]
    order = np.asarray(_core.feature_order(feature_totals(matrix))) if by_expression else None
    return SparsePlan(
        indices_path=spec.required_arrays[0].array_name,
        values_path=f"{spec.layers.path}/{layer}",
        indptr_path=posixpath.join(spec.layers.prefix, "indptr"),
        order_path=posixpath.join(spec.layers.prefix, "feature_order"),
        indices=encoding.plan_indices(n_entries),
        values=encoding.plan_values((n_entries,), matrix.dtype),
        indptr=encoding.plan_sidecar(len(matrix.indptr), np.dtype(np.int64)),
        feature_order=order,
        order_plan=None if order is None else encoding.plan_sidecar(n_features, np.dtype(np.uint32)),
    )


def feature_totals(matrix: CsrMatrix) -> np.ndarray:
    """Sum of each column, float64; what the stored order of features follows."""
    totals = np.zeros(matrix.shape[1], dtype=np.float64)
    for begin in range(0, len(matrix.data), BLOCK_ELEMENTS):
        block = slice(begin, begin + BLOCK_ELEMENTS)
        totals += np.bincount(matrix.indices[block], weights=matrix.data[block], minlength=len(totals))
    return totals


def write_sparse(
    store: _core.Store, group: str, plan: SparsePlan, matrix: CsrMatrix, on_rows: Callable[[int], None]
) -> list[WrittenObject]:
    """Write every array of the group and return the objects for its manifest.

    Entries of a row are stored by ascending stored index; repeated entries keep their order.
    `on_rows` hears how many rows were just written.
    """
    indices = _open_writer(store, f"{group}/{plan.indices_path}", "uint32", plan.indices)
    values = _open_writer(store, f"{group}/{plan.values_path}", matrix.dtype.name, plan.values)
    try:
        for begin, end in matrix.row_blocks():
            row_indices, (row_values,) = _core.reorder_csr(
                matrix.indptr[begin : end + 1], matrix.indices, [matrix.data], matrix.shape[1], plan.feature_order
            )
            indices.append(row_indices)
            values.append(row_values)
            on_rows(end - begin)
        objects: list[WrittenObject] = [*indices.finish(), *values.finish()]
    except BaseException:
        # A shard may still be on its way to the store; a writer waits for its own when it goes. Else it would arrive
        # after the group was cleared. The frame would keep the writers for as long as the error is handled.
        del indices, values
        raise
    objects += _write_whole(store, f"{group}/{plan.indptr_path}", matrix.indptr, plan.indptr)
    if plan.feature_order is not None and plan.order_plan is not None:
        objects += _write_whole(store, f"{group}/{plan.order_path}", plan.feature_order, plan.order_plan)
    return objects


def _open_writer(store: _core.Store, path: str, dtype: str, plan: ArrayPlan) -> _core.ArrayWriter:
    return _core.ArrayWriter(
        store, path, dtype, list(plan.shape), list(plan.chunk_shape), list(plan.shard_shape), plan.codecs_json
    )


def _write_whole(store: _core.Store, path: str, data: np.ndarray, plan: ArrayPlan) -> list[WrittenObject]:
    return _core.write_array(store, path, data, list(plan.chunk_shape), list(plan.shard_shape), plan.codecs_json)
