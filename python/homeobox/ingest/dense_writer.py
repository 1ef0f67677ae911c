"""Writes one dense group: a two-dimensional array per layer, rows are cells."""

from __future__ import annotations

from collections.abc import Callable

from homeobox import _core
from homeobox.ingest.encoding import ArrayPlan, Encoding
from homeobox.ingest.readers import BLOCK_ELEMENTS, CsrMatrix, DenseMatrix, dense_rows
from homeobox.ingest.sparse_writer import WrittenObject


def plan_dense(matrix: CsrMatrix | DenseMatrix, encoding: Encoding) -> ArrayPlan:
    return encoding.plan_values(matrix.shape, matrix.dtype)


def write_dense(
    store: _core.Store, path: str, plan: ArrayPlan, matrix: CsrMatrix | DenseMatrix, on_rows: Callable[[int], None]
) -> list[WrittenObject]:
    """Write one layer and return the objects for the manifest; `on_rows` hears how many rows were just written."""
    writer = _core.ArrayWriter(
        store,
        path,
        matrix.dtype.name,
        list(plan.shape),
        list(plan.chunk_shape),
        list(plan.shard_shape),
        plan.codecs_json,
    )
    n_rows, n_columns = matrix.shape
    step = max(1, BLOCK_ELEMENTS // n_columns)
    for begin in range(0, n_rows, step):
        end = min(begin + step, n_rows)
        writer.append(dense_rows(matrix, begin, end))
        on_rows(end - begin)
    return list(writer.finish())
