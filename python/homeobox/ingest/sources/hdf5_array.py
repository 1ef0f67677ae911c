"""Ranges of a one-dimensional HDF5 dataset, past HDF5 where its bytes lie in the file as they are.

Most h5ad files are written without compression, and then the chunks are plain bytes at known places, most of them one
after another. Such a range is read from the descriptor that HDF5 has open, into memory that is used again; HDF5 would
copy it through its chunk cache under one lock. The file is not opened by name, which may be another file's by now, and
not mapped: a map of a file that is cut short kills the process.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from homeobox import _core
from homeobox.errors import InvalidArgumentError

if TYPE_CHECKING:
    import h5py


class Hdf5Array:
    """Reads element ranges; one thread at a time.

    Raises
    ------
    InvalidArgumentError
        The file ends before the array does, or was closed.
    """

    def __init__(self, dataset: h5py.Dataset, name: str) -> None:
        self._dataset = dataset
        self._name = name
        self._buffers = [np.empty(0, dtype=self.dtype) for _ in range(2)]
        plain = _plain_chunks(dataset)
        self._layout: _core.FileLayout | None = None
        if plain is not None:
            chunk_elements, offsets = plain
            native = self.dtype.newbyteorder("=")  # what is read is not interpreted
            self._layout = _core.FileLayout(name, native.name, len(self), chunk_elements, offsets)
            self._check_length(offsets, chunk_elements)
        self._state = _state_of_file(dataset)

    def __len__(self) -> int:
        return int(self._dataset.shape[0])

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self._dataset.dtype)

    @property
    def is_packed(self) -> bool:
        """Whether the chunks pass through filters."""
        return bool(self._dataset.id.get_create_plist().get_nfilters())

    @property
    def is_plain(self) -> bool:
        """Whether the bytes lie in the file as they are, so that the array can be opened."""
        return self._layout is not None

    def open(self) -> _core.FileArray:
        """The array in the file that HDF5 has open, whatever becomes of its name; of plain arrays. In the byte order
        of the file."""
        assert self._layout is not None
        try:
            descriptor = self._dataset.file.id.get_vfd_handle()
        except (ValueError, RuntimeError) as error:
            raise InvalidArgumentError(f"{self._name}: the file cannot be read, was it closed? {error}") from error
        return self._layout.open(descriptor)

    def read(self, begin: int, end: int, slot: int = 0) -> np.ndarray:
        """Elements ``[begin, end)`` in the byte order of the file; valid until the next call for the same slot of 0
        and 1."""
        if not self.is_plain:
            try:
                return np.asarray(self._dataset[begin:end])
            except OSError as error:
                raise InvalidArgumentError(
                    f"{self._name}: elements {begin} to {end} cannot be read, the file is damaged or cut short: {error}"
                ) from error
        n_elements = end - begin
        if len(self._buffers[slot]) < n_elements:
            # Blocks are of about one size: room for the largest at once, not for each that is a little larger.
            room = min(len(self), 1 << (n_elements - 1).bit_length())
            self._buffers[slot] = np.empty(room, dtype=self.dtype)
        values = self._buffers[slot][:n_elements]  # memory in use, which need not be cleared by the kernel again
        self.open().read_into(begin, values.view(self.dtype.newbyteorder("=")))
        return values

    def check_unchanged(self) -> None:
        """Refuse a file that somebody wrote to since this was made: what was checked in one reading is not what the
        next one gives.

        Raises
        ------
        InvalidArgumentError
            The file's size or time of change is another.
        """
        if _state_of_file(self._dataset) != self._state:
            raise InvalidArgumentError(f"{self._name}: the file was changed while it was being read")

    def _check_length(self, offsets: np.ndarray, chunk_elements: int) -> None:
        last = int(np.argmax(offsets))
        n_elements = min(chunk_elements, len(self) - last * chunk_elements)
        end = int(offsets[last]) + n_elements * self.dtype.itemsize
        n_bytes = os.fstat(self._dataset.file.id.get_vfd_handle()).st_size
        if n_bytes < end:
            raise InvalidArgumentError(
                f"{self._name}: the file ends at byte {n_bytes}, but the array goes on to byte {end}"
            )


def _state_of_file(dataset: h5py.Dataset) -> tuple[int, int] | None:
    """Size and time of the last change, of a file on a local disk."""
    file = dataset.file
    if file.driver != "sec2":
        return None
    status = os.fstat(file.id.get_vfd_handle())
    return status.st_size, status.st_mtime_ns


def _plain_chunks(dataset: h5py.Dataset) -> tuple[int, np.ndarray] | None:
    """Elements of a chunk and the place of each chunk in the file; None where HDF5 has to interpret the bytes."""
    file, identifier = dataset.file, dataset.id
    if file.driver != "sec2" or file.userblock_size or file.mode != "r" or not len(dataset):
        return None
    if dataset.dtype.kind not in "iuf" or dataset.id.get_create_plist().get_nfilters() or dataset.external:
        return None
    stored = identifier.get_type()
    if not hasattr(stored, "get_precision") or stored.get_precision() != 8 * dataset.dtype.itemsize:
        return None
    # Chunks that were never written are fill values; there may be billions of them in a small file.
    if dataset.is_virtual or identifier.get_storage_size() < len(dataset) * dataset.dtype.itemsize:
        return None
    if dataset.chunks is None:
        offset = identifier.get_offset()
        return None if offset is None else (len(dataset), np.array([offset], dtype=np.int64))
    if not hasattr(identifier, "chunk_iter"):  # HDF5 before 1.12.3
        return None
    (chunk_elements,), n_elements = dataset.chunks, len(dataset)
    offsets = np.full(-(-n_elements // chunk_elements), -1, dtype=np.int64)

    def place(chunk: h5py.h5d.StoreInfo) -> None:
        lies_in_a_file = chunk.byte_offset < 1 << 62
        if chunk.chunk_offset[0] < n_elements and not chunk.filter_mask and lies_in_a_file:
            offsets[chunk.chunk_offset[0] // chunk_elements] = chunk.byte_offset

    identifier.chunk_iter(place)
    return None if bool(np.any(offsets < 0)) else (chunk_elements, offsets)
