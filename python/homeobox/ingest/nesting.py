"""What lies inside a group: its own parts, added later under claims of their own, or another dataset's group."""

from __future__ import annotations

from collections.abc import Iterable

from homeobox.schema import get_spec, registered_feature_spaces

#: Name of the object that claims the group it lies in.
MARKER = ".hox-ingest"
#: Name of the object that lists a finished group's objects; only groups of datasets have one.
MANIFEST = ".hox-manifest"
#: Path inside a finished group that is claimed by whoever writes its manifest anew.
MANIFEST_UPDATE = ".hox-manifest-update"

_COPY = "csc"


def is_copy(name: str) -> bool:
    """Whether a path inside a group is of its feature-major copy."""
    return name == _COPY or name.startswith(f"{_COPY}/")


def is_part(path: str, group: str) -> bool:
    """Whether a path inside a group is claimed for what is added to it later: a feature-major copy, a layer, or the
    manifest that lists them."""
    name = path.removeprefix(f"{group}/")
    if name == MANIFEST_UPDATE:
        return True
    return name != path and (is_copy(name) or any(name.startswith(f"{folder}/") for folder in _layer_folders()))


def groups_above(path: str) -> list[str]:
    """Every path that `path` lies inside, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def groups_below(group: str, keys: Iterable[str]) -> list[str]:
    """Paths inside a group that have a claim or a manifest of their own among the keys of a listing."""
    paths = {path for path, _, name in (key.rpartition("/") for key in keys) if name in (MARKER, MANIFEST)}
    return sorted(paths - {group})


def _layer_folders() -> set[str]:
    return {spec.layers.path for spec in map(get_spec, registered_feature_spaces())}
