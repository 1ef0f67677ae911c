"""Ranges of rows of any Zarr v3 array, in one call: what homeobox uses inside, for arrays of your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from homeobox import _core
from homeobox.errors import InvalidArgumentError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["RustShardReader", "ShardReader"]


class ShardReader:
    """Reads many ranges of rows of one array at once.

    Stage: experimental.

    Parameters
    ----------
    array : zarr.Array, _core.Array or (store, path)
        A Zarr v3 array, sharded or not. One of zarr-python may lie in a LocalStore, an ObjectStore or a MemoryStore,
        whose objects are copied now. `store` is a path, an obstore store or a store of the core, `path` the array's
        place in it.

    Raises
    ------
    NotFoundError
        There is no array at `path`.
    UnsupportedError
        A codec, dtype or store that is not known here, or Zarr v2; the message names it.
    InvalidArgumentError
        `array` is something else.

    Notes
    -----
    May be used from several threads. Indexes of shards are read at their first use and kept, so an array that is
    written anew needs a new reader.

    Examples
    --------
    >>> import numpy as np, zarr
    >>> array = zarr.create_array({}, data=np.arange(100), chunks=(10,), shards=(50,))
    >>> values, lengths = ShardReader(array).read_ranges([95, 3], [100, 5])
    >>> values.tolist()
    [95, 96, 97, 98, 99, 3, 4]
    >>> lengths.tolist()
    [5, 2]
    """

    def __init__(self, array: Any) -> None:
        self._array = _open(array)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        """Of the array."""
        return np.dtype(self._array.dtype)

    def read_ranges(self, starts: ArrayLike, ends: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Rows of the half-open ranges, one range after another, in the order asked.

        Parameters
        ----------
        starts, ends : integers, shape (n_ranges,)
            Rows are positions on axis 0. Any order, overlaps allowed. A range that does not end behind its start is
            empty.

        Returns
        -------
        values : ndarray of the array's dtype, shape (sum(lengths), *shape[1:])
            In native byte order; flat for a one-dimensional array.
        lengths : ndarray of int64, shape (n_ranges,)
            Rows of each range.

        Raises
        ------
        OutOfRangeError
            A range leaves the array.
        InvalidArgumentError
            Not integers, not one-dimensional, or of different lengths.
        CorruptDataError
            A chunk cannot be decoded; the message names array, shard and chunk.

        Notes
        -----
        Each touched chunk is fetched and decoded once, in parallel and without the GIL; from a bucket in about one
        request per touched shard.
        """
        begins, stops = _positions("starts", starts), _positions("ends", ends)
        if len(begins) != len(stops):
            raise InvalidArgumentError(
                f"as many ends as starts expected, found {len(stops)} ends and {len(begins)} starts"
            )
        empty = stops <= begins
        begins, stops = np.where(empty, 0, begins), np.where(empty, 0, stops)
        return self._array.read_ranges(begins, stops), stops - begins

    def __repr__(self) -> str:
        return f"ShardReader({self._array.path!r}, shape {self.shape}, {self.dtype})"


# The name that the description of homeobox 0.2.2 has for it.
RustShardReader = ShardReader


def _positions(name: str, values: ArrayLike) -> NDArray[np.int64]:
    positions = np.asarray(values)
    if positions.ndim != 1:
        raise InvalidArgumentError(f"{name}: one dimension expected, found {positions.ndim}")
    if positions.size and positions.dtype.kind not in "iu":
        raise InvalidArgumentError(f"{name}: integers expected, found {positions.dtype}")
    if positions.dtype == np.uint64 and positions.size and positions.max() > np.iinfo(np.int64).max:
        raise InvalidArgumentError(f"{name}: {positions.max()} is beyond any array")
    return np.ascontiguousarray(positions, dtype=np.int64)


def _open(array: Any) -> _core.Array:
    if isinstance(array, _core.Array):
        return array
    if isinstance(array, tuple) and len(array) == 2:
        store, path = array
        return _core.Array.open(_core_store(store), str(path))
    location = getattr(array, "store_path", None)
    if location is None or not hasattr(array, "metadata"):
        raise InvalidArgumentError(
            f"array: an array of zarr-python or of the core, or (store, path) expected, found {type(array).__name__}"
        )
    if array.metadata.zarr_format != 3:
        raise UnsupportedError(f"array: Zarr v3 expected, found v{array.metadata.zarr_format}")
    return _core.Array.open(_store_of_zarr(location.store, location.path), location.path)


def _core_store(store: Any) -> _core.Store:
    if isinstance(store, _core.Store):
        return store
    if isinstance(store, str | Path):
        return _core.FileStore(str(store))
    if not type(store).__module__.startswith("obstore"):
        raise InvalidArgumentError(
            f"array: a path, an obstore store or a store of the core expected, found {type(store).__name__}"
        )
    if type(store).__name__ == "LocalStore" and store.prefix is not None:
        return _core.FileStore(str(store.prefix))  # maps files instead of reading them
    return _core.ObstoreStore(store)


def _store_of_zarr(store: Any, path: str) -> _core.Store:
    from zarr.storage import LocalStore, MemoryStore, ObjectStore

    if isinstance(store, LocalStore):
        return _core.FileStore(str(store.root))
    if isinstance(store, ObjectStore):
        return _core_store(store.store)
    if isinstance(store, MemoryStore):
        return _copied(store, path)
    raise UnsupportedError(
        f"array: a LocalStore, ObjectStore or MemoryStore of zarr-python expected, found {type(store).__name__}"
    )


def _copied(store: Any, path: str) -> _core.MemoryStore:
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    copy = _core.MemoryStore()

    async def copy_objects() -> None:
        async for key in store.list_prefix(f"{path}/" if path else ""):
            value = await store.get(key, default_buffer_prototype())
            copy.write(key, value.to_bytes())

    sync(copy_objects())
    return copy
