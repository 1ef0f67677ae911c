"""One dataset of an atlas as it was: its own cells in their order, its own features in theirs."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from homeobox import _core
from homeobox.catalog import Catalog, StoredGroup
from homeobox.catalog.arrow_schema import pointer_fields_of_table
from homeobox.catalog.sql import quote, quote_column
from homeobox.errors import InvalidArgumentError, NotFoundError, UnsupportedError
from homeobox.query.frame_columns import vectors
from homeobox.query.obs_frame import obs_frame
from homeobox.query.var_frame import VarFrame
from homeobox.schema import AUTO_FIELDS, ColumnInfo, PointerKind, ZarrGroupSpec, get_spec

if TYPE_CHECKING:
    import pandas as pd
    import scipy.sparse

# Elements of a matrix in memory at once. Larger blocks are not faster, and leave holes in the heap.
BLOCK_ELEMENTS = 1 << 20


@dataclass
class StoredDataset:
    """A dataset with a matrix, found by :func:`find_dataset`; everything is read when it is asked for."""

    catalog: Catalog
    row: dict[str, Any]
    spec: ZarrGroupSpec

    @property
    def group(self) -> str:
        return self.row["zarr_group"]

    @property
    def is_sparse(self) -> bool:
        return self.spec.pointer_kind is PointerKind.SPARSE

    @cached_property
    def layers(self) -> list[str]:
        """Layers that are stored, the one that becomes `X` first."""
        names = StoredGroup(self.catalog.store, self.group).array_names(self.spec.layers.path)
        first = [name for name in self.spec.layers.required if name in names]
        return [*first, *(name for name in names if name not in first)]

    @cached_property
    def _cells(self) -> pa.Table:
        """obs columns and pointers of its cells, by their row in the group."""
        name = self.spec.feature_space
        place = f"{name}.zarr_row" if self.is_sparse else f"{name}.position"
        pointers = [place, f"{name}.start", f"{name}.end"] if self.is_sparse else [place]
        fields = pointer_fields_of_table(self.catalog.cells_schema)
        columns = [column for column in self.catalog.cells_schema.names if column not in fields]
        where = f"{quote_column(name)}.zarr_group = {quote(self.group)}"
        cells = self.catalog.scan_cells([*columns, *pointers], where=where)
        return cells.take(np.argsort(cells[place].to_numpy(), kind="stable"))

    @property
    def n_cells(self) -> int:
        return self._cells.num_rows

    @property
    def n_features(self) -> int:
        return len(self._features)

    @cached_property
    def _features(self) -> np.ndarray:
        """Global index of each feature, in the order of the dataset."""
        indices = self.catalog.layouts.read(self.row["layout_uid"])[1]
        if len(indices) and int(indices.min()) < 0:
            raise InvalidArgumentError(
                f"features of zarr group '{self.group}' have no global_index; run optimize() first"
            )
        return indices

    def obs(self) -> pd.DataFrame:
        """Columns that have a value, called as in the source; the index is its obs_names, else the uids."""
        table = self._described()
        frame = obs_frame(table)
        names = _names_column(table.schema)
        if names is not None and not table[names].null_count:
            frame.index = frame.pop(names).to_numpy(dtype=object)
        return frame.rename(columns=_source_names(table.schema))

    def obsm(self) -> dict[str, np.ndarray]:
        """Vector columns that have a value."""
        return vectors(self._described())

    def _described(self) -> pa.Table:
        schema, own = self.catalog.cells_schema, self._cells
        # A column without any value belongs to other datasets.
        kept = [
            field
            for field in schema
            if field.name in own.column_names
            and (field.name == "uid" or field.name not in AUTO_FIELDS)
            and (own[field.name].null_count < own.num_rows or not own.num_rows)
        ]
        return pa.Table.from_arrays([own[field.name] for field in kept], schema=pa.schema(kept))

    def var(self) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """Rows of the registry, called as in the source, and its vectors; `global_feature_uid` for another ingest."""
        registry = self.catalog.registry(self.spec.feature_space)
        frames = VarFrame(registry.arrow())
        frame = frames.take(self._features)
        frame["global_feature_uid"] = frame.index.to_numpy()
        names = _names_column(registry.table.schema)
        if names is not None and not frame[names].isna().any():
            frame.index = frame.pop(names).to_numpy(dtype=object)
        frame = frame.rename(columns=_source_names(registry.table.schema))
        return frame, frames.take_vectors(self._features)

    def uns(self) -> dict[str, Any]:
        """The dataset's row."""
        return {"homeobox": {key: value for key, value in self.row.items() if isinstance(value, str | int | float)}}

    def blocks(self, layer: str) -> Iterator[Any]:
        """One layer in blocks of rows, in its stored dtype: CSR matrices of a sparse space, arrays of a dense one."""
        yield from self._sparse_blocks(layer) if self.is_sparse else self._dense_blocks(layer)

    def _sparse_blocks(self, layer: str) -> Iterator[scipy.sparse.csr_matrix]:
        import scipy.sparse

        name, path = self.spec.feature_space, f"{self.spec.layers.path}/{layer}"
        begins, ends = (self._cells[f"{name}.{child}"].to_numpy() for child in ("start", "end"))
        group = _core.SparseGroup(
            self.catalog.store,
            self.group,
            indices_path=self.spec.required_arrays[0].array_name,
            feature_order_path=posixpath.join(self.spec.layers.prefix, "feature_order"),
        )
        as_they_are = np.arange(self.n_features, dtype=np.int32)
        stored = np.concatenate([[0], np.cumsum(ends - begins)])
        row = 0
        while row < self.n_cells:
            end = int(np.searchsorted(stored, stored[row] + BLOCK_ELEMENTS, side="right")) - 1
            end = min(max(end, row + 1), self.n_cells)
            indptr, indices, data = _core.gather_csr(
                [group],
                [as_they_are],
                path,
                np.zeros(end - row, dtype=np.int32),
                np.ascontiguousarray(begins[row:end]),
                np.ascontiguousarray(ends[row:end]),
                self.n_features,
                group.layer_dtype(path),
                sort=True,
            )
            yield scipy.sparse.csr_matrix((data, indices, indptr), shape=(end - row, self.n_features))
            row = end

    def _dense_blocks(self, layer: str) -> Iterator[np.ndarray]:
        group = _core.Group.open(self.catalog.store, self.group)
        array = group.open_array(f"{self.spec.layers.path}/{layer}")
        rows = self._cells[f"{self.spec.feature_space}.position"].to_numpy()
        step = max(1, BLOCK_ELEMENTS // max(1, self.n_features))
        for begin in range(0, len(rows), step):
            part = np.ascontiguousarray(rows[begin : begin + step])
            yield array.read_ranges(part, part + 1)

    def dtype(self, layer: str) -> np.dtype:
        """Stored type of a layer."""
        array = _core.Array.open(self.catalog.store, f"{self.group}/{self.spec.layers.path}/{layer}")
        return np.dtype(array.dtype)


def find_dataset(catalog: Catalog, dataset: str) -> StoredDataset:
    """A dataset by its group or its uid.

    Raises
    ------
    NotFoundError
        The atlas has none of that name, or no cells point to it.
    InvalidArgumentError
        Several groups have that uid.
    UnsupportedError
        Its data is no matrix.
    """
    rows = catalog.committed_datasets().to_pylist()
    found = [row for row in rows if row["zarr_group"] == dataset] or [row for row in rows if row["uid"] == dataset]
    if not found:
        raise NotFoundError(f"no dataset has the zarr group or uid '{dataset}'; list_datasets() has them")
    if len(found) > 1:
        raise InvalidArgumentError(
            f"dataset '{dataset}' has the groups {[row['zarr_group'] for row in found]}; name one of them"
        )
    spec = get_spec(found[0]["feature_space"])
    if not spec.is_matrix:
        raise UnsupportedError(f"feature space '{spec.feature_space}' is not a cells x features matrix")
    return StoredDataset(catalog, found[0], spec)


def _names_column(schema: pa.Schema) -> str | None:
    """The column that keeps the names of the rows."""
    return next((field.name for field in schema if ColumnInfo.of_metadata(field.metadata).obs_names), None)


def _source_names(schema: pa.Schema) -> dict[str, str]:
    named = {field.name: ColumnInfo.of_metadata(field.metadata).source for field in schema}
    return {name: source for name, source in named.items() if source is not None and name != "uid"}
