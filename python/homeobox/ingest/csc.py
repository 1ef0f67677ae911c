"""The feature-major copy of a group: its entries once more, by feature, for queries of few features."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from homeobox import _core
from homeobox.catalog.groups import StoredGroup
from homeobox.errors import HomeoboxError, InvalidArgumentError, UnsupportedError
from homeobox.ingest.anndata import HasCatalog
from homeobox.ingest.csc_arrays import CopyPlan, plan_copy
from homeobox.ingest.csc_manifest import is_listed, list_copy
from homeobox.ingest.group_claim import MARKER, GroupClaim, claim_group
from homeobox.ingest.manifest_update import ManifestGoneError, has_manifest
from homeobox.ingest.pending import failures_are_final
from homeobox.ingest.progress import row_progress
from homeobox.ingest.same_dataset import check_same_dataset
from homeobox.ingest.scratch import scratch_directory
from homeobox.ingest.stored_rows import stored_row_bounds
from homeobox.schema import PointerKind, ZarrGroupSpec, get_spec
from homeobox.schema.byte_sizes import parse_bytes

if TYPE_CHECKING:
    from homeobox.catalog import Catalog


def add_csc(
    atlas: HasCatalog,
    zarr_group: str,
    feature_space: str,
    layer_name: str = "counts",
    chunk_size: int | None = None,
    shard_size: int | None = None,
    memory: int | str = "512MiB",
) -> None:
    """Add the feature-major copy of one layer to a group.

    The copy holds, for each feature, the cells that have it and their values, in the dtype of the layer. It is made
    from the stored arrays in bounded memory and shows when it is whole; queries give the same answers with it and
    without it. Further layers can be added later.

    Parameters
    ----------
    atlas : RaggedAtlas
        Writable.
    zarr_group : str
        A group of the atlas, all of whose cells are there.
    feature_space : str
        A sparse one.
    layer_name : str
        The layer to copy, such as "counts".
    chunk_size, shard_size : int, optional
        Elements. Default: what suits the codec of the group.
    memory : int or str
        Bound of the memory that this takes, in bytes or as text. What does not fit goes to a file without a name
        beside the arrays of a local atlas, or else in the directory for temporary files.

    Raises
    ------
    InvalidArgumentError
        There is no such dataset or layer, the layer has its copy, or the cells of the group are not one for each of
        its rows in the order of its entries. Nothing was written.
    ConflictError
        Another process is making the copy, or the dataset was deleted or replaced meanwhile.
    CorruptDataError
        Stored bytes fail their checksum or contradict each other; names array, shard and chunk.

    Notes
    -----
    Stage: experimental. Takes the codec family of the group, so that homeobox 0.2.2 reads the copies of its groups.
    Reads and writes every entry once, and may be repeated after it was stopped, however that happened.
    """
    memory_bytes = parse_bytes(memory)
    catalog = atlas.catalog
    spec, dataset = _check_request(catalog, zarr_group, feature_space, layer_name)
    is_to_be_listed = has_manifest(catalog.store, zarr_group)
    n_features = len(catalog.layouts.read(dataset["layout_uid"])[0])
    row_bounds = stored_row_bounds(catalog, zarr_group, feature_space)
    store = catalog.store
    plan = plan_copy(store, zarr_group, spec, layer_name, n_features, chunk_size, shard_size)

    def check_missing() -> None:
        if store.size(f"{plan.claimed}/{plan.commit_key}") is not None:
            raise InvalidArgumentError(f"zarr group '{zarr_group}' has a feature-major copy of layer '{layer_name}'")

    def check_claimed() -> None:
        check_same_dataset(catalog, dataset)
        check_missing()

    if store.size(f"{plan.claimed}/{plan.commit_key}") is not None and not is_listed(store, zarr_group, layer_name):
        # The copy was made, but whoever made it did not live to list it. Beside it a claim means nothing any more.
        list_copy(store, zarr_group, [])
        for claimed in (f"{zarr_group}/csc", plan.claimed):
            store.remove(f"{claimed}/{MARKER}")
        return
    check_missing()
    with (
        claim_group(store, plan.claimed, check_claimed, replace_unclaimed=True) as claim,
        row_progress(f"feature-major copy of {zarr_group}", 2 * int(row_bounds[-1])) as advance,
    ):
        on_progress = _progress(2 * int(row_bounds[-1]), advance, claim)
        objects = _write(catalog, plan, row_bounds, memory_bytes, on_progress)
        # It is whole now, and a manifest that fails to be written may have been written all the same.
        claim.keep_objects()
        try:
            list_copy(store, zarr_group, objects, must_exist=is_to_be_listed)
        except ManifestGoneError:
            claim.give_up_objects()
            raise
        except HomeoboxError:
            if failures_are_final(catalog) and not is_listed(store, zarr_group, layer_name):
                claim.give_up_objects()
            raise


def _check_request(
    catalog: Catalog, group: str, feature_space: str, layer: str
) -> tuple[ZarrGroupSpec, dict[str, Any]]:
    """Cheap questions first; the spec of the feature space, and the dataset row."""
    if catalog.read_only:
        raise InvalidArgumentError(
            f"the atlas {catalog.location} is checked out at version {catalog.version} and read-only; "
            "open it with RaggedAtlas.open or create_or_open_atlas to add a feature-major copy"
        )
    spec = get_spec(feature_space)
    if not spec.is_matrix or spec.pointer_kind is not PointerKind.SPARSE:
        raise UnsupportedError(f"feature space '{feature_space}' is not sparse; only sparse groups have such a copy")
    if feature_space not in {field.feature_space for field in catalog.pointer_fields.values()}:
        raise InvalidArgumentError(f"the cell table has no pointer field for feature space '{feature_space}'")
    dataset = catalog.datasets.by_group().get(group)
    if dataset is None or dataset["feature_space"] != feature_space:
        raise InvalidArgumentError(
            f"No dataset record found for zarr group '{group}' in feature space '{feature_space}'"
        )
    stored = StoredGroup(catalog.store, group)
    if "/" in layer or stored.array(f"{spec.layers.path}/{layer}") is None:
        raise InvalidArgumentError(
            f"zarr group '{group}' has no layer '{layer}', it has {stored.array_names(spec.layers.path)}"
        )
    return spec, dataset


def _write(
    catalog: Catalog,
    plan: CopyPlan,
    row_bounds: np.ndarray,
    memory_bytes: int,
    on_progress: Callable[[int], None],
) -> list[tuple[str, int, int]]:
    store = catalog.store
    objects = [_core.write_group(store, f"{plan.group}/{path}") for path in ("csc", "csc/layers")]
    objects += _core.transpose_csr(
        store,
        plan.group,
        row_bounds,
        plan.n_features,
        [(plan.layer_source, plan.layer)],
        plan.rows,
        plan.feature_bounds,
        known_bounds=plan.known_bounds,
        indices_path=plan.indices_source,
        feature_order_path=plan.order_source,
        memory_bytes=memory_bytes,
        scratch_directory=scratch_directory(catalog),
        on_progress=on_progress,
    )
    return objects


def _progress(n_all: int, advance: Callable[[int], None], claim: GroupClaim) -> Callable[[int], None]:
    done = 0

    def on_progress(n_done: int) -> None:
        nonlocal done
        advance(n_done - done)
        done = n_done
        if n_done == n_all:
            claim.confirm()  # what is left to write makes the copy show
        else:
            claim.renew()

    return on_progress
