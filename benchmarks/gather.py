"""Random gather of packed rows against copies of the same rows unpacked, in one run.

    python benchmarks/gather.py BENCH_BINARY [--cells 405000] [--data pbmc3k|synthetic] [--threads 1] [--json FILE]

Tiles pbmc3k (or a synthetic set of 1,400 counts per cell) to several times the last-level cache, packs it as an ingest
does, writes the same matrix unpacked beside it and runs ``gather_bench`` on both.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from homeobox import _core

CHUNK_ELEMENTS = 12_288
SHARD_ELEMENTS = 4_190_208
BP128 = json.dumps([{"name": "homeobox.bp128", "configuration": {"version": 1}}])


def pbmc3k(n_cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """indptr, indices and values of pbmc3k repeated until there are `n_cells` cells, and its number of genes."""
    from homeobox import datasets

    counts = datasets.pbmc3k().X.tocsr()
    repeats = -(-n_cells // counts.shape[0])
    lengths = np.tile(np.diff(counts.indptr), repeats)[:n_cells]
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    indices = np.tile(counts.indices, repeats)[: indptr[-1]]
    values = np.tile(counts.data.astype(np.float32), repeats)[: indptr[-1]]
    return indptr, indices, values, counts.shape[1]


def synthetic(n_cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """20,000 uniform genes at 7 %, counts 1 + geometric(0.3): the set of the published loader benchmarks."""
    rng = np.random.default_rng(0)
    n_genes, distinct = 20_000, 5_000
    rows = [np.flatnonzero(rng.random(n_genes, dtype=np.float32) < 0.07).astype(np.int32) for _ in range(distinct)]
    which = rng.integers(0, distinct, n_cells)
    indptr = np.concatenate([[0], np.cumsum([len(rows[i]) for i in which], dtype=np.int64)])
    indices = np.concatenate([rows[i] for i in which])
    values = (1 + rng.geometric(0.3, len(indices))).astype(np.float32)
    return indptr, indices, values, n_genes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("--cells", type=int, default=405_000)
    parser.add_argument("--data", choices=["pbmc3k", "synthetic"], default="pbmc3k")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--json")
    parser.add_argument("--keep", help="folder to write to and keep; reused when it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(options.keep or scratch)
        if not (folder / "indptr.i64").exists():
            folder.mkdir(parents=True, exist_ok=True)
            indptr, indices, values, n_genes = globals()[options.data](options.cells)
            order = _core.feature_order(np.bincount(indices, weights=values, minlength=n_genes))
            stored, (values,) = _core.reorder_csr(indptr, indices, [values], n_genes, order)
            store = _core.FileStore(str(folder))
            for name, data in [("indices", stored), ("layers/counts", values), ("feature_order", order)]:
                shard = min(-(-len(data) // CHUNK_ELEMENTS) * CHUNK_ELEMENTS, SHARD_ELEMENTS)
                _core.write_array(store, f"g/csr/{name}", data, [CHUNK_ELEMENTS], [shard], BP128)
            stored.tofile(folder / "indices.u32")
            values.tofile(folder / "values.f32")
            indptr.tofile(folder / "indptr.i64")
            del indices, values, stored
        command = [options.binary, str(folder), "g", str(folder), str(options.threads), str(options.seconds)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [json.dumps({**json.loads(line), "data": options.data}) for line in output.splitlines()]
    print("\n".join(lines))
    if options.json:
        with open(options.json, "a") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
