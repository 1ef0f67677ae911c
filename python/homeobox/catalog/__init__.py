"""Tables, registries, layouts, snapshots: everything that Lance knows about an atlas."""

from homeobox.catalog.arrow_schema import UnsupportedColumnTypeError, to_arrow_schema
from homeobox.catalog.catalog import Catalog, add_or_reuse_layout
from homeobox.catalog.cells import CellTable, SchemaMismatchError
from homeobox.catalog.creating import AtlasExistsError, AtlasTables, WrongClassError, create, create_or_open
from homeobox.catalog.datasets import DatasetTable, datasets_with_features
from homeobox.catalog.groups import StoredGroup
from homeobox.catalog.layout_validation import validate_feature_layout
from homeobox.catalog.layouts import (
    ABSENT,
    LayoutTable,
    build_feature_layout_df,
    layout_exists,
    layout_rows,
    read_feature_layout,
    sync_layouts_global_index,
)
from homeobox.catalog.location import AtlasLocation, registry_table_name
from homeobox.catalog.opening import (
    AtlasNotFoundError,
    checkout,
    checkout_latest,
    open_versions,
    open_writable,
)
from homeobox.catalog.optimize import optimize
from homeobox.catalog.registry import (
    Registry,
    UnknownFeatureError,
    UnknownRegistryError,
    reindex_registry,
    resolve_feature_uids_to_global_indices,
)
from homeobox.catalog.restoring import restore
from homeobox.catalog.snapshot import ValidationFailedError, take_snapshot
from homeobox.catalog.tables import Table, TableNotFoundError
from homeobox.catalog.validation import validate
from homeobox.catalog.versions import (
    VERSIONS_TABLE,
    SnapshotNameTakenError,
    VersionNotFoundError,
    VersionTable,
    WhichSnapshot,
)

__all__ = [
    "ABSENT",
    "VERSIONS_TABLE",
    "AtlasExistsError",
    "AtlasLocation",
    "AtlasNotFoundError",
    "AtlasTables",
    "Catalog",
    "CellTable",
    "DatasetTable",
    "LayoutTable",
    "Registry",
    "SchemaMismatchError",
    "SnapshotNameTakenError",
    "StoredGroup",
    "Table",
    "TableNotFoundError",
    "UnknownFeatureError",
    "UnknownRegistryError",
    "UnsupportedColumnTypeError",
    "ValidationFailedError",
    "VersionNotFoundError",
    "VersionTable",
    "WhichSnapshot",
    "WrongClassError",
    "add_or_reuse_layout",
    "build_feature_layout_df",
    "checkout",
    "checkout_latest",
    "create",
    "create_or_open",
    "datasets_with_features",
    "layout_exists",
    "layout_rows",
    "open_versions",
    "open_writable",
    "optimize",
    "read_feature_layout",
    "registry_table_name",
    "reindex_registry",
    "resolve_feature_uids_to_global_indices",
    "restore",
    "sync_layouts_global_index",
    "take_snapshot",
    "to_arrow_schema",
    "validate",
    "validate_feature_layout",
]
