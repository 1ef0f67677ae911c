"""Opening HDF5 files, with messages that say what is wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from homeobox.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    import h5py


def open_hdf5(path: Path) -> h5py.File:
    """Open for reading.

    Raises
    ------
    NotFoundError
        There is no such file.
    InvalidArgumentError
        It is not HDF5, is cut short, is being written, or must not be read.
    """
    try:
        import h5py
    except ImportError:
        raise InvalidArgumentError("reading HDF5 files needs h5py: pip install 'homeobox[io]'") from None
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InvalidArgumentError(f"{path} {_reason(error)}: {error}") from error


def _reason(error: OSError) -> str:
    """h5py says what is wrong with a file by a number of the system or by words of HDF5 only."""
    if isinstance(error, PermissionError):
        return "must not be read by this user"
    if isinstance(error, BlockingIOError):
        return "is being written by another process"
    return "is cut short" if "truncated" in str(error) else "is not an HDF5 file, or is damaged"
