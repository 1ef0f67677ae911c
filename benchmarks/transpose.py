"""Transposition of a packed group on disk, CSR to CSC: speed and memory, and SciPy's on unpacked arrays beside it.

    python benchmarks/transpose.py [--counts 1e8] [--data pbmc3k|synthetic] [--codec bp128|bitpacking]
        [--memory 512MiB] [--scipy N] [--json FILE]

Writes the group as an ingest does, then transposes it in a process of its own, whose memory is watched: `rss_growth`
is the largest resident size above that before the call, `anonymous_growth` the part of it that is not pages of files.
SciPy transposes the first N counts in memory, one thread, without reading, packing or writing anything.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

from homeobox import _core
from homeobox.ingest.csc_arrays import plan_copy
from homeobox.ingest.encoding import Codec, Encoding
from homeobox.schema import get_spec
from homeobox.schema.byte_sizes import parse_bytes

MIB = 1 << 20


def pbmc3k() -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Row lengths, indices, values and number of genes of pbmc3k, to be repeated."""
    from homeobox import datasets

    counts = datasets.pbmc3k().X.tocsr()
    return np.diff(counts.indptr), counts.indices, counts.data.astype(np.float32), counts.shape[1]


def synthetic() -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """5,000 cells of 20,000 uniform genes at 7 %, counts 1 + geometric(0.3), to be repeated."""
    rng = np.random.default_rng(0)
    n_genes, n_cells = 20_000, 5_000
    rows = [np.flatnonzero(rng.random(n_genes, dtype=np.float32) < 0.07).astype(np.int32) for _ in range(n_cells)]
    indices = np.concatenate(rows)
    return (
        np.array([len(row) for row in rows]),
        indices,
        (1 + rng.geometric(0.3, len(indices))).astype(np.float32),
        n_genes,
    )


def write_group(folder: pathlib.Path, data: str, codec: Codec, n_counts: int) -> None:
    lengths, indices, values, n_genes = globals()[data]()
    repeats = max(1, round(n_counts / len(indices)))
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    order = None
    if codec == "bp128":
        order = _core.feature_order(np.bincount(indices, weights=values, minlength=n_genes))
    stored, (values,) = _core.reorder_csr(indptr, indices, [values], n_genes, order)
    store, encoding, n_entries = _core.FileStore(str(folder)), Encoding(codec), repeats * len(stored)
    plans = [encoding.plan_indices(n_entries), encoding.plan_values((n_entries,), values.dtype)]
    for name, part, plan in zip(["indices", "layers/counts"], [stored, values], plans, strict=True):
        shapes = [list(plan.shape), list(plan.chunk_shape), list(plan.shard_shape)]
        writer = _core.ArrayWriter(store, f"g/csr/{name}", part.dtype.name, *shapes, plan.codecs_json)
        for _ in range(repeats):
            writer.append(part)
        writer.finish()
    if order is not None:
        plan = encoding.plan_sidecar(n_genes, order.dtype)
        shapes = [list(plan.chunk_shape), list(plan.shard_shape)]
        _core.write_array(store, "g/csr/feature_order", order, *shapes, plan.codecs_json)
    np.save(folder / "row_bounds.npy", np.concatenate([[0], np.cumsum(np.tile(lengths, repeats), dtype=np.int64)]))
    (folder / "facts.json").write_text(json.dumps({"data": data, "codec": codec, "n_genes": n_genes}))


class MemoryWatch:
    """Largest resident and anonymous memory of this process, in bytes above what there was at the start."""

    def __init__(self) -> None:
        self._first = self._read()
        self._largest = self._first
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.resident, self.anonymous = (
            largest - first for largest, first in zip(self._largest, self._first, strict=True)
        )

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self._largest = tuple(map(max, self._largest, self._read()))

    @staticmethod
    def _read() -> tuple[int, ...]:
        status = pathlib.Path("/proc/self/status").read_text()
        return tuple(1024 * int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmRSS", "RssAnon"))


def transpose(folder: pathlib.Path, memory_bytes: int) -> dict[str, float]:
    """One transposition in this process, which has done nothing else."""
    row_bounds = np.load(folder / "row_bounds.npy")
    facts = json.loads((folder / "facts.json").read_text())
    store = _core.FileStore(str(folder))
    for key, _ in store.list("g/csc/"):
        store.remove(key)
    plan = plan_copy(store, "g", get_spec("gene_expression"), "counts", facts["n_genes"], None, None)
    usage, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    with MemoryWatch() as memory:
        objects = _core.transpose_csr(
            store,
            "g",
            row_bounds,
            plan.n_features,
            [(plan.layer_source, plan.layer)],
            plan.rows,
            plan.feature_bounds,
            memory_bytes=memory_bytes,
            scratch_directory=str(folder),
        )
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    n_counts = int(row_bounds[-1])
    return {
        **facts,
        "counts": n_counts,
        "seconds": seconds,
        "counts_per_s": n_counts / seconds,
        "cpu_s": after.ru_utime - usage.ru_utime + after.ru_stime - usage.ru_stime,
        "rss_growth_mib": memory.resident / MIB,
        "anonymous_growth_mib": memory.anonymous / MIB,
        "bits_per_count": 8 * sum(n_bytes for _, n_bytes, _ in objects) / n_counts,
    }


def scipy_counts_per_s(folder: pathlib.Path, n_counts: int) -> float:
    import scipy.sparse as sp

    row_bounds = np.load(folder / "row_bounds.npy")
    n_rows = int(np.searchsorted(row_bounds, n_counts, side="right")) - 1
    n = int(row_bounds[n_rows])
    store = _core.FileStore(str(folder))
    indices = _core.Array.open(store, "g/csr/indices").read([0], [n]).astype(np.int32)
    values = _core.Array.open(store, "g/csr/layers/counts").read([0], [n])
    shape = (n_rows, json.loads((folder / "facts.json").read_text())["n_genes"])
    matrix = sp.csr_matrix((values, indices, row_bounds[: n_rows + 1].astype(np.int32)), shape=shape)
    begin = time.perf_counter()
    matrix.tocsc()
    return n / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=float, default=1e8)
    parser.add_argument("--data", choices=["pbmc3k", "synthetic"], default="synthetic")
    parser.add_argument("--codec", choices=["bp128", "bitpacking"], default="bp128")
    parser.add_argument("--memory", default="512MiB")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scipy", type=float, default=1e7, help="counts that SciPy transposes; 0: none")
    parser.add_argument("--json")
    parser.add_argument("--keep", help="folder to write to and keep; reused when it is there")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(transpose(pathlib.Path(options.only), parse_bytes(options.memory))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(options.keep or scratch)
        if not (folder / "facts.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_group(folder, options.data, options.codec, int(options.counts))
        lines = []
        for _ in range(options.repeat):
            load = os.getloadavg()[0]
            command = [sys.executable, __file__, "--only", str(folder), "--memory", options.memory]
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            lines.append({"memory": options.memory, "load": load, **result})
            print(json.dumps(lines[-1]), flush=True)
        if options.scipy:
            rate = scipy_counts_per_s(folder, int(options.scipy))
            lines.append({"scipy_counts_per_s": rate, "load": os.getloadavg()[0]})
            print(json.dumps(lines[-1]))
    if options.json:
        with open(options.json, "a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
