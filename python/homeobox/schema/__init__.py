"""Row types, pointer types, feature spaces: plain data, no tables, no arrays."""

from homeobox.schema.base import (
    AUTO_FIELDS,
    AtlasVersionRecord,
    DatasetRecord,
    FeatureBaseSchema,
    FeatureLayout,
    HoxBaseSchema,
)
from homeobox.schema.columns import ColumnInfo, column
from homeobox.schema.pointers import (
    DenseZarrPointer,
    InvalidPointerFieldError,
    PointerField,
    PointerFieldInfo,
    SparseZarrPointer,
    ZarrPointer,
    pointer_fields,
)
from homeobox.schema.spaces import (
    CHROMATIN_ACCESSIBILITY_SPEC,
    GENE_EXPRESSION_SPEC,
    IMAGE_FEATURES_SPEC,
    IMAGE_TILES_SPEC,
    PROTEIN_ABUNDANCE_SPEC,
    ArraySpec,
    DTypeKind,
    LayersSpec,
    PointerKind,
    UnknownFeatureSpaceError,
    ZarrGroupSpec,
    get_spec,
    register_spec,
    registered_feature_spaces,
)
from homeobox.schema.uids import compute_layout_uid, make_stable_uid, make_uid
from homeobox.schema.vector import Vector

__all__ = [
    "AUTO_FIELDS",
    "CHROMATIN_ACCESSIBILITY_SPEC",
    "GENE_EXPRESSION_SPEC",
    "IMAGE_FEATURES_SPEC",
    "IMAGE_TILES_SPEC",
    "PROTEIN_ABUNDANCE_SPEC",
    "ArraySpec",
    "AtlasVersionRecord",
    "ColumnInfo",
    "DTypeKind",
    "DatasetRecord",
    "DenseZarrPointer",
    "FeatureBaseSchema",
    "FeatureLayout",
    "HoxBaseSchema",
    "InvalidPointerFieldError",
    "LayersSpec",
    "PointerField",
    "PointerFieldInfo",
    "PointerKind",
    "SparseZarrPointer",
    "UnknownFeatureSpaceError",
    "Vector",
    "ZarrGroupSpec",
    "ZarrPointer",
    "column",
    "compute_layout_uid",
    "get_spec",
    "make_stable_uid",
    "make_uid",
    "pointer_fields",
    "register_spec",
    "registered_feature_spaces",
]
