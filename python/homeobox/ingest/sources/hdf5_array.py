"""Ranges of a one-dimensional HDF5 dataset, past HDF5 where its bytes lie in the file as they are.

Most h5ad files are written without compression, and then the chunks are plain bytes at known places. Reading those
places copies once where HDF5 copies through its chunk cache under one lock: three times as fast, and twice the cores.
"""

from __future__ import annotations

import os
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
        self._chunk_elements = 0
        self._offsets: np.ndarray | None = None
        self._descriptor = -1
        offsets = _plain_chunks(dataset)
        if offsets is not None:
            self._chunk_elements, self._offsets = offsets
            self._descriptor = os.open(dataset.file.filename, os.O_RDONLY)

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            os.close(self._descriptor)

    def __len__(self) -> int:
        return int(self._dataset.shape[0])

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self._dataset.dtype)

    def read(self, begin: int, end: int) -> np.ndarray:
        """Elements ``[begin, end)`` as a new array, in the byte order of the file."""
        if self._offsets is None:
            try:
                return np.asarray(self._dataset[begin:end])
            except OSError as error:
                raise InvalidArgumentError(
                    f"{self._name}: elements {begin} to {end} cannot be read, the file is damaged or cut short: {error}"
                ) from error
        values = np.empty(end - begin, dtype=self.dtype)
        target = values.view(np.uint8).data
        item = values.itemsize
        at = begin
        while at < end:
            chunk = at // self._chunk_elements
            inside = at - chunk * self._chunk_elements
            last = chunk
            # Chunks that follow one another in the file are one read.
            while (last + 1) * self._chunk_elements < end and self._adjoin(last):
                last += 1
            stop = min(end, (last + 1) * self._chunk_elements)
            self._read_into(
                target[(at - begin) * item : (stop - begin) * item], int(self._offsets[chunk]) + inside * item
            )
            at = stop
        return values

    def _adjoin(self, chunk: int) -> bool:
        assert self._offsets is not None
        bytes_of_chunk = self._chunk_elements * self.dtype.itemsize
        return bool(self._offsets[chunk + 1] == self._offsets[chunk] + bytes_of_chunk)

    def _read_into(self, target: memoryview, offset: int) -> None:
        done = 0
        while done < len(target):
            n_bytes = os.preadv(self._descriptor, [target[done:]], offset + done)
            if n_bytes == 0:
                raise InvalidArgumentError(
                    f"{self._name}: the file ends at byte {offset + done}, before the array does"
                )
            done += n_bytes


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
    (chunk_elements,) = dataset.chunks
    offsets = np.full(-(-len(dataset) // chunk_elements), -1, dtype=np.int64)

    def place(chunk: h5py.h5d.StoreInfo) -> None:
        if chunk.chunk_offset[0] < len(dataset) and not chunk.filter_mask:
            offsets[chunk.chunk_offset[0] // chunk_elements] = chunk.byte_offset

    identifier.chunk_iter(place)
    # A chunk that was never written is fill values.
    return None if bool(np.any(offsets < 0)) else (chunk_elements, offsets)
