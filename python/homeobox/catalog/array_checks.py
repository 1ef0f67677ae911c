"""Checks of stored arrays that read every byte: manifests, checksums, and the codes of features.

Each check reports and goes on; memory is that of one shard and of one piece of an array.
"""

import json
from collections.abc import Iterator

import numpy as np

from homeobox import _core
from homeobox.errors import HomeoboxError

_PIECE_BYTES = 8 << 20
_MAX_FAULTS_OF_ARRAY = 5
_OWN_PREFIX = ".hox-"


def check_objects(store: _core.Store, group: str) -> Iterator[str]:
    """Every object of a group against its manifest: there, of its size, of its checksum; and none beside it.

    Groups of 0.2.2 have no manifest, and nothing to be held against.
    """
    manifest = _core.read_manifest(store, group)
    if manifest is None:
        return
    for key, n_bytes, crc32c in manifest:
        try:
            content = store.read(key)
        except HomeoboxError as error:
            yield f"object '{key}' cannot be read: {error}"
            continue
        if content is None:
            yield f"object '{key}' is missing"
        elif len(content) != n_bytes:
            yield f"object '{key}' has {len(content)} bytes, its manifest says {n_bytes}"
        elif _core.crc32c(content) != crc32c:
            yield f"object '{key}' does not have the checksum of its manifest"
    listed = {key for key, _, _ in manifest}
    chunks_of_listed = tuple(key.removesuffix("zarr.json") + "c/" for key in listed if key.endswith("/zarr.json"))
    for key, _ in store.list(f"{group}/"):
        if key not in listed and key.startswith(chunks_of_listed):
            yield f"object '{key}' lies in an array of the manifest, which does not list it"


def check_contents(store: _core.Store, group: str, index_arrays: dict[str, int]) -> Iterator[str]:
    """Every array of a group, decoded as a whole.

    Parameters
    ----------
    index_arrays : dict
        Path below the group of arrays that hold indices -> what they must stay below.
    """
    names = _array_names(store, group)
    opened = _core.Group.open(store, group)
    for name in names:
        try:
            array = opened.open_array(name)
        except HomeoboxError as error:
            yield f"array '{name}' cannot be opened: {error}"
            continue
        yield from _check_array(array, name, index_arrays.get(name))


def _array_names(store: _core.Store, group: str) -> list[str]:
    """Arrays whose documents are there; one that is not JSON is an array to complain about."""
    names = []
    for key, _ in store.list(f"{group}/"):
        name, _, last = key.removeprefix(f"{group}/").rpartition("/")
        if last == "zarr.json" and name and not name.startswith(_OWN_PREFIX):
            try:
                node = json.loads(store.read(key) or b"")
            except ValueError:
                node = None
            if not isinstance(node, dict) or node.get("node_type") != "group":
                names.append(name)
    return names


def _check_array(array: _core.Array, name: str, bound: int | None) -> Iterator[str]:
    shape = array.shape
    n_rows = shape[0] if shape else 0
    row_bytes = max(int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(array.dtype).itemsize, 1)
    piece = max(_PIECE_BYTES // row_bytes, 1)
    n_faults = 0
    for begin in range(0, n_rows, piece):
        end = min(begin + piece, n_rows)
        try:
            values = array.read([begin, *[0] * (len(shape) - 1)], [end, *shape[1:]])
        except HomeoboxError as error:
            fault: str | None = f"array '{name}': {error}"
        else:
            fault = _out_of_bound(values, name, begin, bound)
        if fault is not None:
            n_faults += 1
            if n_faults > _MAX_FAULTS_OF_ARRAY:
                yield f"array '{name}': more faults follow"
                return
            yield fault


def _out_of_bound(values: np.ndarray, name: str, begin: int, bound: int | None) -> str | None:
    if bound is None or not values.size or int(values.max()) < bound:
        return None
    return f"array '{name}': {int(values.max())} among elements {begin} to {begin + len(values)}, must be below {bound}"
