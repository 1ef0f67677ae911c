"""Opening an atlas and checking it out: the ways to the Catalog of one that exists."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from homeobox.catalog.array_store import adopt_store, find_store, holds_root
from homeobox.catalog.catalog import Catalog
from homeobox.catalog.cells import CellTable
from homeobox.catalog.datasets import DatasetTable
from homeobox.catalog.layouts import LAYOUTS_TABLE, LayoutTable
from homeobox.catalog.location import AtlasLocation, registry_table_name
from homeobox.catalog.registry import Registry
from homeobox.catalog.snapshot_notes import SnapshotNotes
from homeobox.catalog.tables import Table
from homeobox.catalog.versions import VERSIONS_TABLE, VersionTable, WhichSnapshot
from homeobox.errors import NotFoundError
from homeobox.schema import (
    AtlasVersionRecord,
    HoxBaseSchema,
    registered_feature_spaces,
)


class AtlasNotFoundError(NotFoundError, FileNotFoundError):
    """There is no atlas at a location."""


def open_writable(
    location: AtlasLocation,
    cell_table: str,
    cell_schema: type[HoxBaseSchema] | None = None,
    dataset_table: str = "datasets",
    *,
    registry_tables: dict[str, str] | None = None,
    version_table: str = VERSIONS_TABLE,
    store: Any = None,
) -> Catalog:
    """A writable catalog of an existing atlas; it shows the latest state of each table.

    Raises
    ------
    AtlasNotFoundError
        No atlas there.
    TableNotFoundError
        It has no table of a given name.
    TypeError
        `cell_schema` does not fit the cell table; names the column.
    """
    _require_atlas(location)
    cells = CellTable(Table.open(location, cell_table), cell_schema)
    datasets = DatasetTable(Table.open(location, dataset_table))
    versions = open_versions(location, version_table)
    if registry_tables is None:
        registry_tables = _registries_that_exist(location, datasets)
    array_store, store_uri = _existing_store(location, store, versions.recorded_store_uri())
    return Catalog(
        location,
        array_store,
        store_uri,
        cells,
        datasets,
        LayoutTable(Table.open(location, LAYOUTS_TABLE)),
        {space: Registry(space, Table.open(location, name)) for space, name in registry_tables.items()},
        versions,
    )


def _registries_that_exist(location: AtlasLocation, datasets: DatasetTable) -> dict[str, str]:
    existing = set(location.table_names())
    spaces = registered_feature_spaces() | set(datasets.distinct("feature_space"))
    return {s: registry_table_name(s) for s in sorted(spaces) if registry_table_name(s) in existing}


def checkout(
    location: AtlasLocation,
    version: WhichSnapshot,
    cell_schema: type[HoxBaseSchema] | None = None,
    *,
    version_table: str = VERSIONS_TABLE,
    store: Any = None,
) -> Catalog:
    """A read-only catalog in which every table is pinned at what a snapshot recorded.

    Parameters
    ----------
    location : AtlasLocation
        The atlas.
    version : int, str, datetime or date
        The snapshot, as :meth:`VersionTable.find` takes it.

    Raises
    ------
    AtlasNotFoundError
        No atlas there.
    VersionNotFoundError
        No such snapshot.
    TableNotFoundError
        A recorded table version is gone; names it.
    """
    versions = open_versions(location, version_table)
    return _pinned(location, versions, versions.find(version), cell_schema, store)


def checkout_latest(
    location: AtlasLocation,
    cell_schema: type[HoxBaseSchema] | None = None,
    *,
    version_table: str = VERSIONS_TABLE,
    store: Any = None,
) -> Catalog:
    """As :func:`checkout`, at the highest snapshot."""
    versions = open_versions(location, version_table)
    return _pinned(location, versions, versions.latest(), cell_schema, store)


def _pinned(
    location: AtlasLocation,
    versions: VersionTable,
    record: AtlasVersionRecord,
    cell_schema: type[HoxBaseSchema] | None,
    store: Any,
) -> Catalog:
    names = {
        "cells": (record.cell_table_name, record.cell_table_version),
        "datasets": (record.dataset_table_name, record.dataset_table_version),
        "layouts": (LAYOUTS_TABLE, record.feature_layouts_table_version),
        **{f"registry:{space}": pinned for space, pinned in record.registries.items()},
    }
    opened = dict(zip(names, _map_requests(location, lambda n: Table.open(location, *n), names.values()), strict=True))
    array_store, store_uri = _existing_store(location, store, record.zarr_store_uri)
    return Catalog(
        location,
        array_store,
        store_uri,
        CellTable(opened["cells"], cell_schema),
        DatasetTable(opened["datasets"]),
        LayoutTable(opened["layouts"]),
        {space: Registry(space, opened[f"registry:{space}"]) for space in record.registries},
        versions,
        version=record.version,
    )


def open_versions(location: AtlasLocation, version_table: str = VERSIONS_TABLE) -> VersionTable:
    """The snapshots of an atlas. Raises AtlasNotFoundError if there is none."""
    _require_atlas(location)
    return VersionTable(Table.open(location, version_table), SnapshotNotes(location, version_table))


def _require_atlas(location: AtlasLocation) -> None:
    if not location.is_remote and not os.path.isdir(location.db_uri):
        found = location.file_in_the_way()
        what = f"'{found}' is a file" if found else "it has no directory lance_db"
        raise AtlasNotFoundError(f"No atlas found at '{location}': {what}")


def _map_requests(location: AtlasLocation, function: Callable[[Any], Any], arguments: Any) -> list[Any]:
    """`function` of each argument: one after another on a local disk, where a table opens in 0.2 ms, else at once."""
    if not location.is_remote:
        return [function(argument) for argument in arguments]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(function, arguments))


def _existing_store(location: AtlasLocation, store: Any, recorded_uri: str) -> tuple[Any, str]:
    if isinstance(store, tuple):
        return store
    found = adopt_store(store) if store is not None else find_store(location, recorded_uri)
    if not holds_root(found[0]):
        raise AtlasNotFoundError(
            f"No arrays found for the atlas at '{location}': {found[1]} has no zarr.json. Pass store=... if they moved"
        )
    return found
