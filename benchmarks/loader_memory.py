"""What a bounded memory budget costs `query().to_loader()`: its speed and its anonymous memory, small budget and large.

    python benchmarks/loader_memory.py [--groups 22] [--small 256MiB] [--large 4GiB] [--json FILE] [--keep FOLDER]

Writes an atlas of more than 1 GiB of packed counts (data A of ``loader.py``, more groups of it), then takes shuffled
batches for some seconds in a process of its own for each budget, several times in turn. `anonymous_growth_mib` is the
largest resident anonymous memory above that before the loader is made: pages of files that are mapped are not in it.
Prints one JSON line per process and one with the medians' ratio.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from loader import Cell, Gene, data_a

BATCH_SIZE = 512
SECONDS = 6.0


def anonymous_mib() -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024


def make_atlas(folder: pathlib.Path, n_groups: int) -> None:
    import anndata

    import homeobox as hox

    atlas = hox.create_or_open_atlas(
        str(folder / "atlas"), "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": Gene}
    )
    groups = data_a()
    uids = [f"g{i:05d}" for i in range(groups[0].shape[1])]
    atlas.register_features("gene_expression", [Gene(uid=uid) for uid in uids])
    for number in range(n_groups):
        adata = anndata.AnnData(groups[number % len(groups)])
        adata.var_names = uids
        adata.var["global_feature_uid"] = uids
        record = hox.DatasetRecord(zarr_group=f"d{number}", feature_space="gene_expression", n_cells=adata.n_obs)
        hox.add_from_anndata(atlas, adata, feature_space="gene_expression", zarr_layer="counts", dataset_record=record)
    atlas.optimize()
    atlas.snapshot()


def measure(folder: pathlib.Path, memory: str) -> dict[str, float | str]:
    import homeobox as hox

    atlas = hox.RaggedAtlas.checkout_latest(str(folder / "atlas"))
    query = atlas.query()
    n_cells, before = query.count(), anonymous_mib()
    peak, cells, loader = 0.0, 0, query.to_loader(BATCH_SIZE, memory=memory)
    start = time.perf_counter()
    while (seconds := time.perf_counter() - start) < SECONDS:
        for batch in loader:
            cells += len(batch)
            if cells % (BATCH_SIZE * 64) == 0:
                peak = max(peak, anonymous_mib())
                if time.perf_counter() - start > SECONDS:
                    break
    return {
        "benchmark": "loader_memory",
        "memory": memory,
        "cells": n_cells,
        "cells_per_s": round(cells / seconds),
        "anonymous_growth_mib": round(peak - before, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=22)
    parser.add_argument("--small", default="256MiB")
    parser.add_argument("--large", default="4GiB")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("--keep", help="folder to write to and keep; reused when it is there")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(pathlib.Path(options.only[0]), options.only[1])))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(options.keep or scratch)
        if not (folder / "atlas").exists():
            folder.mkdir(parents=True, exist_ok=True)
            make_atlas(folder, options.groups)
        packed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        lines = []
        for _ in range(options.repeat):
            for memory in (options.small, options.large):
                command = [sys.executable, __file__, "--only", str(folder), memory]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                lines.append({**json.loads(output), "atlas_mib": packed >> 20})
                print(json.dumps(lines[-1]), flush=True)
        rates = [
            statistics.median(line["cells_per_s"] for line in lines if line["memory"] == memory)
            for memory in (options.small, options.large)
        ]
        lines.append({"benchmark": "loader_memory", "small_of_large": round(rates[0] / rates[1], 3)})
        print(json.dumps(lines[-1]))
    if options.json:
        with open(options.json, "a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
