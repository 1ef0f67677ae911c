"""The catalog: handles on all tables of one atlas and on its array store.

This is what query and ingest get. It is either writable and shows the latest state of every table, or pinned at a
snapshot and read-only. It opens nothing itself; see opening.py, and snapshot.py, optimize.py, validation.py for what
is done with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from homeobox.catalog.cell_groups import CellGroups
from homeobox.catalog.cells import CellTable
from homeobox.catalog.datasets import DatasetTable
from homeobox.catalog.layout_choice import choose_layout
from homeobox.catalog.layouts import LayoutTable, feature_uids_of
from homeobox.catalog.location import AtlasLocation, registry_table_name
from homeobox.catalog.registry import Registry, UnknownRegistryError, as_registry
from homeobox.catalog.tables import Table
from homeobox.catalog.versions import VersionTable
from homeobox.schema import HoxBaseSchema, PointerField

if TYPE_CHECKING:
    import polars as pl

    from homeobox import _core


@dataclass
class Catalog:
    """The tables and the array store of one atlas.

    Attributes
    ----------
    location : AtlasLocation
        Where it lies.
    store : _core.Store
        Its arrays; ``store_uri`` is the address to record.
    cells, datasets, layouts, versions
        Its tables.
    registries : dict of Registry
        By feature space.
    version : int or None
        The snapshot it is pinned at; None when writable.
    cell_groups : CellGroups
        What was learned about which groups have cells.
    """

    location: AtlasLocation
    store: "_core.Store"
    store_uri: str
    cells: CellTable
    datasets: DatasetTable
    layouts: LayoutTable
    registries: dict[str, Registry]
    versions: VersionTable
    version: int | None = None
    cell_groups: CellGroups = field(default_factory=CellGroups)

    @property
    def read_only(self) -> bool:
        """Whether it is pinned at a snapshot."""
        return self.version is not None

    @property
    def cell_schema(self) -> type[HoxBaseSchema] | None:
        """The user's class of a cell, if the atlas was opened with one."""
        return self.cells.cell_schema

    @property
    def tables(self) -> list[Table]:
        """The tables that a snapshot pins."""
        registries = [registry.table for registry in self.registries.values()]
        return [self.cells.table, self.datasets.table, self.layouts.table, *registries]

    @property
    def pointer_fields(self) -> dict[str, PointerField]:
        """Pointer columns by name, in column order."""
        return self.cells.pointer_fields

    @property
    def cells_schema(self) -> pa.Schema:
        """Arrow schema of the cell table."""
        return self.cells.schema

    def scan_cells(
        self,
        columns: list[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> pa.Table:
        """Cells in scan order; see :meth:`Table.scan`. ``"gene_expression.start"`` reads one child of a pointer."""
        return self.cells.table.scan(columns, where, limit=limit, offset=offset)

    def count_cells(self, where: str | None = None) -> int:
        """Number of cells that match an SQL filter."""
        return self.cells.table.count(where)

    def groups_with_cells(self) -> frozenset[str]:
        """Groups that some cell points to. Reads the pointers of cells that were added since the last call."""
        return self.cell_groups.of(self.cells.table.dataset)

    def committed_datasets(self) -> pa.Table:
        """The dataset table without pending rows: those whose cells an ingest has not added, or never will."""
        rows = self.datasets.arrow()
        groups = pa.array(self.groups_with_cells(), pa.string())
        return rows.filter(pc.is_in(rows["zarr_group"], value_set=groups))

    def append_cells(self, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Append cells of the cell table's schema, in one commit."""
        self.cells.append(rows)

    def registry(self, feature_space: str) -> Registry:
        """The registry of a feature space.

        Raises
        ------
        UnknownRegistryError
            The atlas has none; also a KeyError and a ValueError.
        """
        found = self.registries.get(feature_space)
        if found is None:
            raise UnknownRegistryError(
                f"No registry for feature space '{feature_space}'; this atlas has {sorted(self.registries)}"
            )
        return found

    def layout_rows(self, feature_uids: Sequence[str] | pa.Array, feature_space: str) -> tuple[str, pa.Table]:
        """The uid and the rows of a layout in a feature space; nothing is stored. Errors as :func:`choose_layout`."""
        registry = self.registry(feature_space)
        others = [other for space, other in self.all_registries().items() if space != feature_space]
        return choose_layout(feature_uids, registry, others, self.layouts, self.datasets)

    def add_layout(self, rows: pa.Table, feature_space: str) -> None:
        """Store what :meth:`layout_rows` gave, unless it is there; ConflictError if it is there with other indices.

        Features that were indexed since then, as by an optimize() beside a long ingest, get their indices here.
        """
        if rows["global_index"].null_count:
            positions, registered = self.registry(feature_space).positions(rows["feature_uid"].combine_chunks())
            indices = registered["global_index"].combine_chunks().take(pa.array(positions))
            rows = rows.set_column(rows.schema.get_field_index("global_index"), rows.field("global_index"), indices)
        self.layouts.add_rows(rows)

    def all_registries(self) -> dict[str, Registry]:
        """The registries of the atlas by feature space, whether this handle was opened with them or not. One listing.

        What belongs to a feature space depends on what the atlas has, and somebody may open it with a part of that.
        """
        opened = {registry.table.name for registry in self.registries.values()}
        found = dict(self.registries)
        for name in self.location.table_names():
            if name in opened or not name.endswith(registry_table_name("")):
                continue
            registry = as_registry(Table.open(self.location, name))
            if {"uid", "global_index"} <= set(registry.table.schema.names):
                found.setdefault(registry.feature_space, registry)
        return found

    def lancedb_connection(self) -> Any:
        """The database as lancedb opens it, for what only lancedb does: search and its own indexes."""
        import lancedb

        return lancedb.connect(self.location.db_uri, storage_options=self.location.storage_options)

    def lancedb_cell_table(self) -> Any:
        """The cell table as lancedb opens it, at the version that this catalog shows."""
        table = self.lancedb_connection().open_table(self.cells.table.name)
        if self.read_only:
            table.checkout(self.cells.table.version)
        return table


def add_or_reuse_layout(catalog: Catalog, var_df: "pl.DataFrame", dataset_uid: str, feature_space: str) -> str:
    """Store the layout of a var table unless it is known, name it in the dataset's row, return its uid.

    The uid is that of :func:`build_feature_layout_df` unless another registry of the atlas has all of the features too.

    Raises
    ------
    UnknownRegistryError
        No registry for that space.
    InvalidArgumentError
        No column ``global_feature_uid``, duplicate or unregistered uids; nothing is written then.
    NotFoundError
        No dataset of that uid.
    ConflictError
        The layout is stored with other indices; nothing is written then.
    """
    layout_uid, rows = catalog.layout_rows(feature_uids_of(var_df), feature_space)
    catalog.add_layout(rows, feature_space)
    catalog.datasets.set_layout(dataset_uid, layout_uid)
    return layout_uid
