"""Creating, opening, checking out and restoring an atlas: every way to a Catalog."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from homeobox import _core
from homeobox.catalog.array_store import ROOT_ATTRIBUTES, adopt_store, find_store, holds_root, open_store
from homeobox.catalog.arrow_schema import to_arrow_schema
from homeobox.catalog.catalog import Catalog
from homeobox.catalog.cells import CellTable, check_pointer_kinds
from homeobox.catalog.datasets import DatasetTable
from homeobox.catalog.layouts import LAYOUTS_TABLE, LayoutTable
from homeobox.catalog.location import AtlasLocation
from homeobox.catalog.registry import Registry
from homeobox.catalog.tables import Table
from homeobox.catalog.versions import VERSIONS_TABLE, VersionTable
from homeobox.errors import ConflictError, InvalidArgumentError, NotFoundError
from homeobox.schema import (
    AtlasVersionRecord,
    DatasetRecord,
    FeatureBaseSchema,
    FeatureLayout,
    HoxBaseSchema,
    get_spec,
    pointer_fields,
    registered_feature_spaces,
)
from homeobox.schema.base import check_pointer_names


class AtlasNotFoundError(NotFoundError, FileNotFoundError):
    """There is no atlas at a location."""


class AtlasExistsError(ConflictError, FileExistsError, ValueError):
    """A new atlas was asked for at a place that is not empty."""


@dataclass(frozen=True)
class AtlasTables:
    """Names and row classes of the tables of a new atlas."""

    cell_table: str
    cell_schema: type[HoxBaseSchema]
    dataset_table: str = "datasets"
    dataset_schema: type[DatasetRecord] = DatasetRecord
    registry_schemas: dict[str, type[FeatureBaseSchema]] = field(default_factory=dict)
    version_table: str = VERSIONS_TABLE


def registry_table_name(feature_space: str) -> str:
    """Name of the registry table of a feature space; fixed by the format."""
    return f"{feature_space}_registry"


def create(location: AtlasLocation, tables: AtlasTables, store: Any = None) -> Catalog:
    """A new, empty atlas. Nothing is ever overwritten or removed.

    Parameters
    ----------
    location : AtlasLocation
        Where; the place must be empty.
    tables : AtlasTables
        What it will hold.
    store : obstore store or path, optional
        Where the arrays go; beside the tables by default.

    Raises
    ------
    TypeError
        A class is not of the right base, or has a column or pointer that cannot be.
    AtlasExistsError
        Tables or arrays are there already; names the first ones.
    """
    schemas = _schemas_of(tables)
    array_store, store_uri = _store_for(location, store)
    _refuse_unless_empty(location, array_store, store_uri)

    location.make_directories()
    _core.write_group(array_store, "", ROOT_ATTRIBUTES)
    # The cell table comes last: its presence is what says that the atlas is complete.
    for name, schema in schemas.items():
        Table.create(location, name, schema)
    return open_writable(
        location,
        tables.cell_table,
        tables.cell_schema,
        tables.dataset_table,
        registry_tables={space: registry_table_name(space) for space in tables.registry_schemas},
        version_table=tables.version_table,
        store=(array_store, store_uri),
    )


def create_or_open(location: AtlasLocation, tables: AtlasTables) -> Catalog:
    """The atlas at a location, created there if the place is empty. Errors as :func:`create` and the opening."""
    existing = location.table_names()
    if tables.cell_table not in existing:
        return create(location, tables)
    spaces = [space for space in tables.registry_schemas if registry_table_name(space) in existing]
    return open_writable(
        location,
        tables.cell_table,
        tables.cell_schema,
        tables.dataset_table,
        registry_tables={space: registry_table_name(space) for space in spaces},
        version_table=tables.version_table,
    )


def _schemas_of(tables: AtlasTables) -> dict[str, Any]:
    """Table name -> Arrow schema, the cell table last; all checks that need no request."""
    _require_subclass(tables.cell_schema, HoxBaseSchema, "cell_schema")
    _require_subclass(tables.dataset_schema, DatasetRecord, "dataset_schema")
    check_pointer_names(tables.cell_schema)
    check_pointer_kinds(pointer_fields(tables.cell_schema), f"schema class {tables.cell_schema.__name__}")
    row_classes: list[tuple[str, type]] = [
        (LAYOUTS_TABLE, FeatureLayout),
        (tables.version_table, AtlasVersionRecord),
        (tables.dataset_table, tables.dataset_schema),
    ]
    for space, row_class in tables.registry_schemas.items():
        get_spec(space)
        _require_subclass(row_class, FeatureBaseSchema, f"registry_schemas['{space}']")
        row_classes.append((registry_table_name(space), row_class))
    row_classes.append((tables.cell_table, tables.cell_schema))
    names = [name for name, _ in row_classes]
    for name in names:
        if not name or names.count(name) > 1 or any(c in name for c in "/\\"):
            raise InvalidArgumentError(f"table names must be distinct and plain, found '{name}' among {names}")
    return {name: to_arrow_schema(row_class) for name, row_class in row_classes}


def _require_subclass(found: Any, expected: type, argument: str) -> None:
    if not (isinstance(found, type) and issubclass(found, expected)):
        raise WrongClassError(f"{argument} must be a subclass of {expected.__name__}, found {found!r}")


class WrongClassError(InvalidArgumentError, TypeError):
    """A row class does not derive from the base class of its table."""


def _refuse_unless_empty(location: AtlasLocation, array_store: Any, store_uri: str) -> None:
    names = location.table_names()
    if names:
        raise AtlasExistsError(
            f"cannot create an atlas at '{location}': its lance_db is not empty, it holds table(s) {names}. "
            "Nothing was changed"
        )
    objects = array_store.list("")
    if objects:
        raise AtlasExistsError(
            f"cannot create an atlas at '{location}': the array store {store_uri} is not empty, "
            f"it holds {len(objects)} object(s), the first is '{objects[0][0]}'. Nothing was changed"
        )


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
    versions = VersionTable(Table.open(location, version_table))
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
    version: int | None,
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
    version : int or None
        Number of the snapshot; None takes the latest.

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
    record = versions.latest() if version is None else versions.find(version)
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


def restore(
    location: AtlasLocation,
    version: int,
    cell_schema: type[HoxBaseSchema] | None = None,
    *,
    version_table: str = VERSIONS_TABLE,
    store: Any = None,
) -> Catalog:
    """Make a snapshot the latest state of every table, as new table versions; a writable catalog.

    Snapshots stay, arrays stay. Errors as :func:`checkout`, before any table is touched.
    """
    pinned = checkout(location, version, cell_schema, version_table=version_table, store=store)
    tables = [r.table for r in pinned.registries.values()]
    # Cells last: until then every pointer still leads to a dataset that exists.
    for table in [*tables, pinned.layouts.table, pinned.datasets.table, pinned.cells.table]:
        Table.open(location, table.name).restore(table.version)
    return open_writable(
        location,
        pinned.cells.table.name,
        cell_schema,
        pinned.datasets.table.name,
        registry_tables={space: r.table.name for space, r in pinned.registries.items()},
        version_table=version_table,
        store=(pinned.store, pinned.store_uri),
    )


def open_versions(location: AtlasLocation, version_table: str = VERSIONS_TABLE) -> VersionTable:
    """The snapshots of an atlas. Raises AtlasNotFoundError if there is none."""
    _require_atlas(location)
    return VersionTable(Table.open(location, version_table))


def _require_atlas(location: AtlasLocation) -> None:
    if not location.is_remote and not os.path.isdir(location.db_uri):
        raise AtlasNotFoundError(f"No atlas found at '{location}': it has no directory lance_db")


def _map_requests(location: AtlasLocation, function: Callable[[Any], Any], arguments: Any) -> list[Any]:
    """`function` of each argument: one after another on a local disk, where a table opens in 0.2 ms, else at once."""
    if not location.is_remote:
        return [function(argument) for argument in arguments]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(function, arguments))


def _store_for(location: AtlasLocation, store: Any) -> tuple[Any, str]:
    if store is None:
        return open_store(location.sibling_store_uri, location.store_kwargs), location.sibling_store_uri
    return store if isinstance(store, tuple) else adopt_store(store)


def _existing_store(location: AtlasLocation, store: Any, recorded_uri: str) -> tuple[Any, str]:
    if isinstance(store, tuple):
        return store
    found = adopt_store(store) if store is not None else find_store(location, recorded_uri)
    if not holds_root(found[0]):
        raise AtlasNotFoundError(
            f"No arrays found for the atlas at '{location}': {found[1]} has no zarr.json. Pass store=... if they moved"
        )
    return found
