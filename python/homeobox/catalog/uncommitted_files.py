"""Files of a table that no version of it has: a writer puts its files first and commits them after, or dies in between.

Lance itself removes such files a week later, when old versions are removed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

from homeobox.catalog.array_store import open_store
from homeobox.catalog.location import AtlasLocation
from homeobox.catalog.table_files import files_of_fragments
from homeobox.catalog.table_versions import version_numbers, widest_versions
from homeobox.catalog.tables import Table

_FOLDERS = ("data", "_deletions")


@dataclass(frozen=True)
class UncommittedFile:
    """One of them; `path` is below ``lance_db``, `age_s` the seconds since it was written."""

    path: str
    bytes: int
    age_s: float


def uncommitted_files(location: AtlasLocation, table: Table) -> list[UncommittedFile]:
    """Data files and deletion files that no version of a table has, by path. Those of a writer at work are among them.

    None where a version cannot be read, since it may have any of them.
    """
    # Listed first: what is committed in between is found in a version.
    found = {file.path: file for file in _listed(location, table.name)}
    try:
        for path in files_of_fragments(table):
            found.pop(path, None)
        if found:  # hardly ever, so the older versions are hardly ever read
            for version in widest_versions(table, version_numbers(table)):
                for path in files_of_fragments(table.at(version)):
                    found.pop(path, None)
    except (ValueError, OSError, RuntimeError):
        return []
    return sorted(found.values(), key=lambda file: file.path)


def remove_uncommitted_files(location: AtlasLocation, paths: Iterable[str]) -> set[str]:
    """Remove such files, unless a version has come to have them; returns those removed. Each table is read once."""
    names = {path: path.split(".lance/")[0] for path in paths}
    store = open_store(location.db_uri, location.store_kwargs)
    removed = set()
    for name in sorted(set(names.values())):
        for file in uncommitted_files(location, Table.open(location, name)):
            if file.path in names:
                store.remove(file.path)
                removed.add(file.path)
    return removed


def _listed(location: AtlasLocation, name: str) -> list[UncommittedFile]:
    now = time.time()
    if not location.is_remote:
        found = []
        for folder in _FOLDERS:
            try:
                entries = list(os.scandir(f"{location.table_uri(name)}/{folder}"))
            except FileNotFoundError:
                continue
            for entry in entries:
                if entry.is_file():
                    status = entry.stat()
                    path = f"{name}.lance/{folder}/{entry.name}"
                    found.append(UncommittedFile(path, status.st_size, max(now - status.st_mtime, 0.0)))
        return found
    import obstore  # only an atlas in a bucket pays for it
    from obstore.store import from_url

    store = from_url(location.db_uri, **location.store_kwargs)
    return [
        UncommittedFile(entry["path"], entry["size"], max(now - entry["last_modified"].timestamp(), 0.0))
        for folder in _FOLDERS
        for batch in obstore.list(store, f"{name}.lance/{folder}")
        for entry in batch
    ]
