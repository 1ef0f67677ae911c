"""Bits per count of real matrices as an ingest stores them, and what a feature order learnt from other cells costs.

    python benchmarks/sizes.py [--data ../shared/data] [--json FILE]

Ingests each matrix through the public API and adds up the objects of its group but the metadata documents: indices,
values, feature order, shard indexes and manifest; `row_bounds_bits` is what the row bounds take besides. `of_aim`
compares with the size that the design aims at. pbmc3k always runs; the others where their files are. The last line
stores one half of pbmc3k's cells in the feature order of the other half.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterator

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp
from loader import Cell, Gene

import homeobox as hox
from homeobox import _core
from homeobox.ingest.encoding import Encoding

Counts = sp.csr_matrix


def pbmc3k(_: pathlib.Path) -> Counts:
    return hox.datasets.pbmc3k().X.tocsr().astype(np.float32)


def h5ad(name: str) -> Callable[[pathlib.Path], Counts]:
    return lambda data: anndata.read_h5ad(data / name).X.tocsr()


def cite_rna(data: pathlib.Path) -> Counts:
    whole = anndata.read_h5ad(data / "cite_pbmc_10k_protein_v3_200cells.h5ad")
    counts = whole.raw.X if whole.raw is not None else whole.X
    types = whole.var.get("feature_types")
    return sp.csr_matrix(counts if types is None else counts[:, (types == "Gene Expression").to_numpy()])


def celseq2(data: pathlib.Path) -> Counts:
    return sp.csr_matrix(pd.read_csv(data / "rna_sc_mixology_celseq2.count.csv.gz", index_col=0).to_numpy().T)


def visium(data: pathlib.Path) -> Counts:
    import h5py

    with h5py.File(data / "spatial_10x_visium_100genes.h5") as file:
        group = file["matrix"]
        shape = group["shape"][:]
        arrays = (group["data"][:], group["indices"][:], group["indptr"][:])
    return sp.csc_matrix(arrays, shape).T.tocsr()


# Name, reader, bits per count of the design's "mean order" column; panels are held against zstd-3 + shuffle.
MATRICES: list[tuple[str, Callable[[pathlib.Path], Counts], float]] = [
    ("pbmc3k", pbmc3k, 7.0),
    ("FACS PBMC", h5ad("rna_pbmc_facs_zheng2017.h5ad"), 7.2),
    ("C. elegans embryo", h5ad("rna_celegans_embryo_10x.h5ad"), 8.1),
    ("CEL-seq2", celseq2, 5.5),
    ("CITE-seq RNA", cite_rna, 6.2),
    ("Visium panel", visium, 6.4),
    ("CROP-seq panel", h5ad("perturb_cropseq_scmageck_28genes.h5ad"), 6.0),
]


def stored_bits(counts: Counts) -> tuple[float, float]:
    """Of everything but the row bounds, and of those."""
    with tempfile.TemporaryDirectory() as folder:
        atlas = hox.create_or_open_atlas(
            folder, "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": Gene}
        )
        uids = [f"g{i}" for i in range(counts.shape[1])]
        atlas.register_features("gene_expression", [Gene(uid=uid) for uid in uids])
        adata = anndata.AnnData(counts)
        adata.var["global_feature_uid"] = uids
        record = hox.DatasetRecord(zarr_group="d", feature_space="gene_expression", n_cells=counts.shape[0])
        hox.add_from_anndata(atlas, adata, feature_space="gene_expression", zarr_layer="counts", dataset_record=record)
        group = pathlib.Path(folder) / "zarr_store" / "d"
        objects = [path for path in group.rglob("*") if path.is_file() and path.name != "zarr.json"]
        n_bytes = sum(path.stat().st_size for path in objects)
        row_bounds = sum(path.stat().st_size for path in objects if "indptr" in path.relative_to(group).parts)
    return 8 * (n_bytes - row_bounds) / counts.nnz, 8 * row_bounds / counts.nnz


def other_half_bits() -> float:
    """Bits per count of the second half of pbmc3k's cells, stored in the feature order of the first, order apart."""
    counts = pbmc3k(pathlib.Path())
    half = counts.shape[0] // 2
    totals = np.asarray(counts[:half].sum(axis=0), dtype=np.float64).ravel()
    rest = counts[half:]
    indices, (values,) = _core.reorder_csr(
        rest.indptr.astype(np.int64), rest.indices, [rest.data], rest.shape[1], _core.feature_order(totals)
    )
    encoding, store = Encoding(), _core.MemoryStore()
    n_bytes = 0
    for name, array, plan in (
        ("indices", indices, encoding.plan_indices(rest.nnz)),
        ("values", values, encoding.plan_values((rest.nnz,), values.dtype)),
    ):
        shapes = [list(plan.chunk_shape), list(plan.shard_shape)]
        objects = _core.write_array(store, name, array, *shapes, plan.codecs_json)
        n_bytes += sum(size for key, size, _ in objects if not key.endswith("zarr.json"))
    return 8 * n_bytes / rest.nnz


def lines(data: pathlib.Path) -> Iterator[dict[str, object]]:
    for name, read, aim in MATRICES:
        try:
            counts = read(data)
        except FileNotFoundError:
            continue
        bits, row_bounds_bits = stored_bits(counts)
        yield {
            "benchmark": "sizes",
            "data": name,
            "counts_per_cell": round(counts.nnz / counts.shape[0], 1),
            "bits_per_count": round(bits, 2),
            "of_aim": round(bits / aim, 3),
            "row_bounds_bits": round(row_bounds_bits, 2),
        }
    yield {
        "benchmark": "sizes",
        "data": "pbmc3k, order of the other half",
        "bits_per_count": round(other_half_bits(), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--json")
    options = parser.parse_args()
    for line in lines(options.data):
        text = json.dumps(line)
        print(text, flush=True)
        if options.json:
            with open(options.json, "a") as file:
                file.write(text + "\n")


if __name__ == "__main__":
    main()
