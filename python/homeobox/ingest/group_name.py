"""Names of groups: which are allowed, and which are taken by another dataset."""

from __future__ import annotations

import re
from collections.abc import Iterable

from homeobox.errors import InvalidArgumentError

# No path separators of other systems, no control characters, no halves of characters, nothing that a shell or a URL
# takes apart.
_FORBIDDEN = re.compile(r'[\\\x00-\x1f\x7f\ud800-\udfff?#*:"<>|]')


# What file systems take as the name of a folder.
_MAX_BYTES = 255


def check_group_name(name: str, argument: str = "zarr_group") -> None:
    """Refuse a name of a group or layer that would lead out of the store, hide, or collide with Zarr's own names.

    Raises
    ------
    InvalidArgumentError
        Says which part of the name is wrong.
    """
    if not name:
        raise InvalidArgumentError(f"{argument} is empty; it names a folder of arrays")
    if _FORBIDDEN.search(name):
        raise InvalidArgumentError(f"{argument} {name!r} holds a character that paths and URLs cannot carry")
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise InvalidArgumentError(f"{argument} {name!r}: '{part}' is not a folder name")
        if part.startswith((".", "__")) or part == "zarr.json" or part != part.strip():
            raise InvalidArgumentError(
                f"{argument} {name!r}: the folder name {part!r} is reserved or starts with a space"
            )
        n_bytes = len(part.encode())
        if n_bytes > _MAX_BYTES:
            raise InvalidArgumentError(
                f"{argument} {name[:40]!r}...: a folder name of {n_bytes} bytes, at most {_MAX_BYTES} expected"
            )


def check_not_nested(name: str, others: Iterable[str]) -> None:
    """Refuse a group that would lie inside another dataset's group, or around it.

    Raises
    ------
    InvalidArgumentError
        Names the other group.
    """
    for other in others:
        if name.startswith(f"{other}/"):
            raise InvalidArgumentError(f"zarr_group '{name}' would lie inside the group '{other}' of another dataset")
        if other.startswith(f"{name}/"):
            raise InvalidArgumentError(f"zarr_group '{name}' would enclose the group '{other}' of another dataset")
