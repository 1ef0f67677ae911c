"""Which arrays a feature-major copy consists of, and how they are cut and encoded."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

import numpy as np

from homeobox import _core
from homeobox.ingest.encoding import ArrayPlan, Codec, make_encoding
from homeobox.schema import ZarrGroupSpec

#: Path, elements of a chunk, elements of a shard or None, codecs: as the core takes it.
NewArray = tuple[str, int, int | None, str]

# 0.2.2 reads any shard size. Its own of 41,943,040 elements would have to be put together in memory.
_BITPACKING_SHARD_CHUNKS = 100


@dataclass(frozen=True)
class CopyPlan:
    """What is read and what is written; array paths are relative to the group.

    Attributes
    ----------
    rows
        Cell numbers; None if an earlier copy brought them.
    known_bounds
        The feature bounds of the earlier copy.
    claimed
        Path that belongs to the writer until it is done, in the store.
    commit_key
        The object below it whose presence says that all is there.
    """

    group: str
    n_features: int
    indices_source: str
    order_source: str
    layer_source: str
    rows: NewArray | None
    layer: NewArray
    feature_bounds: NewArray
    known_bounds: np.ndarray | None
    claimed: str
    commit_key: str


def plan_copy(
    store: _core.Store,
    group: str,
    spec: ZarrGroupSpec,
    layer: str,
    n_features: int,
    chunk_size: int | None,
    shard_size: int | None,
) -> CopyPlan:
    """Decide the arrays of a copy of `layer`: all of them, or the layer alone beside what an earlier call made.

    Raises
    ------
    InvalidArgumentError
        A size is below 1, or the shard is no multiple of the chunk.
    """
    indices_source = spec.required_arrays[0].array_name
    indices = _core.Array.open(store, f"{group}/{indices_source}")
    values = _core.Array.open(store, f"{group}/{spec.layers.path}/{layer}")
    # Everything that is not in our own codec is for 0.2.2 to read.
    codec: Codec = "bp128" if "homeobox.bp128" in indices.metadata else "bitpacking"
    if codec == "bitpacking" and shard_size is None:
        shard_size = (chunk_size or 40_960) * _BITPACKING_SHARD_CHUNKS
    encoding = make_encoding(
        codec, 1, None if chunk_size is None else (chunk_size,), None if shard_size is None else (shard_size,)
    )
    n_entries = indices.shape[0]
    has_rows = store.size(f"{group}/csc/indptr/zarr.json") is not None
    return CopyPlan(
        group=group,
        n_features=n_features,
        indices_source=indices_source,
        order_source=posixpath.join(spec.layers.prefix, "feature_order"),
        layer_source=f"{spec.layers.path}/{layer}",
        rows=None if has_rows else _new_array("csc/indices", encoding.plan_indices(n_entries)),
        layer=_new_array(f"csc/layers/{layer}", encoding.plan_values((n_entries,), np.dtype(values.dtype))),
        feature_bounds=_new_array(
            "csc/indptr",
            encoding.plan_sidecar(n_features + 1, np.dtype(np.int64)),
            sharded=codec == "bp128",  # as 0.2.2 has it
        ),
        known_bounds=_core.Array.open(store, f"{group}/csc/indptr").read_all() if has_rows else None,
        claimed=f"{group}/csc/layers/{layer}" if has_rows else f"{group}/csc",
        commit_key="zarr.json" if has_rows else "indptr/zarr.json",
    )


def _new_array(path: str, plan: ArrayPlan, sharded: bool = True) -> NewArray:
    return path, plan.chunk_shape[0], plan.shard_shape[0] if sharded else None, plan.codecs_json
