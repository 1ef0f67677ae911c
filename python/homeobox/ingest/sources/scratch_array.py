"""An array in a file without a name, which is gone with the process."""

from __future__ import annotations

import os
import tempfile

import numpy as np

from homeobox.errors import StoreError


class ScratchArray:
    """Grows to whatever is written to it.

    Raises
    ------
    StoreError
        The disk is full, or the directory cannot be written to.
    """

    def __init__(self, dtype: np.dtype, directory: str) -> None:
        self.dtype = dtype
        self._directory = directory
        try:
            self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115  it lives as long as the array
        except OSError as error:
            raise StoreError(f"no scratch file can be made in {directory}: {error}") from error

    def write(self, begin: int, values: np.ndarray) -> None:
        """Elements from `begin` on."""
        content = np.ascontiguousarray(values, dtype=self.dtype).view(np.uint8).data
        done, offset = 0, begin * self.dtype.itemsize
        try:
            while done < len(content):
                done += os.pwrite(self._file.fileno(), content[done:], offset + done)
        except OSError as error:
            raise StoreError(f"scratch file in {self._directory}: {error}") from error

    def read(self, begin: int, end: int) -> np.ndarray:
        """Elements ``[begin, end)``, which were written."""
        values = np.empty(end - begin, dtype=self.dtype)
        target = values.view(np.uint8).data
        done, offset = 0, begin * self.dtype.itemsize
        while done < len(target):
            n_bytes = os.preadv(self._file.fileno(), [target[done:]], offset + done)
            if n_bytes == 0:
                raise StoreError(f"scratch file in {self._directory} ends at byte {offset + done}")
            done += n_bytes
        return values
