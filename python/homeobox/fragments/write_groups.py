"""Arrays of fragments in groups of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.fragments.group_store import store_of
from homeobox.ingest.encoding import Codec
from homeobox.ingest.fragments import write_by_cell, write_by_genome


def write_fragment_arrays(
    group: Any,
    chromosomes: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    chunk_shape: Sequence[int] | None = None,
    shard_shape: Sequence[int] | None = None,
    *,
    codec: Codec = "bp128",
) -> None:
    """Write ``cell_sorted/chromosomes``, ``starts`` and ``lengths`` of a group.

    Parameters
    ----------
    group : zarr.Group or (store, path)
        In a local folder or a bucket.
    chromosomes, starts, lengths : ndarray, shape (n,)
        As `sort_fragments_by_cell` gives; stored as uint8, uint32 and uint16.

    Raises
    ------
    InvalidArgumentError
        Arrays of other lengths, or values that their types do not hold.
    ConflictError
        There is such an array already.

    Notes
    -----
    Stage: stable. `add_fragments` does this and all else that a dataset of an atlas needs.
    """
    columns = _columns(n=len(starts), chromosomes=(chromosomes, 8), starts=(starts, 32), lengths=(lengths, 16))
    store, path = store_of(group)
    write_by_cell(store, path, *columns, chunk_shape, shard_shape, codec)


def write_genome_sorted_arrays(
    group: Any,
    cell_id_indices: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    chrom_offsets: np.ndarray,
    end_max: np.ndarray,
    chunk_shape: Sequence[int] | None = None,
    shard_shape: Sequence[int] | None = None,
    *,
    codec: Codec = "bp128",
) -> None:
    """Write the five arrays of ``genome_sorted`` of a group.

    Parameters
    ----------
    group : zarr.Group or (store, path)
        In a local folder or a bucket.
    cell_id_indices, starts, lengths, chrom_offsets : ndarray
        As `sort_fragments_by_genome` gives.
    end_max : ndarray
        As `build_end_max` gives.

    Raises
    ------
    InvalidArgumentError
        Arrays of other lengths, or values that their types do not hold.
    ConflictError
        There is such an array already.

    Notes
    -----
    Stage: stable.
    """
    columns = _columns(n=len(starts), cell_id_indices=(cell_id_indices, 32), starts=(starts, 32), lengths=(lengths, 16))
    store, path = store_of(group)
    write_by_genome(store, path, *columns, chrom_offsets, end_max, chunk_shape, shard_shape, codec)


def _columns(*, n: int, **arrays: tuple[np.ndarray, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays as unsigned integers of so many bits."""
    columns = []
    for name, (values, bits) in arrays.items():
        values = np.asarray(values)
        if values.shape != (n,) or values.dtype.kind not in "iu":
            raise InvalidArgumentError(f"{name}: {n} integers expected, found {values.dtype} of shape {values.shape}")
        if n and (int(values.min()) < 0 or int(values.max()) >= 1 << bits):
            raise InvalidArgumentError(
                f"{name}: values of {bits} bits expected, found {values.min()} to {values.max()}"
            )
        columns.append(values.astype(f"uint{bits}", copy=False))
    first, second, third = columns
    return first, second, third
