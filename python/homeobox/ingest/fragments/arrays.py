"""Writes the arrays of fragments: one order by cell, one by genome. FORMAT.md, section 3."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from homeobox import _core
from homeobox.ingest.array_writer import write_blocks
from homeobox.ingest.encoding import make_encoding
from homeobox.ingest.sparse_writer import WrittenObject

BY_CELL = "cell_sorted"
BY_GENOME = "genome_sorted"

# Elements handed to a writer at once; between two hand-overs the claim on the group is renewed.
_BLOCK = 1 << 24
# Arrays that are always read as a whole are not sharded.
_WHOLE_CHUNK = 1 << 20


def write_by_cell(
    store: _core.Store,
    group: str,
    chromosomes: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    chunk_shape: Sequence[int] | None = None,
    shard_shape: Sequence[int] | None = None,
    codec: str = "bp128",
    on_block: Callable[[], None] = lambda: None,
) -> list[WrittenObject]:
    """Write ``cell_sorted/`` and return its objects. Arrays are uint8, uint32 and uint16 [n]."""
    arrays = {"chromosomes": (chromosomes, np.uint8), "starts": (starts, np.uint32), "lengths": (lengths, np.uint16)}
    return _write(store, _inside(group, BY_CELL), arrays, chunk_shape, shard_shape, codec, on_block)


def write_by_genome(
    store: _core.Store,
    group: str,
    cell_ids: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    chrom_offsets: np.ndarray,
    end_max: np.ndarray,
    chunk_shape: Sequence[int] | None = None,
    shard_shape: Sequence[int] | None = None,
    codec: str = "bp128",
    on_block: Callable[[], None] = lambda: None,
) -> list[WrittenObject]:
    """Write ``genome_sorted/`` and return its objects. Arrays are uint32, uint32 and uint16 [n], int64, uint32."""
    path = _inside(group, BY_GENOME)
    arrays = {"cell_ids": (cell_ids, np.uint32), "starts": (starts, np.uint32), "lengths": (lengths, np.uint16)}
    objects = _write(store, path, arrays, chunk_shape, shard_shape, codec, on_block)
    sidecars = {"chrom_offsets": (chrom_offsets, np.int64), "end_max": (end_max, np.uint32)}
    for name, (values, dtype) in sidecars.items():
        column = np.ascontiguousarray(values, dtype=dtype)
        codecs = make_encoding(codec, 1, None, None).plan_sidecar(len(column), column.dtype).codecs_json
        chunk = [max(1, min(len(column), _WHOLE_CHUNK))]
        objects += _core.write_array(store, f"{path}/{name}", column, chunk, None, codecs)
    return objects


def _write(
    store: _core.Store,
    path: str,
    arrays: Mapping[str, tuple[np.ndarray, type]],
    chunk_shape: Sequence[int] | None,
    shard_shape: Sequence[int] | None,
    codec: str,
    on_block: Callable[[], None],
) -> list[WrittenObject]:
    encoding = make_encoding(codec, 1, chunk_shape, shard_shape)
    objects = [_core.write_group(store, path)]
    for name, (values, dtype) in arrays.items():
        # Starts ascend inside a cell and chromosome, so their differences are small, as those of a row's columns are.
        column: np.ndarray = np.asarray(values, dtype=dtype)
        plan = (
            encoding.plan_indices(len(column)) if name == "starts" else encoding.plan_values(column.shape, column.dtype)
        )
        objects += write_blocks(store, f"{path}/{name}", column.dtype, plan, _blocks(column, on_block))
    return objects


def _blocks(values: np.ndarray, on_block: Callable[[], None]) -> Iterator[np.ndarray]:
    for begin in range(0, len(values), _BLOCK):
        yield np.ascontiguousarray(values[begin : begin + _BLOCK])
        on_block()


def _inside(group: str, name: str) -> str:
    return f"{group}/{name}" if group else name
