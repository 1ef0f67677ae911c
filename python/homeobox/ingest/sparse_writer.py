"""Writes one sparse group: flat indices, the values of each layer, row boundaries, and the stored feature order."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from homeobox import _core
from homeobox.errors import InvalidArgumentError
from homeobox.ingest.encoding import ArrayPlan, Encoding
from homeobox.ingest.sources import CsrSource
from homeobox.schema import ZarrGroupSpec

WrittenObject = tuple[str, int, int]


@dataclass(frozen=True)
class SparsePlan:
    """All that is decided before the first byte.

    Attributes
    ----------
    values
        Path and plan of each layer, in the order of the source's layers.
    feature_order
        uint32, stored index -> position in the layout; None: as given.
    """

    indices_path: str
    indptr_path: str
    order_path: str
    indices: ArrayPlan
    values: tuple[tuple[str, ArrayPlan], ...]
    indptr: ArrayPlan
    feature_order: np.ndarray | None
    order_plan: ArrayPlan | None


def plan_sparse(
    spec: ZarrGroupSpec,
    layers: Sequence[str],
    matrix: CsrSource,
    encoding: Encoding,
    feature_totals: np.ndarray | None,
) -> SparsePlan:
    """Decide the arrays of the group.

    Parameters
    ----------
    layers
        Names of the layers of `matrix`.
    feature_totals
        float64 [n_features], what the stored order of features follows; None: they are stored as given.
    """
    n_entries, n_features = matrix.n_entries, matrix.shape[1]
    order = None if feature_totals is None else np.asarray(_core.feature_order(feature_totals))
    values = [
        (f"{spec.layers.path}/{layer}", encoding.plan_values((n_entries,), dtype))
        for layer, dtype in zip(layers, matrix.dtypes, strict=True)
    ]
    return SparsePlan(
        indices_path=spec.required_arrays[0].array_name,
        indptr_path=posixpath.join(spec.layers.prefix, "indptr"),
        order_path=posixpath.join(spec.layers.prefix, "feature_order"),
        indices=encoding.plan_indices(n_entries),
        values=tuple(values),
        indptr=encoding.plan_sidecar(len(matrix.indptr), np.dtype(np.int64)),
        feature_order=order,
        order_plan=None if order is None else encoding.plan_sidecar(n_features, np.dtype(np.uint32)),
    )


def write_sparse(
    store: _core.Store, group: str, plan: SparsePlan, matrix: CsrSource, on_rows: Callable[[int], None]
) -> list[WrittenObject]:
    """Write every array of the group and return the objects for its manifest.

    Entries of a row are stored by ascending stored index; repeated entries keep their order.
    `on_rows` hears how many rows were just written.
    """
    writer = _core.CsrWriter(
        store,
        _target(f"{group}/{plan.indices_path}", "uint32", plan.indices),
        [
            _target(f"{group}/{path}", dtype.name, array)
            for (path, array), dtype in zip(plan.values, matrix.dtypes, strict=True)
        ],
        matrix.shape[1],
        plan.feature_order,
    )
    n_rows = 0
    try:
        for block in matrix.entry_blocks():
            try:
                writer.append(block.indptr, block.indices, list(block.layers))
            except InvalidArgumentError as error:  # all was well when it was checked
                raise InvalidArgumentError(f"{matrix.name}, from row {n_rows}: {error}") from error
            n_rows += block.n_rows
            on_rows(block.n_rows)
        objects: list[WrittenObject] = list(writer.finish())
    except BaseException:
        # A shard may still be on its way to the store; the writer waits for its own when it goes. Else it would arrive
        # after the group was cleared. The frame would keep the writer for as long as the error is handled.
        del writer
        raise
    objects += _write_whole(store, f"{group}/{plan.indptr_path}", matrix.indptr, plan.indptr)
    if plan.feature_order is not None and plan.order_plan is not None:
        objects += _write_whole(store, f"{group}/{plan.order_path}", plan.feature_order, plan.order_plan)
    return objects


def _target(path: str, dtype: str, plan: ArrayPlan) -> tuple[str, str, int, int, int, str]:
    return path, dtype, plan.shape[0], plan.chunk_shape[0], plan.shard_shape[0], plan.codecs_json


def _write_whole(store: _core.Store, path: str, data: np.ndarray, plan: ArrayPlan) -> list[WrittenObject]:
    return _core.write_array(store, path, data, list(plan.chunk_shape), list(plan.shard_shape), plan.codecs_json)
