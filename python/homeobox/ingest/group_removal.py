"""Removing a group: everything below it but what is another dataset's, in an order that a crash cannot spoil."""

from __future__ import annotations

from homeobox import _core
from homeobox.ingest.claim import cleaning_key
from homeobox.ingest.nesting import MANIFEST, MARKER, groups_below, is_part


def remove_objects(store: _core.Store, group: str) -> None:
    """Everything below the group but its markers and other datasets' groups, which atlases of before may have there.

    The manifest goes last: with neither it nor a claim nobody could tell any more whose the rest was.
    """
    marker = marker_key(group)
    keys = [key for key, _ in store.list(f"{group}/")]
    of_others = tuple(f"{other}/" for other in groups_below(group, keys) if not _is_own(store, other, group))
    manifest = f"{group}/{MANIFEST}"
    for key in sorted(keys, key=lambda key: key == manifest):
        if key not in (marker, cleaning_key(marker)) and not key.startswith(of_others):
            store.remove(key)


def marker_key(group: str) -> str:
    """Of the claim on a group."""
    return f"{group}/{MARKER}"


def _is_own(store: _core.Store, other: str, group: str) -> bool:
    return is_part(other, group) and store.size(f"{other}/{MANIFEST}") is None
