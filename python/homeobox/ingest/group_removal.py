"""Removing a group: everything below it but what is another dataset's, in an order that a crash cannot spoil."""

from __future__ import annotations

from homeobox import _core
from homeobox.ingest.claim import Claim, is_marker
from homeobox.ingest.nesting import MANIFEST, MARKER, groups_below, is_part


def remove_objects(store: _core.Store, group: str, claim: Claim) -> None:
    """Everything below the group but its markers and other datasets' groups, which atlases of before may have there.

    Metadata goes first: a shard that is missing reads as zeros, an array without metadata cannot be opened. The
    outermost comes before the inner, so that a feature-major copy, which shows by its `indptr`, does not show without
    a layer; and names in descending order, so that `feature_order` never goes before the indices that it renumbers.
    The manifest goes last: with neither it nor a claim nobody could tell any more whose the rest was.

    Raises
    ------
    ConflictError
        The claim under which it is removed was taken over. It is renewed before each object: what another has written
        there since has the same names.
    """
    keys = [key for key, _ in store.list(f"{group}/")]
    of_others = tuple(f"{other}/" for other in groups_below(group, keys) if not _is_own(store, other, group))
    own = [key for key in keys if not is_marker(key, marker_key(group)) and not key.startswith(of_others)]
    metadata = sorted((key for key in own if key.endswith("/zarr.json")), reverse=True)
    metadata.sort(key=lambda key: key.count("/"))
    others = [key for key in own if not key.endswith("/zarr.json")]
    others.sort(key=lambda key: key == f"{group}/{MANIFEST}")
    for key in [*metadata, *others]:
        claim.renew()
        store.remove(key)


def marker_key(group: str) -> str:
    """Of the claim on a group."""
    return f"{group}/{MARKER}"


def _is_own(store: _core.Store, other: str, group: str) -> bool:
    return is_part(other, group) and store.size(f"{other}/{MANIFEST}") is None
