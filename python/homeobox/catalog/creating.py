"""Creating an atlas at a place that is empty; nothing is ever overwritten or removed."""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from homeobox import _core
from homeobox.catalog.array_store import ROOT_ATTRIBUTES, adopt_store, open_store
from homeobox.catalog.arrow_schema import to_arrow_schema
from homeobox.catalog.catalog import Catalog
from homeobox.catalog.cells import SchemaMismatchError, check_pointer_kinds, same_type
from homeobox.catalog.layouts import LAYOUTS_TABLE
from homeobox.catalog.location import AtlasLocation, registry_table_name
from homeobox.catalog.opening import open_writable
from homeobox.catalog.tables import Table
from homeobox.catalog.versions import VERSIONS_TABLE
from homeobox.errors import ConflictError, InvalidArgumentError
from homeobox.schema import (
    AtlasVersionRecord,
    DatasetRecord,
    FeatureBaseSchema,
    FeatureLayout,
    HoxBaseSchema,
    get_spec,
    pointer_fields,
)
from homeobox.schema.base import check_pointer_names


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
    refuse_unless_empty(location, array_store, store_uri)

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
    schemas = _schemas_of(tables)
    existing = location.table_names()
    if tables.cell_table not in existing:
        if existing:
            raise AtlasExistsError(
                f"'{location}' has no cell table '{tables.cell_table}' to open, and no new atlas fits there: it holds "
                f"table(s) {existing}. Nothing was changed"
            )
        return create(location, tables)
    # Every registry that exists is opened, named or not: a snapshot without it would be of no use to anybody.
    catalog = open_writable(
        location, tables.cell_table, tables.cell_schema, tables.dataset_table, version_table=tables.version_table
    )
    for table in [catalog.datasets.table, *(registry.table for registry in catalog.registries.values())]:
        if table.name in schemas:
            _check_class_fits_table(schemas[table.name], table)
    return catalog


def _schemas_of(tables: AtlasTables) -> dict[str, Any]:
    """Table name -> Arrow schema, the cell table last; all checks that need no request."""
    _require_subclass(tables.cell_schema, HoxBaseSchema, "cell_schema")
    _require_subclass(tables.dataset_schema, DatasetRecord, "dataset_schema")
    if not isinstance(tables.registry_schemas, dict):
        raise WrongClassError(f"registry_schemas must map feature spaces to classes, found {tables.registry_schemas!r}")
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


def _check_class_fits_table(expected: pa.Schema, table: Table) -> None:
    """Refuse a row class with a column that its table lacks or has with another type."""
    for column in expected:
        position = table.schema.get_field_index(column.name)
        if position < 0 or not same_type(column.type, table.schema.field(position).type):
            found = "none" if position < 0 else str(table.schema.field(position).type)
            raise SchemaMismatchError(
                f"table '{table.name}': column '{column.name}' of the row class is {column.type}, the table has {found}"
            )


def _require_subclass(found: Any, expected: type, argument: str) -> None:
    if not (isinstance(found, type) and issubclass(found, expected)):
        raise WrongClassError(f"{argument} must be a subclass of {expected.__name__}, found {found!r}")


class WrongClassError(InvalidArgumentError, TypeError):
    """A row class does not derive from the base class of its table."""


def refuse_unless_empty(location: AtlasLocation, array_store: Any, store_uri: str) -> None:
    """Raise AtlasExistsError, naming what is there, unless neither tables nor arrays lie at a place."""
    found = location.file_in_the_way()
    if found is not None:
        raise AtlasExistsError(f"cannot create an atlas at '{location}': '{found}' is a file, not a directory")
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


def _store_for(location: AtlasLocation, store: Any) -> tuple[Any, str]:
    if store is None:
        return open_store(location.sibling_store_uri, location.store_kwargs), location.sibling_store_uri
    return adopt_store(store)
