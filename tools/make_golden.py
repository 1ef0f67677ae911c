"""Write the golden arrays of the current format version: stored bytes that every later version must still read.

    python tools/make_golden.py [--target tests/golden/format1]

Run it once for each new version of FORMAT.md; files of an old version are never made again. Each array is a small
case of one codec, and ``group`` is what an ingest leaves of one dataset. ``expected.json`` keeps shape, dtype and the
digest of the decoded bytes of every array, ``group.json`` the rows of the group.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

import homeobox as hox
from homeobox import _core
from homeobox.schema import SparseZarrPointer

FORMAT = 1
TARGET = Path(__file__).resolve().parents[1] / "tests" / "golden" / f"format{FORMAT}"

BP128 = [{"name": "homeobox.bp128", "configuration": {"version": 1}}]
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
CRC32C = {"name": "crc32c"}

# Several checksum groups of bp128 in each chunk, and a last chunk that is partial.
CHUNK = 1536
N_ELEMENTS = 2 * CHUNK + 577


def bitpacking(transform: str, element_size: int = 4) -> list[dict]:
    packing = {"name": "homeobox.bitpacking", "configuration": {"transform": transform, "element_size": element_size}}
    return [BYTES, packing, CRC32C]


def noise(n: int, bits: int) -> np.ndarray:
    """Reproducible integers below ``2 ** bits``, whatever NumPy's generators do: SplitMix64."""
    mixed = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(64 - bits)


def cases() -> Iterator[tuple[str, np.ndarray, list[dict]]]:
    """(name, values, codecs): every mode of bp128, both sides of its type rules, and what 0.2.2 reads."""
    small = noise(N_ELEMENTS, 3)
    spiky = np.where(noise(N_ELEMENTS, 6) == 0, noise(N_ELEMENTS, 14), small)
    # Rows of ascending feature indices, as a sparse group stores them.
    ascending = np.concatenate([np.sort(noise(n, 12)) for n in np.full(N_ELEMENTS // 23 + 1, 23)])[:N_ELEMENTS]
    walk = np.cumsum(noise(N_ELEMENTS, 4).astype(np.int64) - 7)
    yield "bp128_constant", np.full(N_ELEMENTS, 7, dtype=np.uint32), BP128
    yield "bp128_small_uint32", small.astype(np.uint32), BP128
    yield "bp128_exceptions_uint32", spiky.astype(np.uint32), BP128
    yield "bp128_ascending_uint32", ascending.astype(np.uint32), BP128
    yield "bp128_walk_int32", walk.astype(np.int32), BP128
    yield "bp128_offsets_int64", np.cumsum(noise(N_ELEMENTS, 9)).astype(np.int64) + (1 << 40), BP128
    yield "bp128_counts_float32", spiky.astype(np.float32) + 1, BP128
    yield "bp128_counts_float64", small.astype(np.float64) - 3, BP128
    yield "bp128_bytes_uint8", noise(N_ELEMENTS, 8).astype(np.uint8), BP128
    yield "bp128_fractions_float32", np.sqrt(small.astype(np.float32)), BP128
    yield "bp128_no_integers_float32", odd_floats(), BP128
    yield "bp128_incompressible_float32", noise(N_ELEMENTS, 32).astype(np.uint32).view(np.float32), BP128
    # Short rows of a small panel that repeat.
    yield "bp128_panel_uint32", np.resize(np.sort(noise(17, 6)), N_ELEMENTS).astype(np.uint32), BP128
    for dtype in ("bool", "int8", "int16", "uint16", "uint64", "float16"):
        yield f"bp128_plain_{dtype}", (small % 2 if dtype == "bool" else spiky % 100).astype(dtype), BP128
    yield "bp128_negative_int64", small.astype(np.int64) - (1 << 62), BP128
    # Moduli that are powers of two, the largest of them not to be written in 32 bits.
    yield "bp128_ascending_17_bits_uint64", (ascending + (ascending > 2000) * 70_000).astype(np.uint64), BP128
    yield "bp128_ascending_32_bits_uint32", (ascending + (ascending > 2000) * 4_000_000_000).astype(np.uint32), BP128
    # The second of three chunks is absent.
    yield "bp128_gap_int32", np.where(np.arange(N_ELEMENTS) // CHUNK == 1, 0, walk).astype(np.int32), BP128
    yield "bp128_dense_float32", spiky[: 600 * 6].reshape(600, 6).astype(np.float32), BP128
    for transform in ("none", "delta", "delta_zigzag"):
        yield f"bitpacking_{transform}_uint32", ascending.astype(np.uint32), bitpacking(transform)
    yield "bitpacking_delta_zigzag_int64", walk - (1 << 40), bitpacking("delta_zigzag", 8)
    yield "zstd_float32", small.astype(np.float32), [BYTES, {"name": "zstd", "configuration": {"level": 3}}]


def odd_floats() -> np.ndarray:
    """Negative zero, infinities and NaN payloads among whole numbers; they come back bit for bit."""
    values = noise(N_ELEMENTS, 5).astype(np.float32)
    values[[3, 700]] = -0.0
    values[[5, 900]] = np.inf, -np.inf
    values.view(np.uint32)[[8, 1200]] = 0x7FC00001, 0xFF812345
    return values


GROUP_CELLS, GROUP_FEATURES = 40, 300


def group_rows() -> list[tuple[list[int], list[float]]]:
    """(features, counts) of each cell of the golden group: an empty row, a repeated entry and a stored zero as well."""
    features = noise(GROUP_CELLS * 20, 20).reshape(GROUP_CELLS, 20) % GROUP_FEATURES
    counts = noise(GROUP_CELLS * 20, 6).reshape(GROUP_CELLS, 20) // 16 + 1
    rows = [(np.unique(row).tolist(), counts[i, : len(np.unique(row))].tolist()) for i, row in enumerate(features)]
    rows[3] = ([], [])
    rows[7] = ([5, 290, 5], [2, 1, 4])
    rows[8][1][0] = 0
    return rows


class GoldenFeature(hox.FeatureBaseSchema):
    pass


class GoldenCell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None


def write_group(target: Path) -> None:
    """The group that an ingest of `group_rows` writes, as the folder `target`."""
    rows = group_rows()
    indptr = np.cumsum([0, *(len(features) for features, _ in rows)])
    indices = np.concatenate([features for features, _ in rows]).astype(np.int32)
    values = np.concatenate([counts for _, counts in rows]).astype(np.float32)
    matrix = sp.csr_matrix((values, indices, indptr), shape=(GROUP_CELLS, GROUP_FEATURES))
    uids = [f"feature{i}" for i in range(GROUP_FEATURES)]
    with tempfile.TemporaryDirectory() as folder:
        atlas = hox.create_or_open_atlas(
            folder,
            "cells",
            GoldenCell,
            "datasets",
            hox.DatasetRecord,
            registry_schemas={"gene_expression": GoldenFeature},
        )
        atlas.register_features("gene_expression", [GoldenFeature(uid=uid) for uid in uids])
        hox.add_from_anndata(
            atlas,
            anndata.AnnData(matrix, var=pd.DataFrame({"global_feature_uid": uids}, index=uids)),
            feature_space="gene_expression",
            zarr_layer="counts",
            dataset_record=hox.DatasetRecord(zarr_group="group", feature_space="gene_expression", n_cells=GROUP_CELLS),
        )
        shutil.copytree(Path(folder) / "zarr_store" / "group", target)


def describe(values: np.ndarray) -> dict[str, object]:
    digest = hashlib.sha256(values.astype(values.dtype.newbyteorder("<")).tobytes()).hexdigest()
    return {"dtype": values.dtype.name, "shape": list(values.shape), "sha256": digest}


def write_array(store: _core.Store, name: str, values: np.ndarray, codecs: list[dict]) -> None:
    chunk = [CHUNK] if values.ndim == 1 else [CHUNK // values.shape[1], values.shape[1]]
    _core.write_array(store, name, values, chunk, [4 * chunk[0], *chunk[1:]], json.dumps(codecs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, default=TARGET)
    target = parser.parse_args().target
    shutil.rmtree(target, ignore_errors=True)
    store = _core.FileStore(str(target))
    expected = {}
    for name, values, codecs in cases():
        write_array(store, name, values, codecs)
        expected[name] = describe(values)
    write_group(target / "group")
    (target / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")
    rows = [{"features": features, "counts": counts} for features, counts in group_rows()]
    (target / "group.json").write_text(json.dumps(rows) + "\n")
    n_bytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{len(expected)} arrays and a group, {n_bytes / 1e3:.0f} kB in {target}")


if __name__ == "__main__":
    main()
