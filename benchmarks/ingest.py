"""How fast a dataset goes in, from memory and from an uncompressed h5ad file, and in how much memory.

    python benchmarks/ingest.py [--counts 1e8] [--repeats 3] [--json FILE] [--keep FOLDER]

The counts are those of pbmc3k, over and over. Each measurement is a process of its own, several times in turn:

memory     `add_from_anndata` of a CSR matrix in memory, cell rows included
h5ad       the same from the file
h5py       only reading `data`, `indices` and `indptr` of the file with h5py
columns    `add_from_anndata` of a file of a tenth of the counts that is stored by columns, with a budget of 64 MiB

`anonymous_growth_mib` is the largest resident anonymous memory above that before the call: pages of files are not in
it. `peak_growth_mib` has them too: it is the growth of the high-water mark (VmHWM) that the kernel keeps. Prints one
JSON line per process, and one with medians: `h5ad_above_memory` is what the file adds to the time from memory, as a
part of the time that h5py takes; it is to be 0.25 at most.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import homeobox as hox
from homeobox.schema import SparseZarrPointer

KINDS = ["memory", "h5ad", "h5py", "columns"]


class Cell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None


class Gene(hox.FeatureBaseSchema):
    pass


def status_mib(key: str) -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{key}:")) / 1024


def reset_peak() -> None:
    """From now on VmHWM counts from what is resident; where that is forbidden it is that of the whole process."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def measured(call: Callable[[], object]) -> dict[str, float]:
    """Seconds, seconds of all cores, and growth of anonymous and of all resident memory of a call."""
    before, peak, done = status_mib("RssAnon"), 0.0, threading.Event()
    reset_peak()
    peak_before = status_mib("VmHWM")

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, status_mib("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
        call()
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    finally:
        done.set()
        watcher.join()
    return {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "anonymous_growth_mib": round(max(peak - before, 0), 1),
        "peak_growth_mib": round(status_mib("VmHWM") - peak_before, 1),
    }


def tiled_counts(n_counts: int):
    """CSR matrix of about `n_counts` counts, made without a second copy."""
    import numpy as np
    import scipy.sparse as sp

    from homeobox.datasets import pbmc3k

    once = pbmc3k().X.tocsr()
    times = max(1, round(n_counts / once.nnz))
    lengths = np.tile(np.diff(once.indptr), times)
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    arrays = (np.tile(once.data, times), np.tile(once.indices, times), indptr)
    return sp.csr_matrix(arrays, shape=(len(lengths), once.shape[1]), copy=False)


def described(matrix):
    import anndata
    import pandas as pd

    uids = [f"g{i:05d}" for i in range(matrix.shape[1])]
    return anndata.AnnData(matrix, var=pd.DataFrame({"global_feature_uid": uids}, index=uids))


def make_files(folder: pathlib.Path, n_counts: int) -> None:
    described(tiled_counts(n_counts)).write_h5ad(folder / "rows.h5ad")
    described(tiled_counts(n_counts // 10).tocsc()).write_h5ad(folder / "columns.h5ad")


def measure(folder: pathlib.Path, kind: str, n_counts: int) -> dict[str, object]:
    import h5py

    path = folder / ("columns.h5ad" if kind == "columns" else "rows.h5ad")
    with h5py.File(path) as file:
        shape, entries = tuple(int(size) for size in file["X"].attrs["shape"]), file["X/data"].shape[0]
    found: dict[str, object] = {"benchmark": "ingest", "kind": kind, "cells": shape[0], "counts": entries}
    if kind == "h5py":

        def read() -> None:
            with h5py.File(path) as file:
                for key in ("data", "indices", "indptr"):
                    file["X"][key][()]

        return {**found, **measured(read)}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        atlas = hox.create_or_open_atlas(
            name, "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": Gene}
        )
        atlas.register_features("gene_expression", [Gene(uid=f"g{i:05d}") for i in range(shape[1])])
        memory = "64MiB" if kind == "columns" else "1GiB"
        source = described(tiled_counts(n_counts)) if kind == "memory" else path

        def ingest(group: str, adata: object, n_cells: int) -> None:
            record = hox.DatasetRecord(zarr_group=group, feature_space="gene_expression", n_cells=n_cells)
            hox.add_from_anndata(
                atlas,
                adata,
                feature_space="gene_expression",
                zarr_layer="counts",
                dataset_record=record,
                memory=memory,
            )

        # The first ingest of a process loads Lance and starts threads.
        small = described(tiled_counts(1))[:100].copy()
        small.write_h5ad(f"{name}/small.h5ad")
        ingest("first", f"{name}/small.h5ad", 100)
        found.update(measured(lambda: ingest("g", source, shape[0])))
    found["counts_per_s"] = round(entries / float(str(found["seconds"])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=float, default=1e8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path, help="also append the lines to this file")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the files, which stay there for the next run")
    parser.add_argument("--one", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    n_counts = int(options.counts)
    if options.one:
        print(json.dumps(measure(options.keep, options.one, n_counts)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "columns.h5ad").exists():
            make_files(folder, n_counts)
        lines = []
        for _ in range(options.repeats):
            for kind in KINDS:
                command = [sys.executable, __file__, "--one", kind, "--keep", str(folder), "--counts", str(n_counts)]
                lines.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
                print(json.dumps(lines[-1]), flush=True)
    median = {kind: statistics.median(line["seconds"] for line in lines if line["kind"] == kind) for kind in KINDS}
    lines.append(
        {
            "benchmark": "ingest",
            "kind": "medians",
            "seconds": median,
            "memory_counts_per_s": round(next(line["counts"] for line in lines) / median["memory"]),
            "h5ad_above_memory": round((median["h5ad"] - median["memory"]) / median["h5py"], 2),
        }
    )
    print(json.dumps(lines[-1]))
    if options.json:
        with options.json.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
