"""Which store of the core a group lies in that the user opened by other means."""

from __future__ import annotations

from typing import Any

from homeobox import _core
from homeobox.catalog.array_store import adopt_store
from homeobox.errors import InvalidArgumentError, UnsupportedError


def store_of(group: Any) -> tuple[_core.Store, str]:
    """Store and path of a group.

    Parameters
    ----------
    group : zarr.Group or (store, path)
        A group of zarr-python in a LocalStore or an ObjectStore; or a store as `RaggedAtlas.open` takes it, and the
        group's path in it.

    Raises
    ------
    UnsupportedError
        A group in another store.
    InvalidArgumentError
        Something else.
    """
    if isinstance(group, tuple) and len(group) == 2:
        store, path = group
        return adopt_store(store)[0], str(path)
    location = getattr(group, "store_path", None)
    if location is None:
        raise InvalidArgumentError(f"group: a zarr.Group or (store, path) expected, found {type(group).__name__}")
    from zarr.storage import LocalStore, ObjectStore

    if isinstance(location.store, LocalStore):
        return _core.FileStore(str(location.store.root)), location.path
    if isinstance(location.store, ObjectStore):
        return adopt_store(location.store.store)[0], location.path
    raise UnsupportedError(
        f"group: a LocalStore or an ObjectStore of zarr-python expected, found {type(location.store).__name__}"
    )


def inside(path: str, name: str) -> str:
    """Path of an array of the group at `path`, which may be the root."""
    return f"{path}/{name}" if path else name
