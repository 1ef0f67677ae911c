"""Ingest of images: one array per cell, of any number of axes, and whatever else is dense and has no features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from homeobox import _core
from homeobox.errors import InvalidArgumentError, UnsupportedError
from homeobox.ingest.anndata import HasCatalog
from homeobox.ingest.array_writer import write_blocks
from homeobox.ingest.cell_rows import dense_pointers
from homeobox.ingest.commit import write_groups
from homeobox.ingest.dataset_plan import check_writable, obs_fields
from homeobox.ingest.encoding import ArrayPlan, Codec, make_encoding
from homeobox.ingest.group_plan import CellsOfGroup
from homeobox.ingest.group_target import check_target
from homeobox.ingest.obs_columns import convert_obs
from homeobox.ingest.sparse_writer import WrittenObject
from homeobox.schema import ArraySpec, DatasetRecord, PointerField, PointerKind, ZarrGroupSpec

if TYPE_CHECKING:
    import pandas as pd

# Read from the source at once, unless one row or one of its chunks is larger.
_BLOCK_BYTES = 32 << 20


def add_image_tiles(
    atlas: HasCatalog,
    array: Any,
    *,
    dataset_record: DatasetRecord,
    obs: pd.DataFrame | None = None,
    feature_space: str = "image_tiles",
    chunk_shape: Sequence[int] | None = None,
    shard_shape: Sequence[int] | None = None,
    codec: Codec = "bp128",
) -> int:
    """Add a dataset of images, one for each cell: wholly, or not at all.

    Parameters
    ----------
    atlas : RaggedAtlas
        Writable, opened with its cell schema.
    array : array, shape (n_cells, ...), or mapping of arrays
        Rows are cells: (n, C, H, W) of unsigned integers for "image_tiles". A NumPy array, an array of zarr-python, or
        anything else with `shape` and `dtype` that gives rows when it is sliced. A space with several required arrays
        takes a mapping of their names to arrays.
    dataset_record : DatasetRecord
        Names the group; `n_cells` must be that of `array`.
    obs : pandas.DataFrame, n_cells rows, optional
        Columns of the cell schema, by name.
    feature_space : str
        A dense space without features: "image_tiles" or one of the user's (:func:`homeobox.register_spec`).
    chunk_shape, shard_shape : sequence of int, optional
        One size for each axis; only the first axis may be cut. Default: what suits the codec.
    codec : {"bp128", "bitpacking"}
        "bitpacking" writes what homeobox 0.2.2 reads.

    Returns
    -------
    int
        Number of cells added.

    Raises
    ------
    InvalidArgumentError
        Something does not fit; nothing was written.
    UnsupportedError
        A feature space of another kind.
    ConflictError
        Another process is writing a group of this name.

    Notes
    -----
    Stage: experimental. The source is read once, in blocks of about 32 MB.
    """
    catalog = atlas.catalog
    cell_schema = check_writable(catalog)
    spec, field = check_target(catalog, dataset_record, feature_space)
    _check_space(spec)
    sources = _sources(spec, array)
    n_cells = next(iter(sources.values())).shape[0]
    if dataset_record.n_cells != n_cells:
        raise InvalidArgumentError(
            f"dataset record says n_cells = {dataset_record.n_cells}, but the array has {n_cells} rows"
        )
    plans = {name: _plan(name, source, chunk_shape, shard_shape, codec) for name, source in sources.items()}
    group = TileGroup(dataset_record, field, sources, plans)
    return write_groups(catalog, [CellsOfGroup(group)], _obs_columns(atlas, cell_schema, obs, n_cells), n_cells)


@dataclass(frozen=True)
class TileGroup:
    """A group of dense arrays whose rows are cells; implements `GroupPlan`."""

    record: DatasetRecord
    pointer_field: PointerField
    sources: Mapping[str, Any]
    plans: Mapping[str, ArrayPlan]
    layout: pa.Table | None = None

    @property
    def n_rows(self) -> int:
        return int(next(iter(self.plans.values())).shape[0])

    @property
    def subgroups(self) -> list[str]:
        parents = {name.rpartition("/")[0] for name in self.plans} - {""}
        return sorted({parent[:end] for parent in parents for end in _ends_of_parts(parent)})

    def write_arrays(self, store: _core.Store, on_rows: Callable[[int], None]) -> list[WrittenObject]:
        objects: list[WrittenObject] = []
        for number, (name, plan) in enumerate(self.plans.items()):
            path = f"{self.record.zarr_group}/{name}"
            # Rows of several arrays count once.
            source = self.sources[name]
            blocks = _blocks(path, plan, source, on_rows if number == 0 else lambda _: on_rows(0))
            objects += write_blocks(store, path, _stored_dtype(source), plan, blocks)
        return objects

    def pointers(self, struct: pa.StructType) -> pa.StructArray:
        return dense_pointers(struct, self.record.feature_space, self.record.zarr_group, self.n_rows)


def _ends_of_parts(path: str) -> list[int]:
    return [i for i in range(len(path) + 1) if i == len(path) or path[i] == "/"]


def _check_space(spec: ZarrGroupSpec) -> None:
    name = spec.feature_space
    if spec.is_matrix:
        raise UnsupportedError(f"feature space '{name}' is a cells x features matrix; add_from_anndata takes it")
    if spec.pointer_kind is not PointerKind.DENSE or spec.has_var_df or spec.layers.required:
        raise UnsupportedError(
            f"feature space '{name}' is not one of dense arrays without features and layers, such as 'image_tiles'"
        )
    if not spec.required_arrays:
        raise UnsupportedError(f"feature space '{name}' names no array that a group must have")


def _sources(spec: ZarrGroupSpec, array: Any) -> dict[str, Any]:
    """The arrays by name, checked against the spec and each other."""
    names = [required.array_name for required in spec.required_arrays]
    given = dict(array) if isinstance(array, Mapping) else {names[0]: array}
    if sorted(given) != sorted(names):
        raise InvalidArgumentError(f"array: feature space '{spec.feature_space}' needs {names}, found {sorted(given)}")
    for required in spec.required_arrays:
        _check_array(required, given[required.array_name])
    rows = {name: given[name].shape[0] for name in names}
    if len(set(rows.values())) > 1:
        raise InvalidArgumentError(f"array: as many rows in each expected, found {rows}")
    return {name: given[name] for name in names}


def _check_array(required: ArraySpec, source: Any) -> None:
    name = required.array_name
    if isinstance(source, np.ma.MaskedArray) or not all(hasattr(source, part) for part in ("shape", "dtype")):
        raise InvalidArgumentError(
            f"array '{name}': a NumPy array, an array of zarr-python or the like expected, "
            f"found {type(source).__name__}"
        )
    shape, kind = tuple(source.shape), np.dtype(source.dtype)
    if required.ndim is not None and len(shape) != required.ndim:
        raise InvalidArgumentError(f"array '{name}': {required.ndim} axes expected, cells first, found shape {shape}")
    if not shape or 0 in shape:
        raise InvalidArgumentError(f"array '{name}' of shape {shape} is empty; there is nothing to ingest")
    if kind.kind not in "biuf" or kind.itemsize > 8:
        raise InvalidArgumentError(f"array '{name}' holds {kind}, expected integers or floats of at most 64 bits")
    if required.dtype_kind is not None and kind.kind != required.dtype_kind.value:
        raise InvalidArgumentError(f"array '{name}': dtype kind '{required.dtype_kind.value}' expected, found {kind}")


def _plan(
    name: str, source: Any, chunk_shape: Sequence[int] | None, shard_shape: Sequence[int] | None, codec: str
) -> ArrayPlan:
    shape = tuple(int(size) for size in source.shape)
    encoding = make_encoding(codec, len(shape), chunk_shape, shard_shape)
    plan = encoding.plan_values(shape, _stored_dtype(source))
    if plan.chunk_shape[1:] != shape[1:] or plan.shard_shape[1:] != shape[1:]:
        raise InvalidArgumentError(
            f"array '{name}' of shape {shape}: only the first axis may be cut, found chunks {plan.chunk_shape} in "
            f"shards {plan.shard_shape}"
        )
    return plan


def _obs_columns(atlas: HasCatalog, cell_schema: Any, obs: pd.DataFrame | None, n_cells: int) -> dict[str, pa.Array]:
    import pandas as pd

    frame = pd.DataFrame(index=range(n_cells)) if obs is None else obs
    if not isinstance(frame, pd.DataFrame) or len(frame) != n_cells:
        found = f"{len(frame)} rows" if isinstance(frame, pd.DataFrame) else type(frame).__name__
        raise InvalidArgumentError(f"obs must be a pandas.DataFrame of {n_cells} rows, found {found}")
    return convert_obs(frame, obs_fields(atlas.catalog), cell_schema.model_fields)


def _blocks(path: str, plan: ArrayPlan, source: Any, on_rows: Callable[[int], None]) -> Iterator[np.ndarray]:
    dtype = _stored_dtype(source)
    step = _rows_at_once(source)
    for begin in range(0, plan.shape[0], step):
        end = min(begin + step, plan.shape[0])
        block = np.ascontiguousarray(source[begin:end], dtype=dtype)
        if block.shape != (end - begin, *plan.shape[1:]):
            raise InvalidArgumentError(
                f"array for '{path}': rows {begin} to {end} have the shape {block.shape}, "
                f"expected {(end - begin, *plan.shape[1:])}"
            )
        yield block
        on_rows(end - begin)


def _stored_dtype(source: Any) -> np.dtype:
    return np.dtype(source.dtype).newbyteorder("=")


def _rows_at_once(source: Any) -> int:
    """Rows of about `_BLOCK_BYTES`, whole chunks of a chunked source, so that none is decoded twice."""
    row_bytes = int(np.prod(source.shape[1:], dtype=np.int64)) * np.dtype(source.dtype).itemsize
    rows = max(1, _BLOCK_BYTES // row_bytes)
    chunks = getattr(source, "shards", None) or getattr(source, "chunks", None)
    chunk_rows = chunks[0] if chunks and isinstance(chunks[0], int) else 1
    return max(1, rows // chunk_rows) * chunk_rows
