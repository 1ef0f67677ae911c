"""A second reader of arrays and groups on a local disk, written from FORMAT.md, sections 3 and 4, alone.

It knows what the writer uses: sharded arrays with the index at the end, and the chains of section 4.5.
"""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from golden.second_implementation import crc32c, decode_bitpacking, decode_bp128, number, require
from numcodecs.zstd import Zstd

ABSENT = 2**64 - 1


class StoredArray:
    def __init__(self, path: Path) -> None:
        self.path = path
        metadata = json.loads((path / "zarr.json").read_text())
        (sharding,) = metadata["codecs"]
        assert sharding["name"] == "sharding_indexed"
        self.dtype = np.dtype(metadata["data_type"])
        self.fill_value = metadata["fill_value"]
        self.shape = tuple(metadata["shape"])
        self.shard_shape = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
        self.chunk_shape = tuple(sharding["configuration"]["chunk_shape"])
        self.codecs = sharding["configuration"]["codecs"]

    def chunks(self) -> Iterator[tuple[tuple[int, ...], bytes | None]]:
        """(position of the first element, encoded bytes or None) of every chunk that touches the array."""
        grid = [range(-(-n // shard)) for n, shard in zip(self.shape, self.shard_shape, strict=True)]
        slots = [range(shard // chunk) for shard, chunk in zip(self.shard_shape, self.chunk_shape, strict=True)]
        for position in itertools.product(*grid):
            parts = self._split(self.path.joinpath("c", *map(str, position)))
            for slot, encoded in zip(itertools.product(*slots), parts, strict=True):
                begin = tuple(
                    p * shard + s * chunk
                    for p, s, shard, chunk in zip(position, slot, self.shard_shape, self.chunk_shape, strict=True)
                )
                if all(b < n for b, n in zip(begin, self.shape, strict=True)):
                    yield begin, encoded

    def _split(self, shard: Path) -> list[bytes | None]:
        n_chunks = np.prod([s // c for s, c in zip(self.shard_shape, self.chunk_shape, strict=True)], dtype=int)
        if not shard.exists():
            return [None] * n_chunks
        data = shard.read_bytes()
        return split_shard(data, n_chunks)

    def read(self) -> np.ndarray:
        values = np.full(self.shape, self.fill_value, self.dtype)
        for begin, encoded in self.chunks():
            if encoded is None:
                continue
            chunk = self.decode(encoded).reshape(self.chunk_shape)
            extents = [min(c, n - b) for b, c, n in zip(begin, self.chunk_shape, self.shape, strict=True)]
            target = tuple(slice(b, b + extent) for b, extent in zip(begin, extents, strict=True))
            values[target] = chunk[tuple(slice(extent) for extent in extents)]
        return values

    def decode(self, encoded: bytes) -> np.ndarray:
        n_elements = int(np.prod(self.chunk_shape))
        if self.codecs[0]["name"] == "homeobox.bp128":
            assert self.codecs == [{"name": "homeobox.bp128", "configuration": {"version": 1}}]
            return decode_bp128(encoded, self.dtype, n_elements)
        data = encoded
        for codec in reversed(self.codecs[1:]):
            if codec["name"] == "crc32c":
                require(number(data[-4:]) == crc32c(data[:-4]), "checksum of the chunk")
                data = data[:-4]
            elif codec["name"] == "zstd":
                data = bytes(Zstd().decode(data))
            else:
                assert codec["name"] == "homeobox.bitpacking"
                size = codec["configuration"]["element_size"]
                data = decode_bitpacking(data, size, n_elements * self.dtype.itemsize // size).tobytes()
        assert self.codecs[0]["name"] == "bytes"
        order = self.codecs[0].get("configuration", {}).get("endian", "little")
        stored = np.frombuffer(data, self.dtype.newbyteorder("<" if order == "little" else ">"))
        return stored.astype(self.dtype)


def split_shard(data: bytes, n_chunks: int) -> list[bytes | None]:
    """The encoded chunks of a shard with its index, little endian and with crc32c, at the end (4.3)."""
    table_bytes = 16 * n_chunks
    index = data[len(data) - table_bytes - 4 :]
    require(number(index[table_bytes:]) == crc32c(index[:table_bytes]), "checksum of the index")
    chunks: list[bytes | None] = []
    for offset, n_bytes in struct.iter_unpack("<QQ", index[:table_bytes]):
        if offset == n_bytes == ABSENT:
            chunks.append(None)
            continue
        require(offset + n_bytes <= len(data) - len(index), "extent outside the shard")
        chunks.append(data[offset : offset + n_bytes])
    return chunks


def parse_manifest(text: bytes) -> dict[str, tuple[int, str]]:
    """Key -> (size, crc32c) of a group's objects (3.6)."""
    *lines, last = text.splitlines(keepends=True)
    require(json.loads(last) == {"crc32c": f"{crc32c(b''.join(lines)):08x}"}, "checksum of the manifest")
    head, *objects = map(json.loads, lines)
    require(head == {"homeobox_manifest": 1, "objects": len(objects)}, "head of the manifest")
    found = {line["key"]: (line["bytes"], line["crc32c"]) for line in objects}
    require(list(found) == sorted(found, key=str.encode) and len(found) == len(objects), "keys of the manifest")
    return found


def verify_group(group: Path) -> None:
    """Every object of the group against its manifest, and no others."""
    listed = parse_manifest((group / ".hox-manifest").read_bytes())
    stored = {path.relative_to(group).as_posix(): path for path in group.rglob("*") if path.is_file()}
    require(stored.keys() - {".hox-manifest"} == listed.keys(), "objects of the group")
    for key, (n_bytes, crc) in listed.items():
        data = stored[key].read_bytes()
        require((len(data), f"{crc32c(data):08x}") == (n_bytes, crc), key)


def read_rows(group: Path, layer: str) -> list[tuple[list[int], list[float]]]:
    """(positions in the layout, values) of each cell, as stored (3.3)."""
    indptr = StoredArray(group / "csr/indptr").read()
    indices = StoredArray(group / "csr/indices").read()
    values = StoredArray(group / "csr/layers" / layer).read()
    if (group / "csr/feature_order").exists():
        order = StoredArray(group / "csr/feature_order").read()
        require(sorted(order) == list(range(len(order))), "feature order is no permutation")
        indices = order[indices]
    return [(indices[b:e].tolist(), values[b:e].tolist()) for b, e in itertools.pairwise(indptr)]
