"""The objects of a layer that was added later, in the manifest of its group."""

from __future__ import annotations

from homeobox import _core
from homeobox.ingest.group_claim import MARKER
from homeobox.ingest.manifest_update import StoredObject, update_manifest


def is_listed(store: _core.Store, group: str, path: str) -> bool:
    """Whether the manifest lists the array at `path` of the group; groups of 0.2.2 have none, so nothing is missing."""
    manifest = _core.read_manifest(store, group)
    return manifest is None or f"{group}/{path}/zarr.json" in {key for key, _, _ in manifest}


def list_array(
    store: _core.Store, group: str, path: str, written: list[StoredObject], *, must_exist: bool = False
) -> None:
    """Write the manifest anew with every object of the array; for those not `written` just now, which an earlier
    writer left, sizes and checksums are taken from what is stored. Errors as :func:`update_manifest`."""

    def with_array(objects: dict[str, StoredObject]) -> list[StoredObject]:
        objects.update((entry[0], entry) for entry in written)
        for key, _ in store.list(f"{group}/{path}/"):
            if key not in objects and not key.endswith(MARKER) and (content := store.read(key)) is not None:
                objects[key] = (key, len(content), _core.crc32c(content))
        return list(objects.values())

    update_manifest(store, group, with_array, must_exist=must_exist)
