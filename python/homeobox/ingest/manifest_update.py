"""The manifest of a finished group, written anew by one at a time: layers and copies may be added to it at once.

Each who adds something reads the manifest, merges its own objects, and writes it. Without a claim on that, of two that
do so at once the first would be lost: its arrays whole, but not listed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from homeobox import _core
from homeobox.errors import ConflictError
from homeobox.ingest.group_claim import GroupClaim, claim_group
from homeobox.ingest.nesting import MANIFEST, MANIFEST_UPDATE

StoredObject = tuple[str, int, int]

# An update takes about as many requests as fingers; whoever waits this long waits for something else.
_WAIT_S = 60.0


class ManifestGoneError(ConflictError):
    """A group that had a manifest has none: somebody removed it, and nothing can be listed any more."""


def has_manifest(store: _core.Store, group: str) -> bool:
    """Whether a finished group has one; those of 0.2.2 do not."""
    return store.size(f"{group}/{MANIFEST}") is not None


def update_manifest(
    store: _core.Store,
    group: str,
    merged: Callable[[dict[str, StoredObject]], list[StoredObject]],
    *,
    must_exist: bool = False,
) -> None:
    """Replace the manifest by what `merged` makes of its entries, by key; waits for others that do so now.

    Where a group has none, as those of 0.2.2, there is nothing to do, unless it `must_exist` because it was there
    before. `merged` may be costly and may write nothing.

    Raises
    ------
    ConflictError
        Others hold the manifest, or the group, for a minute.
    ManifestGoneError
        There is none although there must be, or it went while it was waited for.
    """
    if not must_exist and not has_manifest(store, group):
        return
    with _claim(store, group) as claim:
        manifest = _core.read_manifest(store, group)
        if manifest is None:
            raise ManifestGoneError(f"the manifest of zarr group '{group}' is gone: the group was removed meanwhile")
        objects = merged({entry[0]: entry for entry in manifest})
        claim.confirm()
        _core.write_manifest(store, group, objects)


def _claim(store: _core.Store, group: str) -> GroupClaim:
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            return claim_group(store, f"{group}/{MANIFEST_UPDATE}", lambda: None)
        except ConflictError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.01, 0.1))
