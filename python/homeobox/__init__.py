"""Single-cell atlases of datasets that were not designed to fit together.

``import homeobox as hox`` loads nothing but names: each public name brings its module when it is first used, so that
defining schemas needs neither Lance nor AnnData, and nothing here loads torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from homeobox.errors import (
    CancelledError,
    ConflictError,
    CorruptDataError,
    HomeoboxError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    StoreError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from homeobox.atlas import RaggedAtlas, create_or_open_atlas
    from homeobox.atlas_query import AtlasQuery
    from homeobox.catalog import (
        build_feature_layout_df,
        layout_exists,
        read_feature_layout,
        reindex_registry,
        resolve_feature_uids_to_global_indices,
        sync_layouts_global_index,
        validate_feature_layout,
    )
    from homeobox.codecs import BitpackingCodec, BP128Codec
    from homeobox.fragments import (
        FragmentCounter,
        FragmentResult,
        GenomeSortedReader,
        GenomicRange,
        IntervalReconstructor,
        RegionResult,
    )
    from homeobox.ingest import (
        SparseZarrWriter,
        add_anndata_batch,
        add_coo_batch,
        add_csc,
        add_fragments,
        add_from_anndata,
        add_from_mudata,
        add_image_tiles,
        add_layer,
        align_obs_to_schema,
        deduplicate_var,
        insert_cell_records,
        validate_obs_columns,
        write_feature_layout,
    )
    from homeobox.loader import CsrLoader, SparseBatch
    from homeobox.schema import (
        DatasetRecord,
        DenseZarrPointer,
        FeatureBaseSchema,
        HoxBaseSchema,
        SparseZarrPointer,
        Vector,
        ZarrGroupSpec,
        column,
        compute_layout_uid,
        get_spec,
        make_stable_uid,
        make_uid,
        register_spec,
        registered_feature_spaces,
    )
    from homeobox.shard_reader import RustShardReader, ShardReader
    from homeobox.upkeep import PruneReport

_MODULE_OF = {
    "homeobox.atlas": ["RaggedAtlas", "create_or_open_atlas"],
    "homeobox.atlas_query": ["AtlasQuery"],
    "homeobox.catalog": [
        "build_feature_layout_df",
        "layout_exists",
        "read_feature_layout",
        "reindex_registry",
        "resolve_feature_uids_to_global_indices",
        "sync_layouts_global_index",
        "validate_feature_layout",
    ],
    "homeobox.codecs": ["BP128Codec", "BitpackingCodec"],
    "homeobox.fragments": [
        "FragmentCounter",
        "FragmentResult",
        "GenomeSortedReader",
        "GenomicRange",
        "IntervalReconstructor",
        "RegionResult",
    ],
    "homeobox.ingest": [
        "SparseZarrWriter",
        "add_anndata_batch",
        "add_coo_batch",
        "add_csc",
        "add_fragments",
        "add_from_anndata",
        "add_from_mudata",
        "add_image_tiles",
        "add_layer",
        "align_obs_to_schema",
        "deduplicate_var",
        "insert_cell_records",
        "validate_obs_columns",
        "write_feature_layout",
    ],
    "homeobox.loader": ["CsrLoader", "SparseBatch"],
    "homeobox.schema": [
        "DatasetRecord",
        "DenseZarrPointer",
        "FeatureBaseSchema",
        "HoxBaseSchema",
        "SparseZarrPointer",
        "Vector",
        "ZarrGroupSpec",
        "column",
        "compute_layout_uid",
        "get_spec",
        "make_stable_uid",
        "make_uid",
        "register_spec",
        "registered_feature_spaces",
    ],
    "homeobox.shard_reader": ["RustShardReader", "ShardReader"],
    "homeobox.upkeep": ["PruneReport"],
}
_LAZY = {name: module for module, names in _MODULE_OF.items() for name in names}
_SUBMODULES = {"codecs", "datasets", "errors", "fragments", "schema"}

__all__ = [
    "AtlasQuery",
    "BP128Codec",
    "BitpackingCodec",
    "CancelledError",
    "ConflictError",
    "CorruptDataError",
    "CsrLoader",
    "DatasetRecord",
    "DenseZarrPointer",
    "FeatureBaseSchema",
    "FragmentCounter",
    "FragmentResult",
    "GenomeSortedReader",
    "GenomicRange",
    "HomeoboxError",
    "HoxBaseSchema",
    "InternalError",
    "IntervalReconstructor",
    "InvalidArgumentError",
    "NotFoundError",
    "OutOfRangeError",
    "PruneReport",
    "RaggedAtlas",
    "RegionResult",
    "RustShardReader",
    "ShardReader",
    "SparseBatch",
    "SparseZarrPointer",
    "SparseZarrWriter",
    "StoreError",
    "UnsupportedError",
    "Vector",
    "ZarrGroupSpec",
    "__version__",
    "add_anndata_batch",
    "add_coo_batch",
    "add_csc",
    "add_fragments",
    "add_from_anndata",
    "add_from_mudata",
    "add_image_tiles",
    "add_layer",
    "align_obs_to_schema",
    "build_feature_layout_df",
    "column",
    "compute_layout_uid",
    "create_or_open_atlas",
    "deduplicate_var",
    "get_spec",
    "insert_cell_records",
    "layout_exists",
    "make_stable_uid",
    "make_uid",
    "read_feature_layout",
    "register_spec",
    "registered_feature_spaces",
    "reindex_registry",
    "resolve_feature_uids_to_global_indices",
    "sync_layouts_global_index",
    "validate_feature_layout",
    "validate_obs_columns",
    "write_feature_layout",
]

__version__: str


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"homeobox.{name}")
    elif name == "__version__":
        value = _installed_version()
    else:
        raise AttributeError(f"module 'homeobox' has no attribute '{name}'")
    globals()[name] = value
    return value


def _installed_version() -> str:
    metadata = importlib.import_module("importlib.metadata")
    try:
        return str(metadata.version("homeobox"))
    except metadata.PackageNotFoundError:  # run from its sources, without an installation
        return "0+source"


def __dir__() -> list[str]:
    return sorted(set(__all__) | _SUBMODULES)
