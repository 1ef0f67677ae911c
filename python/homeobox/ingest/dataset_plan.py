"""Everything that is checked and decided about a dataset before its first byte is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from homeobox.errors import InvalidArgumentError, UnsupportedError
from homeobox.ingest.dense_writer import DensePlan, plan_dense
from homeobox.ingest.encoding import Encoding, make_encoding
from homeobox.ingest.feature_uids import read_feature_uids
from homeobox.ingest.group_name import check_group_name
from homeobox.ingest.group_target import check_target
from homeobox.ingest.obs_columns import convert_cells
from homeobox.ingest.sources import CsrSource, DenseAsRows, DenseSource, RowsAsDense, SourceDataset
from homeobox.ingest.sparse_writer import SparsePlan, plan_sparse
from homeobox.ingest.survey import check_counts, survey_rows
from homeobox.schema import (
    AUTO_FIELDS,
    ColumnInfo,
    DatasetRecord,
    HoxBaseSchema,
    PointerField,
    PointerKind,
    ZarrGroupSpec,
    get_spec,
)

if TYPE_CHECKING:
    from homeobox.catalog import Catalog

FeatureOrder = Literal["expression", "as_given"]


@dataclass(frozen=True)
class DatasetPlan:
    """A dataset that is known to fit the atlas.

    Attributes
    ----------
    record
        The dataset row, with its layout.
    layout
        Rows for the layout table.
    obs
        Obs columns of the cell rows.
    """

    spec: ZarrGroupSpec
    pointer_field: PointerField
    record: DatasetRecord
    matrix: CsrSource | DenseSource
    arrays: SparsePlan | DensePlan
    layout: pa.Table
    obs: dict[str, pa.Array]

    @property
    def group(self) -> str:
        return self.record.zarr_group

    @property
    def n_cells(self) -> int:
        return self.matrix.shape[0]


@dataclass(frozen=True)
class IngestOptions:
    """How the caller wants the arrays of a group written; None takes the codec's own shapes."""

    chunk_shape: tuple[int, ...] | None = None
    shard_shape: tuple[int, ...] | None = None
    codec: str = "bp128"
    feature_order: str = "expression"
    whole_counts: bool = True


def plan_dataset(
    catalog: Catalog,
    source: SourceDataset,
    feature_space: str,
    layers: Sequence[str],
    record: DatasetRecord,
    options: IngestOptions,
) -> DatasetPlan:
    """Check a source against the atlas, from the cheapest question to the dearest; writes nothing.

    Parameters
    ----------
    layers
        What the layers of the source's matrix are called in the group.

    Raises
    ------
    InvalidArgumentError
        Says what of the source or the call does not fit.
    UnsupportedError
        A source or feature space that cannot be ingested from an AnnData.
    """
    cell_schema = check_writable(catalog)
    check_request(catalog, feature_space, layers, record)
    spec, pointer_field = get_spec(feature_space), catalog.pointer_fields[feature_space]
    n_axes = 1 if spec.pointer_kind is PointerKind.SPARSE else 2
    encoding = make_encoding(options.codec, n_axes, options.chunk_shape, options.shard_shape)
    by_expression = _wants_expression_order(options)

    matrix = source.matrix
    if record.n_cells != matrix.shape[0]:
        raise InvalidArgumentError(
            f"dataset record says n_cells = {record.n_cells}, but {source.name} has {matrix.shape[0]} cells"
        )
    layout_uid, layout = catalog.layout_rows(read_feature_uids(source.var), feature_space)
    obs = convert_cells(source.obs, source.obsm, obs_fields(catalog), cell_schema.model_fields)
    matrix, arrays = _plan_arrays(spec, layers, matrix, encoding, by_expression, options.whole_counts)
    return DatasetPlan(
        spec=spec,
        pointer_field=pointer_field,
        record=record.model_copy(update={"layout_uid": layout_uid}),
        matrix=matrix,
        arrays=arrays,
        layout=layout,
        obs=obs,
    )


def check_writable(catalog: Catalog) -> type[HoxBaseSchema]:
    """The schema class of the cells to be added; refuses an atlas that cannot take any."""
    if catalog.read_only:
        raise InvalidArgumentError(
            f"the atlas {catalog.location} is checked out at version {catalog.version} and read-only; "
            "open it with RaggedAtlas.open or create_or_open_atlas to ingest"
        )
    if catalog.cell_schema is None:
        raise InvalidArgumentError("Cannot ingest data into an atlas opened without a cell schema")
    return catalog.cell_schema


def check_request(catalog: Catalog, feature_space: str, layers: Sequence[str], record: DatasetRecord) -> None:
    """Everything that can be asked before a source is opened.

    Raises
    ------
    InvalidArgumentError
        A layer is not allowed or a required one missing, the cells have no pointer for the feature space, or the
        record does not fit or names a group that is taken.
    UnsupportedError
        A feature space that holds no matrices.
    """
    spec = get_spec(feature_space)
    _check_layers(spec, layers)
    check_target(catalog, record, feature_space)


def _check_layers(spec: ZarrGroupSpec, layers: Sequence[str]) -> None:
    space = spec.feature_space
    if not spec.is_matrix:
        raise UnsupportedError(
            f"feature space '{space}' is not a cells x features matrix; an AnnData cannot be its source"
        )
    for layer in layers:
        check_layer_name(spec, layer)
    missing = [name for name in spec.layers.required if name not in layers]
    if missing:
        raise InvalidArgumentError(
            f"zarr_layer '{layers[0]}': a group of feature space '{space}' must hold the layer(s) "
            f"{spec.layers.required}, and {missing} would be missing; layers={{...}} ingests several"
        )


def check_layer_name(spec: ZarrGroupSpec, layer: str) -> None:
    """Refuse a layer that the feature space does not allow, or whose name is no name of a folder.

    Raises
    ------
    InvalidArgumentError
        Names the layer and those allowed.
    """
    if spec.layers.allowed and layer not in spec.layers.allowed:
        raise InvalidArgumentError(
            f"zarr_layer '{layer}' is not allowed in feature space '{spec.feature_space}', "
            f"expected one of {spec.layers.allowed}"
        )
    check_group_name(layer, "zarr_layer")
    if "/" in layer:
        raise InvalidArgumentError(f"zarr_layer '{layer}' is a path, expected a name")


def _wants_expression_order(options: IngestOptions) -> bool:
    if options.feature_order not in ("expression", "as_given"):
        raise InvalidArgumentError(
            f"feature_order {options.feature_order!r} is unknown, expected 'expression' or 'as_given'"
        )
    # 0.2.2 does not know the permutation, so what is written for it keeps the given order.
    return options.feature_order == "expression" and options.codec != "bitpacking"


def obs_fields(catalog: Catalog) -> list[pa.Field]:
    """Columns of the cell table that describe a cell: neither uids nor pointers."""
    return [
        field
        for field in catalog.cells_schema
        if field.name not in AUTO_FIELDS and field.name not in catalog.pointer_fields
    ]


def wants_cell_names(catalog: Catalog) -> bool:
    """Whether a column of the cell table takes the index of obs."""
    return any(ColumnInfo.of_metadata(field.metadata).obs_names for field in obs_fields(catalog))


def _plan_arrays(
    spec: ZarrGroupSpec,
    layers: Sequence[str],
    matrix: CsrSource | DenseSource,
    encoding: Encoding,
    by_expression: bool,
    whole_counts: bool,
) -> tuple[CsrSource | DenseSource, SparsePlan | DensePlan]:
    if spec.pointer_kind is PointerKind.DENSE:
        dense = RowsAsDense(matrix) if isinstance(matrix, CsrSource) else matrix
        if "counts" in layers:
            for block in dense.blocks():
                check_counts(block[layers.index("counts")], dense.name, whole_counts)
        return dense, plan_dense(spec, layers, dense, encoding)
    rows = DenseAsRows(matrix) if isinstance(matrix, DenseSource) else matrix
    totals = survey_rows(rows, layers, whole_counts)
    return rows, plan_sparse(spec, layers, rows, encoding, totals if by_expression else None)
