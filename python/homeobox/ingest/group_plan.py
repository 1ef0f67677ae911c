"""What the commit needs to know of one group, whatever its arrays are: a matrix, fragments, images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from homeobox import _core
from homeobox.ingest.cell_rows import dense_pointers, sparse_pointers
from homeobox.ingest.dataset_plan import DatasetPlan
from homeobox.ingest.dense_writer import write_dense
from homeobox.ingest.sources import CsrSource, DenseSource
from homeobox.ingest.sparse_writer import SparsePlan, WrittenObject, write_sparse
from homeobox.schema import DatasetRecord, PointerField


class GroupPlan(Protocol):
    """A group that is known to fit the atlas and of which nothing is written yet.

    Attributes
    ----------
    record
        Its dataset row, with its layout.
    layout
        Rows for the layout table; None without features.
    n_rows
        Rows of the group.
    subgroups
        Zarr groups inside it, those above before those below; paths relative to it.
    """

    @property
    def record(self) -> DatasetRecord: ...
    @property
    def pointer_field(self) -> PointerField: ...
    @property
    def layout(self) -> pa.Table | None: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def subgroups(self) -> list[str]: ...

    def write_arrays(self, store: _core.Store, on_rows: Callable[[int], None]) -> list[WrittenObject]:
        """Write every array and return the objects for the manifest; `on_rows` hears how many rows were done."""

    def pointers(self, struct: pa.StructType) -> pa.StructArray:
        """One pointer per row of the group, in row order."""


@dataclass(frozen=True)
class MatrixGroup:
    """The group of a cells x features matrix."""

    plan: DatasetPlan

    @property
    def record(self) -> DatasetRecord:
        return self.plan.record

    @property
    def pointer_field(self) -> PointerField:
        return self.plan.pointer_field

    @property
    def layout(self) -> pa.Table | None:
        return self.plan.layout

    @property
    def n_rows(self) -> int:
        return self.plan.n_cells

    @property
    def subgroups(self) -> list[str]:
        inside = self.plan.spec.layers.path.split("/")
        return ["/".join(inside[: i + 1]) for i in range(len(inside))]

    def write_arrays(self, store: _core.Store, on_rows: Callable[[int], None]) -> list[WrittenObject]:
        plan = self.plan
        if isinstance(plan.arrays, SparsePlan):
            assert isinstance(plan.matrix, CsrSource)  # a sparse plan is made of rows only
            return write_sparse(store, plan.group, plan.arrays, plan.matrix, on_rows)
        assert isinstance(plan.matrix, DenseSource)
        return write_dense(store, plan.group, plan.arrays, plan.matrix, on_rows)

    def pointers(self, struct: pa.StructType) -> pa.StructArray:
        plan, space = self.plan, self.plan.spec.feature_space
        if isinstance(plan.matrix, CsrSource):
            return sparse_pointers(struct, space, plan.group, plan.matrix.indptr[:-1], plan.matrix.indptr[1:])
        return dense_pointers(struct, space, plan.group, plan.n_cells)


@dataclass(frozen=True)
class CellsOfGroup:
    """A group and which of its rows each new cell has.

    Attributes
    ----------
    row_of_cell
        int64 [n_cells], -1 for a cell that lacks the modality; None: cell i has row i.
    """

    group: GroupPlan
    row_of_cell: np.ndarray | None = None
