"""The tables of an atlas written anew at an empty place, each whole in one commit.

An atlas is there once its cell table is. Everything else comes before it, the snapshot included, so a writer that
dies leaves something that does not open, and one that finishes leaves something complete.
"""

import json
from collections.abc import Callable, Iterator, Set

import lance
import pyarrow as pa
import pyarrow.compute as pc

from homeobox.catalog.arrow_schema import pointer_fields_of_table, to_arrow_schema
from homeobox.catalog.catalog import Catalog
from homeobox.catalog.layouts import LAYOUTS_TABLE
from homeobox.catalog.location import AtlasLocation, registry_table_name
from homeobox.catalog.tables import FILE_FORMAT
from homeobox.errors import StoreError
from homeobox.schema import AtlasVersionRecord, DenseZarrPointer, FeatureLayout, PointerKind, SparseZarrPointer

# The first commit of a table; each table here has one commit.
_FIRST_VERSION = 1
_BATCH_ROWS = 1 << 16


def copied_tables(catalog: Catalog) -> tuple[str, ...]:
    """Names of the tables that :func:`copy_tables` writes, in their order."""
    registries = [registry_table_name(space) for space in catalog.registries]
    others = [LAYOUTS_TABLE, catalog.datasets.table.name, catalog.versions.table.name, catalog.cells.table.name]
    return (*registries, *others)


def copy_tables(
    catalog: Catalog,
    groups: Set[str],
    location: AtlasLocation,
    store_uri: str,
    before_commit: Callable[[], object] = lambda: None,
) -> None:
    """Write the state that a checked-out catalog shows as a new atlas with one snapshot, the cell table last.

    Parameters
    ----------
    groups
        The datasets to copy; rows of others are those that no cell points to.
    store_uri
        Where the arrays of the copy are, to be recorded.
    before_commit
        Asked right before the cell table; may refuse.
    """
    location.make_directories()
    datasets = catalog.datasets.arrow()
    datasets = datasets.filter(pc.is_in(datasets["zarr_group"], value_set=pa.array(sorted(groups), pa.string())))
    for space, registry in catalog.registries.items():
        _write(location, registry_table_name(space), registry.table.schema, registry.arrow().to_batches())
    _write(location, LAYOUTS_TABLE, to_arrow_schema(FeatureLayout), _layouts(catalog, datasets))
    _write(location, catalog.datasets.table.name, catalog.datasets.table.schema, datasets.to_batches())
    record = AtlasVersionRecord(
        version=0,
        cell_table_name=catalog.cells.table.name,
        cell_table_version=_FIRST_VERSION,
        dataset_table_name=catalog.datasets.table.name,
        dataset_table_version=_FIRST_VERSION,
        registry_table_names=json.dumps({space: registry_table_name(space) for space in catalog.registries}),
        registry_table_versions=json.dumps(dict.fromkeys(catalog.registries, _FIRST_VERSION)),
        feature_layouts_table_version=_FIRST_VERSION,
        total_cells=catalog.count_cells(),
        zarr_store_uri=store_uri,
    )
    version_schema = to_arrow_schema(AtlasVersionRecord)
    rows = pa.Table.from_pylist([record.model_dump()], schema=version_schema)
    _write(location, catalog.versions.table.name, version_schema, rows.to_batches())
    cells_schema = _cells_schema(catalog)
    before_commit()
    _write(location, catalog.cells.table.name, cells_schema, _cells(catalog, cells_schema))


def _write(location: AtlasLocation, name: str, schema: pa.Schema, batches: "list | Iterator") -> None:
    reader = pa.RecordBatchReader.from_batches(schema, iter(batches))
    try:
        written = lance.write_dataset(
            reader,
            location.table_uri(name),
            schema=schema,
            mode="create",
            storage_options=location.storage_options,
            data_storage_version=FILE_FORMAT,
        )
    except OSError as error:
        raise StoreError(f"table '{name}' could not be written to {location.db_uri}: {error}") from error
    if written.version != _FIRST_VERSION:
        raise StoreError(f"table '{name}' in {location.db_uri} has version {written.version}; another writer is there")


def _layouts(catalog: Catalog, datasets: pa.Table) -> Iterator[pa.RecordBatch]:
    schema = to_arrow_schema(FeatureLayout)
    for layout_uid in dict.fromkeys(datasets["layout_uid"].to_pylist()):
        if layout_uid:
            yield from catalog.layouts.rows(layout_uid, schema.names).cast(schema).to_batches()


def _cells_schema(catalog: Catalog) -> pa.Schema:
    """The cell table's schema with pointers as the format has them, whatever made the source."""
    pointers = pointer_fields_of_table(catalog.cells_schema)
    fields = []
    for field in catalog.cells_schema:
        if field.name in pointers:
            sparse = pointers[field.name].kind is PointerKind.SPARSE
            children = to_arrow_schema(SparseZarrPointer if sparse else DenseZarrPointer)
            field = field.with_type(pa.struct(list(children)))
        fields.append(field)
    return pa.schema(fields)


def _cells(catalog: Catalog, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    pointers = pointer_fields_of_table(catalog.cells_schema)
    for batch in catalog.cells.table.dataset.to_batches(batch_size=_BATCH_ROWS):
        columns = [
            _zero_filled(batch.column(field.name), field.type) if field.name in pointers else batch.column(field.name)
            for field in schema
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _zero_filled(pointers: pa.StructArray, struct: pa.StructType) -> pa.StructArray:
    """An absent pointer is empty texts and zeros, also where the source has nulls."""
    absent = pc.is_null(pointers)
    if pointers.field("zarr_group").null_count:
        absent = pc.or_(absent, pc.is_null(pointers.field("zarr_group")))
    zero = {pa.string(): "", pa.int64(): 0}
    children = []
    for child in struct:
        values = pointers.field(child.name).cast(child.type)
        children.append(pc.if_else(absent, pa.scalar(zero[child.type], child.type), values))
    return pa.StructArray.from_arrays(children, fields=list(struct))
