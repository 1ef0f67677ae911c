"""The objects of a feature-major copy in the manifest of its group, which an ingest wrote before there was a copy."""

from __future__ import annotations

from homeobox import _core
from homeobox.ingest.manifest_update import StoredObject, update_manifest


def is_listed(store: _core.Store, group: str, layer: str) -> bool:
    """Whether the manifest lists the copy of a layer; groups of 0.2.2 have no manifest, and then there is no more to
    list."""
    manifest = _core.read_manifest(store, group)
    return manifest is None or f"{group}/csc/layers/{layer}/zarr.json" in {key for key, _, _ in manifest}


def list_copy(store: _core.Store, group: str, written: list[StoredObject], *, must_exist: bool = False) -> None:
    """Write the manifest anew, with the objects of all whole arrays of the copy; for those not `written` just now nor
    listed, which an earlier writer left, sizes and checksums are taken from what is stored. Errors as
    :func:`update_manifest`."""

    def with_copy(objects: dict[str, StoredObject]) -> list[StoredObject]:
        objects.update((entry[0], entry) for entry in written)
        for key in _keys_of_whole_arrays(store, f"{group}/csc"):
            if key not in objects and (content := store.read(key)) is not None:
                objects[key] = (key, len(content), _core.crc32c(content))
        return list(objects.values())

    update_manifest(store, group, with_copy, must_exist=must_exist)


def _keys_of_whole_arrays(store: _core.Store, copy: str) -> list[str]:
    """An array without its document is not finished; its objects are nobody's yet."""
    keys = {key for key, _ in store.list(f"{copy}/")}
    documents = [key for key in keys if key.endswith("/zarr.json")]
    groups = {f"{copy}/zarr.json", f"{copy}/layers/zarr.json"}
    arrays = tuple(f"{document.removesuffix('zarr.json')}c/" for document in documents if document not in groups)
    return sorted(key for key in keys if key in documents or key.startswith(arrays))
