"""Rows of the cell table for the cells of one dataset: uids, pointers, obs columns."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from homeobox.schema import PointerField

_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_UID_BYTES = 16
# What a pointer of a cell without the modality holds.
_ZERO = {pa.string(): "", pa.int64(): 0}
# Text offsets are 32-bit; a column of more uids than this consists of several chunks.
_UIDS_PER_CHUNK = (1 << 31) // _UID_BYTES - 1


def random_uids(n: int) -> pa.ChunkedArray:
    """`n` uids of the form that `make_uid` gives, as text.

    Each is the first half of a random UUID: 16 hex digits, the one at position 12 is the version, always 4. Made in
    one go, because a million calls of `uuid4` take longer than writing the cells does.
    """
    chunks = [_random_uid_chunk(min(_UIDS_PER_CHUNK, n - begin)) for begin in range(0, n, _UIDS_PER_CHUNK)]
    return pa.chunked_array(chunks, type=pa.string())


def _random_uid_chunk(n: int) -> pa.Array:
    random = np.frombuffer(os.urandom(n * _UID_BYTES // 2), dtype=np.uint8).reshape(n, _UID_BYTES // 2)
    text = np.empty((n, _UID_BYTES), dtype=np.uint8)
    text[:, 0::2] = _HEX[random >> 4]
    text[:, 1::2] = _HEX[random & 15]
    text[:, 12] = ord("4")
    offsets = np.arange(0, (n + 1) * _UID_BYTES, _UID_BYTES, dtype=np.int32)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(text))


def cell_table(
    schema: pa.Schema,
    pointers: Mapping[str, PointerField],
    columns: Mapping[str, pa.Array],
    *,
    dataset_uid: str,
    present: Mapping[str, pa.StructArray],
    n_cells: int,
) -> pa.Table:
    """The rows of one dataset, with the columns of `schema` in its order.

    Parameters
    ----------
    columns
        Obs columns by name.
    present
        Pointer columns of the modalities that the cells have; all other pointers are zero-filled.
    """
    arrays: list[pa.Array | pa.ChunkedArray] = []
    for field in schema:
        if field.name == "uid":
            arrays.append(random_uids(n_cells))
        elif field.name == "dataset_uid":
            arrays.append(pa.repeat(pa.scalar(dataset_uid, type=field.type), n_cells))
        elif field.name in pointers:
            arrays.append(present[field.name] if field.name in present else _absent(field.type, n_cells))
        else:
            arrays.append(columns[field.name])
    return pa.Table.from_arrays(arrays, schema=schema)


def sparse_pointers(
    struct: pa.StructType, feature_space: str, group: str, begins: np.ndarray, ends: np.ndarray, first_row: int = 0
) -> pa.StructArray:
    """Row ``first_row + i`` of the group is the range ``begins[i] .. ends[i]`` of its flat arrays."""
    n_cells = len(begins)
    children = {
        "feature_space": pa.repeat(pa.scalar(feature_space), n_cells),
        "zarr_group": pa.repeat(pa.scalar(group), n_cells),
        "start": pa.array(begins, type=pa.int64()),
        "end": pa.array(ends, type=pa.int64()),
        "zarr_row": pa.array(np.arange(first_row, first_row + n_cells, dtype=np.int64)),
    }
    return _struct(struct, children)


def dense_pointers(struct: pa.StructType, feature_space: str, group: str, n_cells: int) -> pa.StructArray:
    """Row i of the group is position i on axis 0."""
    children = {
        "feature_space": pa.repeat(pa.scalar(feature_space), n_cells),
        "zarr_group": pa.repeat(pa.scalar(group), n_cells),
        "position": pa.array(np.arange(n_cells, dtype=np.int64)),
    }
    return _struct(struct, children)


def spread_pointers(pointers: pa.StructArray, row_of_cell: np.ndarray) -> pa.StructArray:
    """One pointer per cell from one per row of a group; a cell with row -1 lacks the modality.

    Parameters
    ----------
    row_of_cell
        int64 [n_cells].
    """
    rows = pa.array(row_of_cell, mask=row_of_cell < 0)
    fields = [pointers.type.field(i) for i in range(pointers.type.num_fields)]
    children = [
        pc.fill_null(pointers.field(i).take(rows), _ZERO[field.type]).cast(field.type) for i, field in enumerate(fields)
    ]
    return pa.StructArray.from_arrays(children, fields=fields)


def _struct(struct: pa.StructType, children: Mapping[str, pa.Array]) -> pa.StructArray:
    fields = [struct.field(i) for i in range(struct.num_fields)]
    return pa.StructArray.from_arrays([children[field.name].cast(field.type) for field in fields], fields=fields)


def _absent(struct: pa.StructType, n_cells: int) -> pa.StructArray:
    """A cell without the modality: empty texts and zeros, never a null (0.2.2 would read a null as present)."""
    fields = [struct.field(i) for i in range(struct.num_fields)]
    return pa.StructArray.from_arrays(
        [pa.repeat(pa.scalar(_ZERO[field.type], type=field.type), n_cells) for field in fields], fields=fields
    )
