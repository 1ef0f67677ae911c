"""How arrays are cut and encoded: chunk and shard shapes, and the codec chain of each array.

Two families. "bp128" is our own packed form: small chunks, so that a random cell decodes little more than itself, and
shards that follow the size of the array. "bitpacking" is what 0.2.2 writes and reads (FORMAT.md, "Written for
0.2.2"), plus a checksum that 0.2.2 reads too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from homeobox.errors import InvalidArgumentError

Codec = Literal["bp128", "bitpacking"]

_CHUNK_ELEMENTS = {"bp128": 12_288, "bitpacking": 40_960}
_SHARD_ELEMENTS = {"bp128": 1 << 22, "bitpacking": 41_943_040}

# 0.2.2 packs these value types as 32-bit words; everything else goes through zstd.
_BITPACKED_DTYPES = frozenset({"int32", "int64", "uint32", "uint64"})


@dataclass(frozen=True)
class ArrayPlan:
    """Everything that a writer of one array has to know."""

    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    shard_shape: tuple[int, ...]
    codecs_json: str


@dataclass(frozen=True)
class Encoding:
    """The choices of one ingest; `chunk_shape` and `shard_shape` are the caller's or None."""

    codec: Codec = "bp128"
    chunk_shape: tuple[int, ...] | None = None
    shard_shape: tuple[int, ...] | None = None

    def plan_indices(self, n_entries: int) -> ArrayPlan:
        return self._plan((n_entries,), _indices_codecs(self.codec))

    def plan_values(self, shape: Sequence[int], dtype: np.dtype) -> ArrayPlan:
        return self._plan(tuple(shape), _values_codecs(self.codec, dtype, packed=len(shape) == 1))

    def plan_sidecar(self, n_entries: int, dtype: np.dtype) -> ArrayPlan:
        """For the small arrays that describe a group; cut by our own rule whatever the caller chose."""
        return Encoding(self.codec)._plan((n_entries,), _values_codecs(self.codec, dtype, packed=True))

    def _plan(self, shape: tuple[int, ...], codecs: list[dict]) -> ArrayPlan:
        chunk_shape = self.chunk_shape or _default_chunk(self.codec, shape)
        shard_shape = self.shard_shape or _default_shard(self.codec, shape, chunk_shape)
        if any(shard % chunk for shard, chunk in zip(shard_shape, chunk_shape, strict=True)):
            raise InvalidArgumentError(f"shard_shape {shard_shape} is not a multiple of the chunk shape {chunk_shape}")
        return ArrayPlan(shape, chunk_shape, shard_shape, json.dumps(codecs))


def make_encoding(
    codec: str, n_axes: int, chunk_shape: Sequence[int] | None, shard_shape: Sequence[int] | None
) -> Encoding:
    """Check what the caller asked for.

    Raises
    ------
    InvalidArgumentError
        Unknown codec, or a shape of the wrong length or with a size below 1. That the chunks fill the shard is
        checked when an array is planned, since the default chunk of a dense array depends on its width.
    """
    if codec not in _CHUNK_ELEMENTS:
        raise InvalidArgumentError(f"codec {codec!r} is unknown, expected one of {sorted(_CHUNK_ELEMENTS)}")
    shapes = []
    for name, shape in (("chunk_shape", chunk_shape), ("shard_shape", shard_shape)):
        sizes = None if shape is None else tuple(int(size) for size in shape)
        if sizes is not None and (len(sizes) != n_axes or min(sizes) < 1):
            raise InvalidArgumentError(f"{name} {sizes} is not a tuple of {n_axes} positive size(s)")
        shapes.append(sizes)
    return Encoding(codec, *shapes)  # type: ignore[arg-type]


def _default_chunk(codec: Codec, shape: tuple[int, ...]) -> tuple[int, ...]:
    row_elements = int(np.prod(shape[1:], dtype=np.int64))
    return (max(1, _CHUNK_ELEMENTS[codec] // max(1, row_elements)), *shape[1:])


def _default_shard(codec: Codec, shape: tuple[int, ...], chunk_shape: tuple[int, ...]) -> tuple[int, ...]:
    row_elements = int(np.prod(shape[1:], dtype=np.int64))
    chunk_rows = chunk_shape[0]
    shard_rows = max(chunk_rows, _SHARD_ELEMENTS[codec] // max(1, row_elements) // chunk_rows * chunk_rows)
    if codec == "bp128":  # 0.2.2 lets a shard reach beyond the array; its index would then be mostly empty
        shard_rows = min(shard_rows, max(1, -(-shape[0] // chunk_rows)) * chunk_rows)
    # A caller's chunks need not divide the other axes; the shard is rounded up to whole chunks.
    others = tuple(-(-size // chunk) * chunk for size, chunk in zip(shape[1:], chunk_shape[1:], strict=True))
    return (shard_rows, *others)


def _indices_codecs(codec: Codec) -> list[dict]:
    return [_BP128] if codec == "bp128" else [_bytes_codec(4), _bitpacking("delta"), _CRC32C]


def _values_codecs(codec: Codec, dtype: np.dtype, packed: bool) -> list[dict]:
    if codec == "bp128":
        return [_BP128]
    if packed and dtype.name in _BITPACKED_DTYPES:
        return [_bytes_codec(dtype.itemsize), _bitpacking("none"), _CRC32C]
    return [_bytes_codec(dtype.itemsize), _ZSTD, _CRC32C]


_BP128 = {"name": "homeobox.bp128", "configuration": {"version": 1}}
_ZSTD = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}
_CRC32C = {"name": "crc32c"}


def _bytes_codec(item_bytes: int) -> dict:
    # A single byte has no order, and zarr-python then leaves the configuration out.
    return {"name": "bytes", "configuration": {"endian": "little"}} if item_bytes > 1 else {"name": "bytes"}


def _bitpacking(transform: str) -> dict:
    return {"name": "homeobox.bitpacking", "configuration": {"transform": transform, "element_size": 4}}
