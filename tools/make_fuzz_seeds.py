"""Write the seeds of the fuzz targets, cpp/fuzz/corpus/<target>/: small valid inputs, one per form.

    python tools/make_fuzz_seeds.py

Seeds that a fuzzer found lie beside them under the names that libFuzzer gave them; they stay.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from pathlib import Path

import numpy as np

from homeobox import _core

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "cpp" / "fuzz" / "corpus"
BP128 = '[{"name": "homeobox.bp128", "configuration": {"version": 1}}]'


def write(target: str, name: str, data: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def counts(n: int) -> np.ndarray:
    """Small numbers with a few large ones: packed with exceptions."""
    values = (np.arange(n) * 7919) % 13
    values[::50] += 3000
    return values


def codec_chains() -> None:
    """One chunk per chain, which the first byte picks by its place in the target's own list."""
    source = (ROOT / "cpp" / "fuzz" / "codec_chain_fuzz.cc").read_text()
    for i, codecs in enumerate(re.findall(r'R"\((\[.*\])\)",', source)):
        encoded = _core.encode_chunk(codecs, "uint32", [300], counts(300).astype(np.uint32))
        write("codec_chain_fuzz", f"chain-{i:02}", bytes([i]) + encoded)


def bp128() -> None:
    """Chunks of 1,500 elements, one per mode and element type."""
    types = ["uint32", "float32", "uint8", "int64", "float64", "float16", "bool", "int16"]
    n = 1500
    shapes = {
        "counts": counts(n),
        "rising": np.arange(n) * 3 % 900,
        "walk": 500 + np.cumsum((np.arange(n) % 7) - 3),
        "panel": (np.arange(n) * 5) % 23,
        "fractions": np.sin(np.arange(n)) * 100,
        "constant": np.full(n, 7),
        "tail": np.where(np.arange(n) < 200, counts(n), 0),
    }
    for number, dtype in enumerate(types):
        for name, values in shapes.items():
            if name != "counts" and dtype not in ("uint32", "float32"):
                continue
            data = values.astype(bool if dtype == "bool" else dtype)
            write("bp128_fuzz", f"{dtype}-{name}", bytes([number]) + _core.encode_chunk(BP128, dtype, [n], data))


def block_kernels() -> None:
    """Parameters, then payloads: no exceptions, some, all."""
    for width, high_width, exceptions in [(0, 0, b""), (7, 0, b""), (3, 9, b"\x01\x80" + b"\x81\x01" + b"\xff" * 4)]:
        shape = struct.pack("<BBBBIH", width, high_width, len(exceptions), 0x80, 1234, 700)
        fields = bytes(i * 37 % 256 for i in range(16 * width))
        write("block_kernels_fuzz", f"width-{width}-{high_width}", shape + fields + exceptions)


def arrays() -> None:
    """zarr.json alone, an index alone, and both with a shard."""
    forms = {
        "sharded": ([40], [8], [24], BP128, "end"),
        "index-first": ([40], [8], [24], '["bytes", "crc32c"]', "start"),
        "unsharded": ([40], [8], None, '["bytes", "zstd"]', "end"),
        "two-axes": ([9, 10], [4, 5], [8, 10], '["bytes", "gzip"]', "end"),
    }
    for name, (shape, chunk, shard, codecs, location) in forms.items():
        store = _core.MemoryStore()
        data = counts(int(np.prod(shape))).astype(np.uint32).reshape(shape)
        objects = _core.write_array(store, "g/a", data, chunk, shard, codecs, index_location=location)
        text = store.read("g/a/zarr.json")
        shards = [store.read(key) for key, _, _ in objects if not key.endswith("zarr.json")]
        compact = json.dumps(json.loads(text), separators=(",", ":")).encode()
        write("metadata_fuzz", name, compact)
        write("array_fuzz", name, struct.pack("<H", len(compact)) + compact + shards[0])
        if name == "sharded":
            _core.write_manifest(store, "g", objects)
            write("manifest_fuzz", "group", store.read("g/.hox-manifest"))


def shard_indexes() -> None:
    """Flags, object size, largest chunk, then the table."""
    entries = [(0, 10), (2**64 - 1, 2**64 - 1), (10, 20), (40, 5)]
    for flags in range(4):
        shift = 0 if flags & 1 else 64
        table = b"".join(struct.pack("<QQ", o + (shift if o < 99 else 0), n) for o, n in entries)
        checksum = struct.pack("<I", _core.crc32c(table)) if flags & 2 else b""
        write("shard_index_fuzz", f"flags-{flags}", bytes([flags, 200, 64]) + table + checksum)


def main() -> int:
    for make in (codec_chains, bp128, block_kernels, arrays, shard_indexes):
        make()
    return 0


if __name__ == "__main__":
    sys.exit(main())
