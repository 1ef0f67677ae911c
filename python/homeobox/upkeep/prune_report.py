"""What pruning removes, as it is shown to whoever decides."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class PruneReport:
    """What pruning removes, or removed.

    Attributes
    ----------
    snapshots : dict
        Number -> name (or None) of the snapshots that go.
    groups : dict
        Path -> bytes of the groups of arrays that go.
    table_versions : dict
        Table -> its Lance versions that go.
    table_bytes : int
        What the files of these versions take that no other version needs; while the snapshots are there, an estimate.
    removed : bool
        Whether it was done.
    """

    snapshots: dict[int, str | None] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    table_versions: dict[str, list[int]] = field(default_factory=dict)
    table_bytes: int = 0
    removed: bool = False

    @property
    def bytes(self) -> int:
        """All bytes together."""
        return sum(self.groups.values()) + self.table_bytes

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not (self.snapshots or self.groups or any(self.table_versions.values()))

    def __str__(self) -> str:
        n_versions = sum(len(versions) for versions in self.table_versions.values())
        snapshots = ", ".join(f"{n} ({name})" if name else str(n) for n, name in self.snapshots.items())
        lines = [
            f"{'removed' if self.removed else 'to remove'}: {_size(self.bytes)}",
            f"  snapshots: {snapshots or 'none'}",
            f"  groups of arrays: {len(self.groups)}, {_size(sum(self.groups.values()))}",
            *(f"    {group} ({_size(n_bytes)})" for group, n_bytes in list(self.groups.items())[:20]),
            *(["    ..."] if len(self.groups) > 20 else []),
            f"  table versions: {n_versions}, {_size(self.table_bytes)}",
        ]
        return "\n".join(lines)


def _size(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
