"""Ranges of a one-dimensional HDF5 dataset, past HDF5 where its bytes lie in the file as they are.

Most h5ad files are written without compression, and then the chunks are plain bytes at known places, most of them one
after another. Such a range is a view of the mapped file; HDF5 would copy it through its chunk cache under one lock.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from homeobox.errors import InvalidArgumentError

if TYPE_CHECKING:
    import h5py


class Hdf5Array:
    """Reads element ranges; one thread at a time.

    Raises
    ------
    InvalidArgumentError
        The file ends before the array does.
    """

    def __init__(self, dataset: h5py.Dataset, name: str) -> None:
        self._dataset = dataset
        self._name = name
        self._buffers = [np.empty(0, dtype=self.dtype) for _ in range(2)]
        self._file: _MappedFile | None = None
        plain = _plain_chunks(dataset)
        if plain is not None:
            self._chunk_elements, self._offsets = plain
            self._file = _MappedFile(dataset.file.filename)
            self._check_length(int(self._offsets.max()) + self._last_chunk_bytes())

    def __len__(self) -> int:
        return int(self._dataset.shape[0])

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self._dataset.dtype)

    @property
    def is_packed(self) -> bool:
        """Whether the chunks pass through filters."""
        return bool(self._dataset.id.get_create_plist().get_nfilters())

    def read(self, begin: int, end: int, slot: int = 0) -> np.ndarray:
        """Elements ``[begin, end)`` in the byte order of the file; valid until the next call for the same slot of 0
        and 1."""
        if self._file is None:
            try:
                return np.asarray(self._dataset[begin:end])
            except OSError as error:
                raise InvalidArgumentError(
                    f"{self._name}: elements {begin} to {end} cannot be read, the file is damaged or cut short: {error}"
                ) from error
        pieces = list(self._pieces(begin, end))
        # A map of what a file no longer has is a crash, not an error.
        self._check_length(max((offset + n * self.dtype.itemsize for offset, n in pieces), default=0))
        if len(pieces) == 1 and pieces[0][0] % self.dtype.itemsize == 0:
            return self._file.view(*pieces[0], self.dtype)
        if len(self._buffers[slot]) < end - begin:
            self._buffers[slot] = np.empty(end - begin, dtype=self.dtype)
        values = self._buffers[slot][: end - begin]  # memory in use, which need not be cleared by the kernel again
        done = 0
        for offset, n_elements in pieces:
            values[done : done + n_elements] = self._file.view(offset, n_elements, self.dtype)
            done += n_elements
        return values

    def _pieces(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Offset in the file and number of elements of what lies together there."""
        at, item = begin, self.dtype.itemsize
        while at < end:
            chunk = at // self._chunk_elements
            last = chunk
            while (last + 1) * self._chunk_elements < end and self._adjoin(last):
                last += 1
            stop = min(end, (last + 1) * self._chunk_elements)
            yield int(self._offsets[chunk]) + (at - chunk * self._chunk_elements) * item, stop - at
            at = stop

    def _adjoin(self, chunk: int) -> bool:
        bytes_of_chunk = self._chunk_elements * self.dtype.itemsize
        return bool(self._offsets[chunk + 1] == self._offsets[chunk] + bytes_of_chunk)

    def _last_chunk_bytes(self) -> int:
        """Of the chunk that lies last in the file, as far as the array uses it."""
        chunk = int(np.argmax(self._offsets))
        return min(self._chunk_elements, len(self) - chunk * self._chunk_elements) * self.dtype.itemsize

    def _check_length(self, n_bytes: int) -> None:
        assert self._file is not None
        if self._file.size() < n_bytes:
            raise InvalidArgumentError(
                f"{self._name}: the file ends at byte {self._file.size()}, but the array goes on to byte {n_bytes}"
            )


class _MappedFile:
    """A whole file, read-only. Views keep it mapped."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self._map = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def size(self) -> int:
        return min(os.fstat(self._descriptor).st_size, len(self._map))

    def view(self, offset: int, n_elements: int, dtype: np.dtype) -> np.ndarray:
        """Elements at a byte offset; asks the system to fetch them if they are not in memory."""
        page = offset // mmap.PAGESIZE * mmap.PAGESIZE
        if n_elements and hasattr(mmap, "MADV_WILLNEED"):
            self._map.madvise(mmap.MADV_WILLNEED, page, offset + n_elements * dtype.itemsize - page)
        return np.frombuffer(self._map, dtype, n_elements, offset)


def _plain_chunks(dataset: h5py.Dataset) -> tuple[int, np.ndarray] | None:
    """Elements of a chunk and the place of each chunk in the file; None where HDF5 has to interpret the bytes."""
    file, identifier = dataset.file, dataset.id
    if file.driver != "sec2" or file.userblock_size or file.mode != "r" or not len(dataset):
        return None
    if dataset.dtype.kind not in "iuf" or dataset.id.get_create_plist().get_nfilters() or dataset.external:
        return None
    if identifier.get_type().get_precision() != 8 * dataset.dtype.itemsize or dataset.is_virtual:
        return None
    if dataset.chunks is None:
        offset = identifier.get_offset()
        return None if offset is None else (len(dataset), np.array([offset]))
    if not hasattr(identifier, "chunk_iter"):  # HDF5 before 1.12.3
        return None
    (chunk_elements,), n_elements = dataset.chunks, len(dataset)
    offsets = np.full(-(-n_elements // chunk_elements), -1, dtype=np.int64)

    def place(chunk: h5py.h5d.StoreInfo) -> None:
        if chunk.chunk_offset[0] < n_elements and not chunk.filter_mask:
            offsets[chunk.chunk_offset[0] // chunk_elements] = chunk.byte_offset

    identifier.chunk_iter(place)
    # A chunk that was never written is fill values.
    return None if bool(np.any(offsets < 0)) else (chunk_elements, offsets)
