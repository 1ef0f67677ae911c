"""Time what a user waits for, warm, on the quickstart's atlas with cell types.

    python benchmarks/atlas.py [--json FILE] [--repeat N]

Prints the median of each operation in milliseconds beside SciPy's row selection on the matrix in memory, which reads
no file, joins no feature space and builds no AnnData: the floor that no atlas can reach. Then the same of fresh
processes: one that defines two schemas, one that counts the cells, one that only loads Lance.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import homeobox as hox
from homeobox.datasets import pbmc3k
from homeobox.schema import SparseZarrPointer

SCHEMAS = """
import homeobox as hox
from homeobox.schema import SparseZarrPointer
class Gene(hox.FeatureBaseSchema):
    gene_symbol: str
class Cell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
"""
COUNT = "import sys, homeobox as hox; hox.RaggedAtlas.checkout_latest(sys.argv[1]).query().count()"


class Gene(hox.FeatureBaseSchema):
    gene_symbol: str


class Cell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    cell_type: str | None = None


def build(folder: Path) -> None:
    """The quickstart's atlas plus ``cell_type``, which obs.louvain fills."""
    atlas = hox.create_or_open_atlas(
        atlas_path=str(folder),
        cell_table_name="cells",
        cell_schema=Cell,
        dataset_table_name="datasets",
        dataset_schema=hox.DatasetRecord,
        registry_schemas={"gene_expression": Gene},
    )
    adata = pbmc3k()
    adata.obs["cell_type"] = adata.obs.pop("louvain").astype(object)
    adata.var["global_feature_uid"] = adata.var_names
    atlas.register_features("gene_expression", [Gene(uid=g, gene_symbol=g) for g in adata.var_names])
    record = hox.DatasetRecord(zarr_group="pbmc3k", feature_space="gene_expression", n_cells=adata.n_obs)
    hox.add_from_anndata(atlas, adata, feature_space="gene_expression", zarr_layer="counts", dataset_record=record)
    atlas.optimize()
    atlas.snapshot()


def median_ms(operation: Callable[[], object], repeat: int) -> float:
    operation()
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        operation()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def fresh_process_ms(code: str, *arguments: str) -> float:
    return median_ms(lambda: subprocess.run([sys.executable, "-c", code, *arguments], check=True), 5)


def measure(folder: Path, repeat: int) -> dict[str, float]:
    atlas = hox.RaggedAtlas.checkout_latest(str(folder))
    source = pbmc3k()
    is_b_cell = (source.obs["louvain"] == "B cells").to_numpy()
    operations: dict[str, Callable[[], object]] = {
        "checkout": lambda: hox.RaggedAtlas.checkout_latest(str(folder)),
        "count": lambda: atlas.query().count(),
        "limit 500": lambda: atlas.query().limit(500).to_anndata(),
        "one cell type": lambda: atlas.query().where("cell_type = 'B cells'").to_anndata(),
        "all cells": lambda: atlas.query().to_anndata(),
        "scipy: 500 rows": lambda: source.X[:500],
        "scipy: one cell type": lambda: source.X[is_b_cell],
        "scipy: all cells": lambda: source.X.copy(),
    }
    figures = {name: median_ms(operation, repeat) for name, operation in operations.items()}
    figures["process: two schemas"] = fresh_process_ms(SCHEMAS)
    figures["process: checkout and count"] = fresh_process_ms(COUNT, str(folder))
    figures["process: import lance"] = fresh_process_ms("import lance")
    figures["lance_db MB"] = sum(f.stat().st_size for f in (folder / "lance_db").rglob("*") if f.is_file()) / 1e6
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeat", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        figures = measure(Path(folder), arguments.repeat)
    for name, value in figures.items():
        print(f"{name:30}{value:10.2f}{'' if name.endswith('MB') else ' ms'}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
