"""What pruning would remove: snapshots that are not kept, table versions that nobody needs, and the groups that only
they point to."""

from __future__ import annotations

import datetime
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import SupportsIndex

from homeobox.catalog import Catalog, Table
from homeobox.catalog.table_versions import bytes_of_versions, version_numbers, versions_superseded
from homeobox.errors import InvalidArgumentError
from homeobox.schema import AtlasVersionRecord

_MANIFEST = "/.hox-manifest"

#: A number of snapshots, a list of numbers or names, or "all".
Keep = SupportsIndex | str | Sequence[int | str]


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


def records_to_drop(catalog: Catalog, keep: Keep) -> list[AtlasVersionRecord]:
    """The snapshots that `keep` does not name. The newest always stays, so that no number is given twice.

    Raises
    ------
    InvalidArgumentError
        `keep` is none of the three.
    VersionNotFoundError
        It names a snapshot that does not exist.
    """
    records = catalog.versions.records()
    if isinstance(keep, str):
        if keep != "all":
            raise InvalidArgumentError(f"keep is a number of snapshots, a list of them, or 'all', found {keep!r}")
        return []
    n_kept = _as_number(keep)
    if n_kept is not None:
        if isinstance(keep, bool) or n_kept < 1:
            raise InvalidArgumentError(f"keep must be at least 1, since the newest snapshot stays, found {keep!r}")
        return records[:-n_kept]
    if not isinstance(keep, Iterable):
        raise InvalidArgumentError(f"keep is a number of snapshots, a list of them, or 'all', found {keep!r}")
    kept = {catalog.versions.find(which).version for which in keep}
    return [record for record in records[:-1] if record.version not in kept]


def _as_number(keep: Keep) -> int | None:
    try:
        return operator.index(keep)  # type: ignore[arg-type]
    except TypeError:
        return None


def plan_prune(catalog: Catalog, drop: Iterable[AtlasVersionRecord], min_age: datetime.timedelta) -> PruneReport:
    """What can go once the snapshots `drop` are forgotten. Removes nothing.

    A table version goes if no other snapshot has it and it has not been the latest for `min_age`: whoever began to
    read or to record it before that is taken to have finished. A group goes if no version of the cell table that stays
    points to it.
    """
    dropped = {record.version: record for record in drop}
    kept = [record for record in catalog.versions.records() if record.version not in dropped]
    names = catalog.versions.names()
    report = PruneReport(snapshots={version: names.get(version) for version in dropped})
    recorded = _recorded_versions(kept)
    for name in _table_names(catalog, [*kept, *dropped.values()]):
        table = Table.open(catalog.location, name)
        versions = versions_superseded(table, min_age) - recorded.get(name, set())
        if versions:
            report.table_versions[name] = sorted(versions)
            report.table_bytes += bytes_of_versions(table, sorted(versions))
    report.groups = _unneeded_groups(catalog, report.table_versions, [*kept, *dropped.values()])
    return report


def _recorded_versions(records: Iterable[AtlasVersionRecord]) -> dict[str, set[int]]:
    recorded: dict[str, set[int]] = {}
    for record in records:
        pinned = [
            (record.cell_table_name, record.cell_table_version),
            (record.dataset_table_name, record.dataset_table_version),
            *record.registries.values(),
        ]
        for name, version in pinned:
            recorded.setdefault(name, set()).add(version)
        recorded.setdefault("_feature_layouts", set()).add(record.feature_layouts_table_version)
    return recorded


def _table_names(catalog: Catalog, records: Iterable[AtlasVersionRecord]) -> list[str]:
    """Every table of the atlas, those that only a snapshot names too."""
    notes = catalog.versions.notes.table
    own = [*catalog.tables, catalog.versions.table, *([notes] if notes is not None else [])]
    existing = set(catalog.location.table_names())
    return sorted(({table.name for table in own} | set(_recorded_versions(records))) & existing)


def _unneeded_groups(
    catalog: Catalog, going: dict[str, list[int]], records: Iterable[AtlasVersionRecord]
) -> dict[str, int]:
    """Groups that are there, that an ingest made or a dataset row once named, and that nothing that stays needs."""
    sizes: dict[str, int] = {}
    finished = set()
    objects = catalog.store.list("")
    for key, _ in objects:
        if key.endswith(_MANIFEST):
            finished.add(key.removesuffix(_MANIFEST))
    candidates = finished | _groups_ever_named(catalog, records)
    # A row of the latest state may be of an ingest that has not committed yet.
    needed = _groups_that_stay(catalog, going, records) | set(catalog.datasets.by_group())
    for group in candidates:
        if not any(_is_same_or_around(group, other) or _is_same_or_around(other, group) for other in needed):
            sizes[group] = 0
    for key, n_bytes in objects:
        for group in _prefixes(key):
            if group in sizes:
                sizes[group] += n_bytes
    return {group: n_bytes for group, n_bytes in sorted(sizes.items()) if n_bytes}


def _is_same_or_around(outer: str, inner: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}/")


def _prefixes(key: str) -> list[str]:
    parts = key.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _groups_that_stay(catalog: Catalog, going: dict[str, list[int]], records: Iterable[AtlasVersionRecord]) -> set[str]:
    groups: set[str] = set()
    for table in _existing_tables(catalog, {catalog.cells.table.name, *(r.cell_table_name for r in records)}):
        for version in version_numbers(table):
            if version not in going.get(table.name, []):
                groups |= catalog.cell_groups.of(table.at(version).dataset)
    return groups


def _groups_ever_named(catalog: Catalog, records: Iterable[AtlasVersionRecord]) -> set[str]:
    """Groups of 0.2.2 have no manifest, but each had a dataset row."""
    groups: set[str] = set()
    for table in _existing_tables(catalog, {catalog.datasets.table.name, *(r.dataset_table_name for r in records)}):
        for version in version_numbers(table):
            groups |= set(table.at(version).scan(["zarr_group"])["zarr_group"].to_pylist())
    return groups - {""}


def _existing_tables(catalog: Catalog, names: set[str]) -> list[Table]:
    # Only a snapshot that nobody can open any more has others.
    existing = names & set(catalog.location.table_names())
    return [Table.open(catalog.location, name) for name in sorted(existing)]
