"""What a stored group holds, from its metadata documents alone."""

import json
from typing import TYPE_CHECKING, Any

from homeobox.errors import CorruptDataError

if TYPE_CHECKING:
    from homeobox import _core

_KIND_LETTERS = {"bool": "b", "int": "i", "uint": "u", "float": "f", "complex": "c"}


class StoredGroup:
    """A group of the array store, for :meth:`ZarrGroupSpec.validate_group`. Paths are relative to it.

    Parameters
    ----------
    store : _core.Store
        The array store.
    path : str
        Path of the group in it.
    """

    def __init__(self, store: "_core.Store", path: str) -> None:
        self.path = path
        self._store = store

    def exists(self) -> bool:
        """Whether the group itself is stored."""
        return self.is_group("")

    def array(self, path: str) -> tuple[tuple[int, ...], str] | None:
        """(shape, dtype kind letter) of an array, or None where there is none."""
        node = self._node(path)
        if node is None or node.get("node_type") != "array":
            return None
        return tuple(node["shape"]), _KIND_LETTERS.get(str(node["data_type"]).rstrip("0123456789"), "?")

    def is_group(self, path: str) -> bool:
        """Whether a group lies at `path`."""
        node = self._node(path)
        return node is not None and node.get("node_type") == "group"

    def array_names(self, path: str) -> list[str]:
        """Sorted names of the arrays directly inside a group. One listing."""
        prefix = f"{self._key(path)}/"
        names = {
            parts[0]
            for key, _ in self._store.list(prefix)
            if len(parts := key[len(prefix) :].split("/")) == 2 and parts[1] == "zarr.json"
        }
        return sorted(name for name in names if self.array(f"{path}/{name}") is not None)

    def _key(self, path: str) -> str:
        return "/".join(part for part in (self.path, path) if part)

    def _node(self, path: str) -> dict[str, Any] | None:
        key = self._key(f"{path}/zarr.json" if path else "zarr.json")
        text = self._store.read(key)
        if text is None:
            return None
        try:
            node = json.loads(text)
        except ValueError as error:
            raise CorruptDataError(f"'{key}' is not JSON: {error}") from error
        if not isinstance(node, dict):
            raise CorruptDataError(f"'{key}' must hold a JSON object, found {type(node).__name__}")
        return node
