"""`query().to_loader()` against plain references, in one run.

The references are copies of the same unpacked rows in C++ on as many threads, and slices of a SciPy CSR matrix in
memory (one thread).

    python benchmarks/loader.py COPY_BENCH [--data A|B] [--batch 64 512 4096] [--json FILE] [--keep FOLDER]

Data A: 120,000 cells x 20,000 genes, 7 %, counts 1 + geometric(0.3), four groups (the set of the published loader
benchmarks, cut to a laptop). Data B: pbmc3k tiled to 108,000 cells. Both go in through the public API. Prints one JSON
line per batch size: cells per second of each way (medians of the rounds) and the ratios.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import anndata
import numpy as np
import scipy.sparse

import homeobox as hox
from homeobox import _core
from homeobox.schema import SparseZarrPointer

ROUNDS = 5
SECONDS = 2.0


class Gene(hox.FeatureBaseSchema):
    """A feature of the benchmark."""


class Cell(hox.HoxBaseSchema):
    """A cell of the benchmark."""

    gene_expression: SparseZarrPointer | None = None


def data_a() -> list[scipy.sparse.csr_matrix]:
    rng = np.random.default_rng(0)
    groups = []
    for _ in range(4):
        n_cells, n_genes = 30_000, 20_000
        # Gaps of a Bernoulli process are geometric; each row is cut from one long run of them.
        gaps = rng.geometric(0.07, int(n_cells * n_genes * 0.0705)).astype(np.int64)
        flat = np.cumsum(gaps) - 1
        flat = flat[flat < n_cells * n_genes]
        rows, columns = np.divmod(flat, n_genes)
        indptr = np.searchsorted(rows, np.arange(n_cells + 1))
        values = (1 + rng.geometric(0.3, len(flat))).astype(np.float32)
        groups.append(scipy.sparse.csr_matrix((values, columns.astype(np.int32), indptr), (n_cells, n_genes)))
    return groups


def data_b() -> list[scipy.sparse.csr_matrix]:
    from homeobox import datasets

    counts = datasets.pbmc3k().X.tocsr()
    return [scipy.sparse.vstack([counts] * 40, format="csr")]


def make_atlas(folder: pathlib.Path, groups: list[scipy.sparse.csr_matrix]) -> None:
    """The atlas through the public API, and the same rows unpacked as raw files in stored order."""
    atlas = hox.create_or_open_atlas(
        str(folder / "atlas"), "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": Gene}
    )
    uids = [f"g{i:05d}" for i in range(groups[0].shape[1])]
    atlas.register_features("gene_expression", [Gene(uid=uid) for uid in uids])
    for number, counts in enumerate(groups):
        adata = anndata.AnnData(counts)
        adata.var_names = uids
        adata.var["global_feature_uid"] = uids
        record = hox.DatasetRecord(zarr_group=f"d{number}", feature_space="gene_expression", n_cells=adata.n_obs)
        hox.add_from_anndata(atlas, adata, feature_space="gene_expression", zarr_layer="counts", dataset_record=record)
    atlas.optimize()
    atlas.snapshot()
    whole = scipy.sparse.vstack(groups, format="csr")
    whole.indptr.astype(np.int64).tofile(folder / "indptr.i64")
    whole.indices.astype(np.uint32).tofile(folder / "indices.u32")
    whole.data.astype(np.float32).tofile(folder / "values.f32")


def loader_rate(loader: object, seconds: float) -> float:
    cells, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for batch in loader:  # type: ignore[attr-defined]
            cells += len(batch)
            if time.perf_counter() - start >= seconds:
                break
    return cells / (time.perf_counter() - start)


def scipy_rate(matrix: scipy.sparse.csr_matrix, batch_size: int, seconds: float) -> float:
    order = np.random.default_rng(0).permutation(matrix.shape[0])
    cells, start = 0, time.perf_counter()
    while True:
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            matrix[rows]
            cells += len(rows)
            if time.perf_counter() - start >= seconds:
                return cells / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("copy_bench")
    parser.add_argument("--data", choices=["A", "B"], default="B")
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 512, 4096])
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--json")
    parser.add_argument("--keep", help="folder to write to and keep; reused when it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(options.keep or scratch)
        if not (folder / "values.f32").exists():
            folder.mkdir(parents=True, exist_ok=True)
            make_atlas(folder, data_a() if options.data == "A" else data_b())
        atlas = hox.RaggedAtlas.checkout_latest(str(folder / "atlas"))
        n_threads = _core.runtime_info()["cpu_threads"]
        raw = [np.fromfile(folder / name, dtype) for name, dtype in (("values.f32", "f4"), ("indices.u32", "i4"))]
        matrix = scipy.sparse.csr_matrix((*raw, np.fromfile(folder / "indptr.i64", "i8").astype(np.int32)))
        for batch_size in options.batch:
            loader = atlas.query().to_loader(batch_size, memory=options.memory)
            loader_rate(loader, SECONDS)  # maps the files and fills the pool
            rates: dict[str, list[float]] = {"loader": [], "copy": [], "scipy": []}
            for _ in range(ROUNDS):
                rates["loader"].append(loader_rate(loader, SECONDS))
                command = [options.copy_bench, str(folder), str(batch_size), str(n_threads), str(SECONDS)]
                rates["copy"].append(float(subprocess.run(command, check=True, capture_output=True).stdout))
                rates["scipy"].append(scipy_rate(matrix, batch_size, SECONDS))
            ratio = {
                name: statistics.median(a / b for a, b in zip(rates["loader"], rates[name], strict=True))
                for name in ("copy", "scipy")
            }
            line = json.dumps(
                {
                    "benchmark": "loader",
                    "data": options.data,
                    "batch_size": batch_size,
                    "threads": n_threads,
                    **{f"{name}_cells_per_s": round(statistics.median(values)) for name, values in rates.items()},
                    "of_copy": round(ratio["copy"], 3),
                    "times_scipy": round(ratio["scipy"], 3),
                    "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
                }
            )
            print(line, flush=True)
            if options.json:
                with open(options.json, "a") as file:
                    file.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
