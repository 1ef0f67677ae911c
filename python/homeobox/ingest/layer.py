"""A layer that is added to a stored group later: the same cells and features, other values."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from homeobox import _core
from homeobox.catalog.groups import StoredGroup
from homeobox.errors import HomeoboxError, InvalidArgumentError, UnsupportedError
from homeobox.ingest.anndata import HasCatalog
from homeobox.ingest.array_writer import write_blocks
from homeobox.ingest.dataset_plan import check_layer_name
from homeobox.ingest.encoding import ArrayPlan, Codec, make_encoding
from homeobox.ingest.feature_uids import read_feature_uids, with_feature_uids
from homeobox.ingest.group_claim import claim_group
from homeobox.ingest.layer_entries import StoredPattern, dense_values, sparse_values
from homeobox.ingest.layer_manifest import is_listed, list_array
from homeobox.ingest.manifest_update import ManifestGoneError, has_manifest
from homeobox.ingest.pending import failures_are_final
from homeobox.ingest.progress import row_progress
from homeobox.ingest.same_dataset import check_same_dataset
from homeobox.ingest.scratch import scratch_directory
from homeobox.ingest.sources import (
    CsrSource,
    DenseAsRows,
    DenseSource,
    Reading,
    SourceDataset,
    open_source,
    read_dataset,
    with_columns,
)
from homeobox.ingest.stored_rows import stored_row_bounds
from homeobox.ingest.survey import check_counts
from homeobox.schema import PointerKind, ZarrGroupSpec, get_spec
from homeobox.schema.byte_sizes import parse_bytes

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from homeobox.catalog import Catalog


def add_layer(
    atlas: HasCatalog,
    zarr_group: str,
    feature_space: str,
    adata: anndata.AnnData | str | os.PathLike[str],
    *,
    zarr_layer: str,
    source: str = "X",
    feature_uids: str | Sequence[str] | None = None,
    var: pd.DataFrame | None = None,
    memory: int | str = "1GiB",
    whole_counts: bool = True,
) -> None:
    """Add a layer to a group that is already there.

    The layer shows when it is whole, and the same call simply works again after a failure: what an earlier one left
    that was not finished is written anew.

    Parameters
    ----------
    atlas : RaggedAtlas
        Writable.
    zarr_group : str
        A group of the atlas, all of whose cells are there.
    feature_space : str
        The one of the group.
    adata : anndata.AnnData, str or path
        As for :func:`add_from_anndata`. Its rows are the cells of the group, in the order in which they were added;
        its columns the features of the group, in any order. In a sparse feature space its values must lie where the
        group has entries; an entry that it lacks is stored as zero.
    zarr_layer : str
        Name of the new layer.
    source, feature_uids, var, memory, whole_counts
        As for :func:`add_from_anndata`.

    Raises
    ------
    InvalidArgumentError
        There is no such dataset, the layer is there or not allowed, or the source does not fit the group.
    ConflictError
        Another process is adding the layer, or the dataset was deleted or replaced meanwhile.

    Notes
    -----
    Stage: experimental. Reads the source and the stored indices once.
    """
    catalog = atlas.catalog
    spec, dataset = _check_request(catalog, zarr_group, feature_space, zarr_layer)
    reading = Reading(parse_bytes(memory), scratch_directory(catalog))
    store, path = catalog.store, f"{spec.layers.path}/{zarr_layer}"
    document = f"{zarr_group}/{path}/zarr.json"
    is_to_be_listed = has_manifest(store, zarr_group)

    def check_missing() -> None:
        # One that is not listed was made by a writer that did not live to list it: leftovers, maybe of other values.
        if store.size(document) is not None and is_listed(store, zarr_group, path):
            raise InvalidArgumentError(f"zarr group '{zarr_group}' has a layer '{zarr_layer}' already")

    def check_claimed() -> None:
        check_same_dataset(catalog, dataset)
        check_missing()

    check_missing()
    with open_source(adata, reading) as opened:
        found = read_dataset(opened, [source], spec.pointer_kind is PointerKind.DENSE)
        features = with_feature_uids(with_columns(found.var, var, "var"), feature_uids)
        to_layout = _columns_to_layout(catalog, dataset, found, read_feature_uids(features))
        plan, blocks = _plan(catalog, spec, zarr_group, found.matrix, to_layout)
        with (
            claim_group(store, f"{zarr_group}/{path}", check_claimed, replace_unclaimed=True) as claim,
            row_progress(f"layer {zarr_layer} of {zarr_group}", found.matrix.shape[0]) as advance,
        ):

            def written() -> Iterator[np.ndarray]:
                for values, n_rows in blocks:
                    if zarr_layer == "counts":
                        check_counts(values, found.matrix.name, whole_counts)
                    yield values
                    advance(n_rows)
                    claim.renew()
                claim.confirm()

            objects = write_blocks(store, f"{zarr_group}/{path}", found.matrix.dtype, plan, written())
            # It is whole now, and a manifest that fails to be written may have been written all the same.
            claim.keep_objects()
            try:
                list_array(store, zarr_group, path, objects, must_exist=is_to_be_listed)
            except ManifestGoneError:
                claim.give_up_objects()
                raise
            except HomeoboxError:
                if failures_are_final(catalog) and not is_listed(store, zarr_group, path):
                    claim.give_up_objects()
                raise


def _check_request(
    catalog: Catalog, group: str, feature_space: str, layer: str
) -> tuple[ZarrGroupSpec, dict[str, Any]]:
    """The spec of the feature space, and the dataset row."""
    if catalog.read_only:
        raise InvalidArgumentError(
            f"the atlas {catalog.location} is checked out at version {catalog.version} and read-only; "
            "open it with RaggedAtlas.open or create_or_open_atlas to add a layer"
        )
    spec = get_spec(feature_space)
    if not spec.is_matrix:
        raise UnsupportedError(f"feature space '{feature_space}' is not a cells x features matrix; it has no layers")
    check_layer_name(spec, layer)
    dataset = catalog.datasets.by_group().get(group)
    if dataset is None or dataset["feature_space"] != feature_space:
        raise InvalidArgumentError(
            f"No dataset record found for zarr group '{group}' in feature space '{feature_space}'"
        )
    return spec, dataset


def _columns_to_layout(catalog: Catalog, dataset: dict[str, Any], found: SourceDataset, uids: list[str]) -> np.ndarray:
    layout, group = catalog.layouts.read(dataset["layout_uid"])[0], dataset["zarr_group"]
    place_of = {uid: place for place, uid in enumerate(layout)}
    unknown = [uid for uid in uids if uid not in place_of]
    if unknown or len(uids) != len(place_of) or len(set(uids)) != len(uids):
        missing = sorted(place_of.keys() - set(uids))
        raise InvalidArgumentError(
            f"the features of {found.name} must be those of zarr group '{group}', each once: {len(unknown)} are not "
            f"of the group (first 5: {unknown[:5]}), {len(missing)} of its {len(place_of)} are missing "
            f"(first 5: {missing[:5]}), {len(uids) - len(set(uids))} are repeated"
        )
    return np.array([place_of[uid] for uid in uids], dtype=np.uint32)


def _plan(
    catalog: Catalog, spec: ZarrGroupSpec, group: str, matrix: CsrSource | DenseSource, to_layout: np.ndarray
) -> tuple[ArrayPlan, Iterator[tuple[np.ndarray, int]]]:
    """The array, and what goes into it."""
    store = catalog.store
    if spec.pointer_kind is PointerKind.DENSE:
        assert isinstance(matrix, DenseSource)  # read_dataset was asked for whole rows
        stored = StoredGroup(store, group)
        name = stored.array_names(spec.layers.path)[0]
        other = _core.Array.open(store, f"{group}/{spec.layers.path}/{name}")
        _check_rows(matrix, group, other.shape[0])
        encoding = make_encoding(_codec_of(other), 2, None, None)
        return encoding.plan_values(other.shape, matrix.dtype), dense_values(matrix, to_layout)
    rows = DenseAsRows(matrix) if isinstance(matrix, DenseSource) else matrix
    bounds = stored_row_bounds(catalog, group, spec.feature_space)
    _check_rows(matrix, group, len(bounds) - 1)
    indices = _core.Array.open(store, f"{group}/{spec.required_arrays[0].array_name}")
    order_path = f"{group}/{posixpath.join(spec.layers.prefix, 'feature_order')}"
    order = None
    if store.size(f"{order_path}/zarr.json") is not None:
        order = _core.Array.open(store, order_path).read_all()
    pattern = StoredPattern(indices, bounds, len(to_layout), order)
    encoding = make_encoding(_codec_of(indices), 1, None, None)
    return encoding.plan_values((int(bounds[-1]),), matrix.dtype), sparse_values(pattern, rows, to_layout)


def _check_rows(matrix: CsrSource | DenseSource, group: str, n_rows: int) -> None:
    if matrix.shape[0] != n_rows:
        raise InvalidArgumentError(
            f"{matrix.name} has {matrix.shape[0]} cells, but zarr group '{group}' has {n_rows} rows"
        )


def _codec_of(array: _core.Array) -> Codec:
    # Everything that is not in our own codec is for 0.2.2 to read.
    return "bp128" if "homeobox.bp128" in array.metadata else "bitpacking"
