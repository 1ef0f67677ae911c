"""Matrices inside an HDF5 file, as their encoding says: compressed rows, compressed columns, or dense."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from homeobox.errors import InvalidArgumentError, UnsupportedError
from homeobox.ingest.sources.columns_as_rows import ColumnsAsRows
from homeobox.ingest.sources.hdf5_array import Hdf5Array
from homeobox.ingest.sources.matrix import (
    CsrBlock,
    CsrEntries,
    CsrSource,
    DenseSource,
    check_row_bounds,
    check_shape,
    plain_values,
    row_ranges,
    stored_dtype,
)
from homeobox.ingest.sources.read_ahead import read_ahead
from homeobox.ingest.sources.reading import Reading
from homeobox.ingest.sources.remembered_rows import RememberedRows

if TYPE_CHECKING:
    import h5py


# The core takes this many blocks of entries from a file in one call, piece by piece: the memory is that of the pieces,
# and progress is reported once in a call.
_BLOCKS_IN_A_CALL = 8
# As large as HDF5's own cache of chunks: whatever the budget, such a chunk is not what takes the memory.
_SMALL_CHUNK_BYTES = 1 << 20


class Hdf5Rows(CsrSource):
    """Compressed rows in three datasets; only `indptr` is held in memory."""

    def __init__(self, group: h5py.Group, shape: tuple[int, int], name: str, reading: Reading) -> None:
        self.name = name
        self.shape = shape
        check_shape(name, shape)
        self._indices = Hdf5Array(_dataset(group, "indices", name), f"{name}/indices")
        self._data = Hdf5Array(_dataset(group, "data", name), f"{name}/data")
        indptr = _dataset(group, "indptr", name)
        for key in ("indices", "data", "indptr"):
            _check_chunk(group[key], f"{name}/{key}", reading)
        # One too many is enough to refuse, however many a damaged file promises.
        n_bounds = min(len(indptr), shape[0] + 2)
        self.indptr = Hdf5Array(indptr, f"{name}/indptr").read(0, n_bounds).astype(np.int64)
        check_row_bounds(name, self.indptr, shape[0], len(self._indices), len(self._data))
        self.dtypes = (stored_dtype(self._data.dtype, name),)
        self._block_elements = reading.block_elements

    @property
    def is_packed(self) -> bool:
        """Whether the entries have to be decompressed."""
        return self._indices.is_packed or self._data.is_packed

    def blocks(self) -> Iterator[CsrBlock]:
        for begin, end, indices, data in read_ahead(self._read, row_ranges(self.indptr, self._block_elements)):
            yield CsrBlock(self.indptr[begin : end + 1] - self.indptr[begin], indices, (data,))
        self._check_unchanged()

    def entry_blocks(self) -> Iterator[CsrEntries]:
        if not self._fits_the_core():
            yield from super().entry_blocks()
            return
        in_a_call = _BLOCKS_IN_A_CALL * self._block_elements
        indices, data = self._indices.open(), self._data.open()
        try:
            for begin, end in row_ranges(self.indptr, in_a_call):
                # The kernel fetches the next entries while these are worked on.
                following = int(self.indptr[end])
                for array in (indices, data):
                    array.prefetch(following, following + in_a_call)
                yield CsrEntries(self.indptr[begin : end + 1], indices, (data,))
        finally:
            # HDF5's lock of the file lasts as long as a descriptor is open, and a traceback keeps what refers to one.
            indices.close()
            data.close()
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        self._indices.check_unchanged()
        self._data.check_unchanged()

    def _fits_the_core(self) -> bool:
        """Whether both arrays lie in the file as the core takes them."""
        if not (self._indices.is_plain and self._data.is_plain):
            return False
        columns, values = self._indices.dtype, self._data.dtype
        return columns.isnative and columns.kind in "iu" and columns.itemsize >= 4 and values == self.dtype

    def _read(self, rows: tuple[int, int], slot: int) -> tuple[int, int, np.ndarray, np.ndarray]:
        begin, end = rows
        first, last = int(self.indptr[begin]), int(self.indptr[end])
        indices = self._indices.read(first, last, slot)
        data = plain_values(self._data.read(first, last, slot), self.name)
        return begin, end, indices.astype(indices.dtype.newbyteorder("="), copy=False), data


class Hdf5Dense(DenseSource):
    """A two-dimensional dataset; `transposed` where its rows are features, as in loom files.

    Cells are read in bands of whole chunks, so that each chunk is decompressed once in a reading. Where one band of
    chunks is more than an eighth of the budget (a loom file with chunks of a gene and all cells), bands are cut to it:
    then each chunk is decompressed once for every band that it has cells of, and a larger budget is faster.
    """

    def __init__(self, dataset: h5py.Dataset, name: str, reading: Reading, transposed: bool = False) -> None:
        self.name = name
        if dataset.ndim != 2:
            raise InvalidArgumentError(f"{name} has {dataset.ndim} axes, expected a cells x features matrix")
        n_rows, n_columns = reversed(dataset.shape) if transposed else dataset.shape
        self.shape = (int(n_rows), int(n_columns))
        check_shape(name, self.shape)
        _check_chunk(dataset, name, reading)
        self.dtypes = (stored_dtype(np.dtype(dataset.dtype), name),)
        self._dataset = dataset
        self._transposed = transposed
        self._step = self._band = max(1, reading.block_elements // self.shape[1])
        if dataset.chunks is not None:
            chunk_rows = dataset.chunks[1 if transposed else 0]
            at_once = reading.dense_rows(self.shape[1] * dataset.dtype.itemsize)
            self._band = max(1, self._step // chunk_rows) * chunk_rows
            if self._band > at_once:
                self._band = max(at_once, self._step)

    def blocks(self) -> Iterator[tuple[np.ndarray, ...]]:
        for begin in range(0, self.shape[0], self._band):
            rows = slice(begin, min(begin + self._band, self.shape[0]))
            try:
                band = self._dataset[:, rows].T if self._transposed else self._dataset[rows]
            except OSError as error:
                raise InvalidArgumentError(
                    f"{self.name}: cells {rows.start} to {rows.stop} cannot be read, the file is damaged or cut "
                    f"short: {error}"
                ) from error
            for first in range(0, len(band), self._step):
                yield (plain_values(band[first : first + self._step], self.name),)
            del band  # the next one needs the room


def hdf5_rows(group: h5py.Group, shape: tuple[int, int], name: str, reading: Reading) -> CsrSource:
    """Compressed rows; what has to be decompressed is so once. Errors as :func:`hdf5_matrix`."""
    rows = Hdf5Rows(group, shape, name, reading)
    return RememberedRows(rows, reading) if rows.is_packed else rows


def hdf5_matrix(element: h5py.Group | h5py.Dataset, name: str, reading: Reading) -> CsrSource | DenseSource:
    """The matrix that AnnData stored in `element`, of this or an older version of the encoding.

    Raises
    ------
    InvalidArgumentError
        The encoding is none of a matrix, or its parts contradict each other.
    UnsupportedError
        An encoding that is not known.
    """
    if not hasattr(element, "keys"):
        return Hdf5Dense(element, name, reading)
    attributes = element.attrs
    encoding = _text(attributes.get("encoding-type", attributes.get("h5sparse_format", "")))
    shape = attributes.get("shape", attributes.get("h5sparse_shape"))
    if encoding not in ("csr_matrix", "csc_matrix", "csr", "csc"):
        raise UnsupportedError(f"{name} has the encoding {encoding!r}, expected csr_matrix, csc_matrix or an array")
    if shape is None or len(shape) != 2:
        raise InvalidArgumentError(f"{name} does not say its shape (attribute 'shape' of two numbers)")
    n_rows, n_columns = (int(size) for size in shape)
    if encoding.startswith("csr"):
        return hdf5_rows(element, (n_rows, n_columns), name, reading)
    columns = Hdf5Rows(element, (n_columns, n_rows), name, reading)
    return ColumnsAsRows(columns, reading)


def _dataset(group: h5py.Group, key: str, name: str) -> h5py.Dataset:
    dataset = group.get(key)
    if dataset is None or not hasattr(dataset, "shape") or len(dataset.shape) != 1:
        raise InvalidArgumentError(f"{name} has no one-dimensional array '{key}'; found {sorted(group)}")
    return dataset


def _check_chunk(dataset: h5py.Dataset, name: str, reading: Reading) -> None:
    """Refuse what HDF5 can only decompress as a whole, and that is more than fits beside what is made of it."""
    if dataset.chunks is None or not dataset.id.get_create_plist().get_nfilters():
        return
    n_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if n_bytes > max(reading.memory_bytes // 2, _SMALL_CHUNK_BYTES):
        raise InvalidArgumentError(
            f"{name}: its compressed chunks take {n_bytes} bytes each in memory, more than half of the "
            f"{reading.memory_bytes} bytes that reading it may take; give a larger memory="
        )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
