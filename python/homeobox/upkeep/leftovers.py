"""What writers that died left behind: listed, and removed where nothing records it and nobody works on it."""

from __future__ import annotations

import datetime
import os
import time
from dataclasses import dataclass
from pathlib import Path

from homeobox.catalog import Catalog
from homeobox.catalog.array_store import local_path
from homeobox.catalog.location import url_scheme
from homeobox.catalog.snapshot import groups_of_snapshots
from homeobox.catalog.uncommitted_files import remove_uncommitted_files, uncommitted_files
from homeobox.errors import ConflictError, InvalidArgumentError
from homeobox.ingest.claim import EXPORT_CLAIM, UPKEEP_CLAIM, take_claim
from homeobox.ingest.claim_marker import age_s, is_alive
from homeobox.ingest.csc_manifest import list_copy
from homeobox.ingest.group_claim import (
    MARKER,
    claim_group,
    hold_group,
    markers_among,
)
from homeobox.ingest.layer_manifest import is_listed, list_array
from homeobox.ingest.nesting import MANIFEST_UPDATE, groups_above, is_copy, is_part
from homeobox.ingest.pending import check_unrecorded, groups_of_datasets, remove_pending
from homeobox.ingest.restore_claim import RESTORE_CLAIM
from homeobox.upkeep.recording import RECORD_CLAIM

_TEMPORARY = ".hox-tmp-"
_ATLAS_CLAIMS = (UPKEEP_CLAIM, RESTORE_CLAIM, RECORD_CLAIM, EXPORT_CLAIM)
# Files do not say whose they are, and rows without a claim are of pipelines of the user's own.
_DEAD_AFTER_S = 24 * 3600.0


@dataclass(frozen=True)
class Leftover:
    """Something that a writer has not finished.

    Attributes
    ----------
    path : str
        Group, or file, below the array store; of a "table file", below ``lance_db``.
    kind : str
        "ingest": claim and objects of a group without cells; "claim": a marker on something that is whole;
        "feature-major copy" and "layer": unfinished ones of a group that is whole; "dataset row": one without cells;
        "temporary file"; "table file": one that was written for a commit that never was.
    bytes : int
        What removing it frees.
    age_s : float
        Seconds since its writer showed a sign of life; not a number where it is not known.
    alive : bool
        Whether the writer may still be at work; then :func:`clean` leaves it.
    """

    path: str
    kind: str
    bytes: int
    age_s: float
    alive: bool


def find_leftovers(catalog: Catalog) -> list[Leftover]:
    """Everything unfinished in an atlas, by path. One listing of the array store and one look at each claim."""
    sizes = dict(catalog.store.list(""))
    rows = catalog.datasets.by_group()
    used = catalog.groups_with_cells()
    recorded = groups_of_snapshots(catalog) | used
    markers = markers_among(catalog.store, sizes)
    claims = {marker.path: marker.content for marker in markers if not marker.is_cleaner}
    known = set(rows) | recorded
    found = _atlas_claims(catalog, sizes)
    for marker in markers:
        if marker.is_cleaner and marker.path not in claims:
            alive = is_alive(marker.content)
            found.append(Leftover(marker.path, "claim", sizes[marker.key], age_s(marker.content), alive))
    for path, content in claims.items():
        part = _part_of_group(path, known)
        if part is not None:
            kind = "claim" if part.is_whole(catalog) else part.kind
        else:
            kind = "claim" if path in recorded else "ingest"
        n_bytes = sizes.get(f"{path}/{MARKER}", 0) if kind == "claim" else _bytes_below(sizes, path)
        found.append(Leftover(path, kind, n_bytes, age_s(content), is_alive(content)))
    for group, row in rows.items():
        if group not in used:
            age = _seconds_since(row["created_at"])
            alive = is_alive(claims[group]) if group in claims else not age >= _DEAD_AFTER_S
            found.append(Leftover(group, "dataset row", 0, age, alive))
    somebody_writes = any(is_alive(marker.content) for marker in markers)
    found += [*_temporary_files(catalog), *_table_files(catalog, somebody_writes)]
    return sorted(found, key=lambda leftover: (leftover.path, leftover.kind))


def clean(catalog: Catalog) -> list[Leftover]:
    """Remove the leftovers of dead writers; returns what was removed.

    Nothing that cells point to, now or in a snapshot, and nothing of a living writer is touched: each is asked again
    under a claim of its own. May be stopped and repeated.

    Raises
    ------
    InvalidArgumentError
        The catalog is read-only.
    """
    if catalog.read_only:
        raise InvalidArgumentError(f"cannot clean {catalog.location}: it is checked out and read-only")
    dead = [leftover for leftover in find_leftovers(catalog) if not leftover.alive]
    files = [leftover for leftover in dead if leftover.kind == "table file"]
    gone = remove_uncommitted_files(catalog.location, [file.path for file in files])
    removed = [file for file in files if file.path in gone]
    # Rows last: an unfinished ingest takes its own away, under the claim by which its objects are found.
    for leftover in sorted(dead, key=lambda found: found.kind == "dataset row"):
        if leftover.kind != "table file":
            try:
                if _REMOVE[leftover.kind](catalog, leftover.path):
                    removed.append(leftover)
            except ConflictError:
                pass  # somebody works on it since it was listed
    return removed


def _remove_ingest(catalog: Catalog, group: str) -> bool:
    try:
        with claim_group(
            catalog.store,
            group,
            lambda: check_unrecorded(catalog, group),
            forget_dead=lambda: remove_pending(catalog, group),
            may_be_nested=True,
        ):
            pass
    except InvalidArgumentError:
        return False  # whole after all: then its marker is gone now
    return True


def _remove_claim(catalog: Catalog, path: str) -> bool:
    if path in _ATLAS_CLAIMS:
        take_claim(catalog.store, path, f"claim '{path}' of {catalog.location}", "process").release()
        return True
    part = _part_of_group(path, groups_of_datasets(catalog))
    if part is not None:
        part.list_in_manifest(catalog)  # whoever made it may not have lived to do so
    with hold_group(catalog.store, path):
        pass
    return True


def _remove_part(catalog: Catalog, path: str) -> bool:
    part = _part_of_group(path, groups_of_datasets(catalog))
    if part is None:
        return False  # its group was deleted since it was listed

    def check_missing() -> None:
        if part.is_whole(catalog):
            raise InvalidArgumentError(f"'{path}' is whole")

    try:
        with claim_group(catalog.store, path, check_missing):
            pass
    except InvalidArgumentError:
        return False
    return True


def _remove_row(catalog: Catalog, group: str) -> bool:
    if group not in catalog.datasets.by_group():
        return True  # it went with its ingest
    try:
        with hold_group(catalog.store, group):
            remove_pending(catalog, group)
    except InvalidArgumentError:
        return False  # cells point to it now
    return True


def _remove_file(catalog: Catalog, path: str) -> bool:
    (Path(local_path(catalog.store_uri)) / path).unlink(missing_ok=True)
    return True


_REMOVE = {
    "ingest": _remove_ingest,
    "claim": _remove_claim,
    "feature-major copy": _remove_part,
    "layer": _remove_part,
    "dataset row": _remove_row,
    "temporary file": _remove_file,
}


def _atlas_claims(catalog: Catalog, sizes: dict[str, int]) -> list[Leftover]:
    """Claims on the atlas as a whole. It opens, so an export that left one had finished but for that."""
    found = []
    for key in _ATLAS_CLAIMS:
        content = catalog.store.read(key) if key in sizes else None
        if content is not None:
            found.append(Leftover(key, "claim", sizes[key], age_s(content), is_alive(content)))
    return found


@dataclass(frozen=True)
class _Part:
    """What is added to a group after its ingest, under a claim of its own: there if and only if its document is."""

    group: str
    name: str

    @property
    def kind(self) -> str:
        return "feature-major copy" if self._is_copy else "layer"

    @property
    def _is_copy(self) -> bool:
        return is_copy(self.name)

    def is_whole(self, catalog: Catalog) -> bool:
        if self.name == MANIFEST_UPDATE:
            return True  # a manifest is replaced in one step
        document = "csc/indptr/zarr.json" if self.name == "csc" else f"{self.name}/zarr.json"
        return catalog.store.size(f"{self.group}/{document}") is not None

    def list_in_manifest(self, catalog: Catalog) -> None:
        if self.name == MANIFEST_UPDATE:
            return  # what was to be listed has a claim of its own
        if self._is_copy:
            list_copy(catalog.store, self.group, [])
        elif not is_listed(catalog.store, self.group, self.name):
            list_array(catalog.store, self.group, self.name, [])


def _part_of_group(path: str, groups: set[str]) -> _Part | None:
    """The part that a claimed path is, or None where it is a group of its own."""
    for group in groups_above(path):
        if group in groups and is_part(path, group):
            return _Part(group, path.removeprefix(f"{group}/"))
    return None


def _bytes_below(sizes: dict[str, int], path: str) -> int:
    return sum(n_bytes for key, n_bytes in sizes.items() if key.startswith(f"{path}/"))


def _seconds_since(created_at: str) -> float:
    try:
        moment = datetime.datetime.fromisoformat(created_at)
    except (ValueError, TypeError):
        return float("nan")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(time.time() - moment.timestamp(), 0.0)


def _temporary_files(catalog: Catalog) -> list[Leftover]:
    """Files of the local store that a writer put beside an object and did not live to rename."""
    if url_scheme(catalog.store_uri) not in (None, "file"):
        return []
    root = local_path(catalog.store_uri)
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if name.startswith(_TEMPORARY) and os.path.exists(path):
                status = os.stat(path)
                age = max(time.time() - status.st_mtime, 0.0)
                relative = os.path.relpath(path, root).replace(os.sep, "/")
                found.append(Leftover(relative, "temporary file", status.st_size, age, age < _DEAD_AFTER_S))
    return found


def _table_files(catalog: Catalog, somebody_writes: bool) -> list[Leftover]:
    """Files that no version of a table has. An append may have been at it for long, under the claim of its ingest."""
    notes = catalog.versions.notes.table
    tables = [*catalog.tables, catalog.versions.table, *([notes] if notes is not None else [])]
    return [
        Leftover(file.path, "table file", file.bytes, file.age_s, somebody_writes or file.age_s < _DEAD_AFTER_S)
        for table in tables
        for file in uncommitted_files(catalog.location, table)
    ]
