"""Writes one array as it was planned, block by block."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from homeobox import _core
from homeobox.ingest.encoding import ArrayPlan
from homeobox.ingest.sparse_writer import WrittenObject


def open_array(store: _core.Store, path: str, dtype: np.dtype, plan: ArrayPlan) -> _core.ArrayWriter:
    """A writer of the array that `plan` describes."""
    return _core.ArrayWriter(
        store, path, dtype.name, list(plan.shape), list(plan.chunk_shape), list(plan.shard_shape), plan.codecs_json
    )


def write_blocks(
    store: _core.Store, path: str, dtype: np.dtype, plan: ArrayPlan, blocks: Iterable[np.ndarray]
) -> list[WrittenObject]:
    """Write the whole array from its blocks along axis 0 and return its objects; no block is asked for twice."""
    writer = open_array(store, path, dtype, plan)
    try:
        for block in blocks:
            writer.append(block)
        return list(writer.finish())
    except BaseException:
        del writer  # it waits for its shards, which would else arrive after the group was cleared
        raise
