"""How an array of an exported group is cut and encoded, and its copying piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from homeobox import _core
from homeobox.ingest.encoding import ArrayPlan, Codec, Encoding

WrittenObject = tuple[str, int, int]

# Elements in memory at once, per array. Larger blocks are not faster, and leave holes in the heap.
BLOCK_ELEMENTS = 1 << 20

# 0.2.2 reads any shard size; its own of 41,943,040 elements would have to be put together in memory.
_SHARD_ELEMENTS = 100 * 40_960

# As 0.2.2 has them: small arrays that it reads whole.
_UNSHARDED = frozenset({"csc/indptr", "genome_sorted/chrom_offsets", "genome_sorted/end_max"})

# Whole numbers that mostly rise along the array.
_RISING = frozenset({"indices", "starts"})


def exported_dtype(dtype: np.dtype, codec: Codec) -> np.dtype:
    """The stored type: 0.2.2 reads neither truth values nor half precision, so these become uint8 and float32."""
    if codec == "bitpacking" and dtype.name in ("bool", "float16"):
        return np.dtype(np.uint8 if dtype.name == "bool" else np.float32)
    return dtype


def plan_array(path: str, shape: tuple[int, ...], dtype: np.dtype, codec: Codec) -> ArrayPlan:
    """Chunks, shards and codecs of an array at `path` inside its group."""
    encoding = Encoding(codec)
    if len(shape) == 1 and path.rsplit("/", 1)[-1] in _RISING and dtype.name == "uint32":
        plan = encoding.plan_indices(shape[0])
    else:
        plan = encoding.plan_values(shape, dtype)
    if codec == "bp128":
        return plan
    chunk_rows = plan.chunk_shape[0]
    row_elements = max(1, int(np.prod(shape[1:], dtype=np.int64)))
    shard_rows = max(chunk_rows, _SHARD_ELEMENTS // row_elements // chunk_rows * chunk_rows)
    return ArrayPlan(plan.shape, plan.chunk_shape, (shard_rows, *plan.shard_shape[1:]), plan.codecs_json)


def open_writer(
    store: _core.Store, group: str, path: str, shape: tuple[int, ...], dtype: np.dtype, codec: Codec
) -> _core.ArrayWriter:
    """A writer of one array of a group, to be fed rows and finished."""
    plan = plan_array(path, shape, dtype, codec)
    sharded = codec == "bp128" or path not in _UNSHARDED
    return _core.ArrayWriter(
        store,
        f"{group}/{path}",
        dtype.name,
        list(plan.shape),
        list(plan.chunk_shape),
        list(plan.shard_shape) if sharded else None,
        plan.codecs_json,
    )


def copy_array(source: _core.Array, store: _core.Store, group: str, path: str, codec: Codec) -> list[WrittenObject]:
    """Write an array anew, block by block; the values stay as they are."""
    dtype = exported_dtype(np.dtype(source.dtype), codec)
    writer = open_writer(store, group, path, source.shape, dtype, codec)
    for begin, end in row_blocks(source.shape):
        ends = [end, *source.shape[1:]]
        writer.append(source.read([begin] + [0] * (len(ends) - 1), ends).astype(dtype, copy=False))
    return list(writer.finish())


def row_blocks(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Ranges of rows of about `BLOCK_ELEMENTS` elements each."""
    step = max(1, BLOCK_ELEMENTS // max(1, int(np.prod(shape[1:], dtype=np.int64))))
    for begin in range(0, shape[0], step):
        yield begin, min(begin + step, shape[0])
