"""Ranges of a one-dimensional HDF5 dataset, past HDF5 where its bytes lie in the file as they are.

Most h5ad files are written without compression, and then the chunks are plain bytes at known places, most of them one
after another. Such a range is read from the descriptor that HDF5 has open, into memory that is used again; HDF5 would
copy it through its chunk cache under one lock. The file is not opened by name, which may be another file's by now, and
not mapped: a map of a file that is cut short kills the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
        The file ends before the array does, or was closed.
    """

    def __init__(self, dataset: h5py.Dataset, name: str) -> None:
        self._dataset = dataset
        self._name = name
        self._buffers = [np.empty(0, dtype=self.dtype) for _ in range(2)]
        plain = _plain_chunks(dataset)
        self._is_plain = plain is not None
        if plain is not None:
            self._chunk_elements, self._offsets = plain
            end = int(self._offsets.max()) + self._last_chunk_bytes()
            with self._descriptor() as descriptor:
                n_bytes = os.fstat(descriptor).st_size
            if n_bytes < end:
                raise self._cut_short(n_bytes, end)

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
        if not self._is_plain:
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
        done = 0
        with self._descriptor() as descriptor:
            for offset, n_together in self._pieces(begin, end):
                self._fill(values[done : done + n_together].view(np.uint8), descriptor, offset)
                done += n_together
        return values

    def _fill(self, place: np.ndarray, descriptor: int, offset: int) -> None:
        done = 0
        while done < len(place):
            n_bytes = os.preadv(descriptor, [place[done:].data], offset + done)
            if n_bytes == 0:
                raise self._cut_short(offset + done, offset + len(place))
            done += n_bytes

    @contextmanager
    def _descriptor(self) -> Iterator[int]:
        """Of the file that HDF5 has open; a copy, so that closing the file meanwhile gives its number to no other."""
        try:
            descriptor = os.dup(self._dataset.file.id.get_vfd_handle())
        except (ValueError, RuntimeError, OSError) as error:
            raise InvalidArgumentError(f"{self._name}: the file cannot be read, was it closed? {error}") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

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

    def _cut_short(self, found: int, expected: int) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"{self._name}: the file ends at byte {found}, but the array goes on to byte {expected}"
        )


def _plain_chunks(dataset: h5py.Dataset) -> tuple[int, np.ndarray] | None:
    """Elements of a chunk and the place of each chunk in the file; None where HDF5 has to interpret the bytes."""
    file, identifier = dataset.file, dataset.id
    if (
        not hasattr(os, "preadv")
        or file.driver != "sec2"
        or file.userblock_size
        or file.mode != "r"
        or not len(dataset)
    ):
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
