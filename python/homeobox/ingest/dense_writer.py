"""Writes one dense group: a two-dimensional array per layer, rows are cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homeobox import _core
from homeobox.ingest.array_writer import open_array
from homeobox.ingest.encoding import ArrayPlan, Encoding
from homeobox.ingest.sources import DenseSource
from homeobox.ingest.sparse_writer import WrittenObject
from homeobox.schema import ZarrGroupSpec


@dataclass(frozen=True)
class DensePlan:
    """Path and plan of each layer, in the order of the source's layers."""

    values: tuple[tuple[str, ArrayPlan], ...]


def plan_dense(spec: ZarrGroupSpec, layers: Sequence[str], matrix: DenseSource, encoding: Encoding) -> DensePlan:
    """Decide the arrays of the group; `layers` names the layers of `matrix`."""
    values = [
        (f"{spec.layers.path}/{layer}", encoding.plan_values(matrix.shape, dtype))
        for layer, dtype in zip(layers, matrix.dtypes, strict=True)
    ]
    return DensePlan(tuple(values))


def write_dense(
    store: _core.Store, group: str, plan: DensePlan, matrix: DenseSource, on_rows: Callable[[int], None]
) -> list[WrittenObject]:
    """Write every layer and return the objects for the manifest; `on_rows` hears how many rows were just written."""
    writers = [
        open_array(store, f"{group}/{path}", dtype, array)
        for (path, array), dtype in zip(plan.values, matrix.dtypes, strict=True)
    ]
    try:
        for layers in matrix.blocks():
            for writer, values in zip(writers, layers, strict=True):
                writer.append(values)
            on_rows(len(layers[0]))
        return [written for writer in writers for written in writer.finish()]
    except BaseException:
        # As in write_sparse: a writer waits for its shards when it goes.
        writer = None
        del writers
        raise
