"""Ingest of many files on a Dask cluster of this machine: what fails fails alone, and the table says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cloudpickle
import dask
import distributed
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Cell, Dataset, checked_out, empty_atlas

import homeobox as hox
from homeobox.errors import InvalidArgumentError

UIDS = [f"gene{i}" for i in range(12)]

# The workers cannot import this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def local_cluster(**options: int) -> distributed.LocalCluster:
    # A port that is free: other clusters of this machine may run, those of other tests too.
    return distributed.LocalCluster(dashboard_address=":0", scheduler_kwargs={"dashboard": False}, **options)


@pytest.fixture(scope="module")
def client():
    with (
        local_cluster(n_workers=2, threads_per_worker=2) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def source(name: str, rng: np.random.Generator) -> Dataset:
    matrix = sp.csr_matrix(rng.integers(0, 4, (15, 12)).astype(np.int32))
    return Dataset(name, matrix, UIDS, pd.DataFrame({"label": [f"{name}-{i}" for i in range(15)], "number": range(15)}))


def files_of(folder: Path, n: int, rng: np.random.Generator) -> list[Path]:
    folder.mkdir()
    paths = []
    for i in range(n):
        paths.append(folder / f"d{i}.h5ad")
        source(f"d{i}", rng).anndata().write_h5ad(paths[-1])
    return paths


def test_files_are_spread_and_failures_stay_alone(tmp_path, rng, client):
    import anndata

    from homeobox.dask import ingest

    folder = tmp_path / "atlas"
    empty_atlas(folder, {"gene_expression": UIDS})
    paths = files_of(tmp_path / "files", 8, rng)
    paths[2].write_bytes(paths[2].read_bytes()[:5000])
    stranger = anndata.read_h5ad(paths[5])
    stranger.var["global_feature_uid"] = [f"other{i}" for i in range(12)]
    stranger.write_h5ad(paths[5])
    paths.append(tmp_path / "files" / "none.h5ad")

    table = ingest(folder, paths, cell_schema=Cell, client=client)
    assert table.columns == ["zarr_group", "file", "status", "n_cells", "seconds", "tries", "error"]
    assert table["file"].to_list() == [str(path) for path in paths]
    assert table["zarr_group"].to_list() == [*(f"d{i}" for i in range(8)), "none"]
    failed = table.filter(table["status"] != "added")
    assert failed["zarr_group"].to_list() == ["d2", "d5", "none"]
    assert failed["status"].to_list() == ["failed"] * 3
    assert "d2.h5ad" in failed["error"][0]
    assert "not found in registry" in failed["error"][1]
    assert "NotFoundError" in failed["error"][2]
    good = [0, 1, 3, 4, 6, 7]
    assert table["n_cells"].to_list() == [15 if i in good else None for i in range(9)]
    assert table["error"].null_count() == 6

    snapshot = checked_out(hox.RaggedAtlas.open(str(folder), "cells", Cell), folder)
    result = snapshot.query().to_anndata()
    assert result.n_obs == 90
    by_label = {label: i for i, label in enumerate(result.obs["label"])}
    for i in good:
        expected = anndata.read_h5ad(paths[i])
        found = result[[by_label[label] for label in expected.obs["label"]], UIDS]
        assert (found.X != expected.X).nnz == 0

    # The same call again adds what failed before and is mended now.
    source("d2", rng).anndata().write_h5ad(paths[2])
    again = ingest(folder, paths[:4], cell_schema=Cell)  # by the current client
    assert again["status"].to_list() == ["present", "present", "added", "present"]

    # What has the name of a file but is something else is not that file.
    anndata.read_h5ad(paths[0])[:9].copy().write_h5ad(tmp_path / "files" / "shorter.h5ad")
    files = {"d0": tmp_path / "files" / "shorter.h5ad", "d1": paths[1]}
    other = ingest(folder, files, cell_schema=Cell, client=client)
    assert other["status"].to_list() == ["failed", "present"]
    assert "another dataset has the group 'd0': n_cells 15 there and 9 here" in other["error"][0]
    space = ingest(folder, {"d1": paths[1]}, cell_schema=Cell, client=client, feature_space="protein_abundance")
    assert "feature_space 'gene_expression' there and 'protein_abundance' here" in space["error"][0]


def add_file(atlas: hox.RaggedAtlas, path: str, group: str) -> int:
    record = hox.DatasetRecord(zarr_group=group, feature_space="gene_expression", n_cells=15)
    return hox.add_from_anndata(
        atlas, path, feature_space="gene_expression", zarr_layer="counts", dataset_record=record
    )


def die_once(path: str, where: str) -> None:
    """End this worker, if the file is d0 and none has ended here before."""
    if Path(path).stem != "d0":
        return
    try:
        os.close(os.open(f"{path}.{where}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def add_and_die(atlas: hox.RaggedAtlas, path: str, group: str) -> int:
    """The worker dies with the arrays written, with the dataset row written, or with everything written."""
    from homeobox.catalog import Table

    append, catalog = Table.append, atlas.catalog

    def mortal_append(table: Table, rows: object) -> None:
        if table is catalog.datasets.table:
            die_once(path, "before the dataset row")
        if table is catalog.cells.table:
            die_once(path, "before the commit")
        append(table, rows)
        if table is catalog.cells.table:
            die_once(path, "after the commit")

    Table.append = mortal_append
    try:
        return add_file(atlas, path, group)
    finally:
        Table.append = append


def assert_holds(folder: Path, paths: list[Path]) -> None:
    """The atlas is whole and has the cells of these files, each once."""
    import anndata

    atlas = hox.RaggedAtlas.open(str(folder), "cells", Cell)
    snapshot = checked_out(atlas, folder)
    assert not snapshot.validate(deep=True)
    result = snapshot.query().to_anndata()
    assert result.n_obs == 15 * len(paths)
    by_label = {label: i for i, label in enumerate(result.obs["label"])}
    for path in paths:
        expected = anndata.read_h5ad(path)
        found = result[[by_label[label] for label in expected.obs["label"]], UIDS]
        assert (found.X != expected.X).nnz == 0
    # Whoever died behind its commit left a claim on what is whole.
    assert set(atlas.clean()["kind"]) <= {"claim"}
    # A commit that lost a race was made anew, with files of its own.
    assert set(atlas.leftovers()["kind"]) <= {"table file"}


def test_workers_that_die_in_the_middle_of_an_ingest(tmp_path, rng):
    from homeobox.dask import ingest

    folder = tmp_path / "atlas"
    empty_atlas(folder, {"gene_expression": UIDS})
    paths = files_of(tmp_path / "files", 2, rng)
    # Nannies start dead workers anew. A task may lose more of them than it does by default, so that no bystander fails.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 20}),
        local_cluster(n_workers=2, threads_per_worker=1) as cluster,
        distributed.Client(cluster) as client,
    ):
        table = ingest(folder, paths, cell_schema=Cell, add=add_and_die, client=client, worker_timeout_s=120)
        # Whoever died after its commit can tell nobody; who looks next finds the dataset there.
        assert table["status"][0] == "present"
        assert table["status"][1] in ("added", "present")
        assert table["error"].null_count() == 2
        again = ingest(folder, paths, cell_schema=Cell, client=client)
        assert again["status"].to_list() == ["present", "present"]
    assert_holds(folder, paths)
    assert len(list((tmp_path / "files").glob("d0.h5ad.*"))) == 3


def always_die(atlas: hox.RaggedAtlas, path: str, group: str) -> int:
    if group == "d1":
        os.kill(os.getpid(), signal.SIGKILL)
    return add_file(atlas, path, group)


def test_a_file_of_which_workers_die_fails_alone(tmp_path, rng):
    from homeobox.dask import ingest

    folder = tmp_path / "atlas"
    empty_atlas(folder, {"gene_expression": UIDS})
    paths = files_of(tmp_path / "files", 3, rng)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        local_cluster(n_workers=1, threads_per_worker=1) as cluster,
        distributed.Client(cluster) as client,
    ):
        table = ingest(folder, paths, cell_schema=Cell, add=always_die, client=client, worker_timeout_s=120)
        # What was added just before another file ended the worker may have to be looked for: then it is present.
        assert set(table["status"].gather([0, 2])) <= {"added", "present"}
        assert table["status"][1] == "failed"
        assert "a worker died of it each time" in table["error"][1]
    assert_holds(folder, [paths[0], paths[2]])


def test_a_cluster_without_workers_is_not_waited_for_for_ever(tmp_path, rng):
    from homeobox.dask import ingest

    folder = tmp_path / "atlas"
    empty_atlas(folder, {"gene_expression": UIDS})
    paths = files_of(tmp_path / "files", 3, rng)
    with local_cluster(n_workers=0) as cluster:
        # Without a nanny nobody starts it anew, and one worker is ended for all files by the first.
        command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
        options = ["--no-nanny", "--no-dashboard", "--nthreads", "1"]
        process = subprocess.Popen([*command, *options], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        try:
            with distributed.Client(cluster) as client:
                client.wait_for_workers(1)
                table = ingest(folder, paths, cell_schema=Cell, add=add_and_die, client=client, worker_timeout_s=2)
        finally:
            process.kill()
            assert process.wait() == -signal.SIGKILL  # as it was from inside
        assert table["status"].to_list() == ["failed"] * 3
        assert all("the cluster had no worker for 2 s" in error for error in table["error"])
    assert not hox.RaggedAtlas.open(str(folder), "cells", Cell).list_datasets().height

    again = ingest(folder, paths, cell_schema=Cell, client=None)  # the current one, or one for the call
    assert again["status"].to_list() == ["added"] * 3
    assert_holds(folder, paths)


def add_never(atlas: hox.RaggedAtlas, path: str, group: str) -> int:
    Path(f"{path}.begun").touch()
    while True:
        time.sleep(1)


def test_a_scheduler_that_dies_ends_the_call(tmp_path, rng):
    from homeobox.dask import ingest

    folder = tmp_path / "atlas"
    empty_atlas(folder, {"gene_expression": UIDS})
    paths = files_of(tmp_path / "files", 2, rng)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    address = ["--scheduler-file", str(tmp_path / "scheduler.json")]

    def start(program: str, *options: str) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *address, "--no-dashboard", *options]
        return subprocess.Popen(command, env=environment)

    processes = [start("scheduler", "--port", "0"), start("worker", "--no-nanny", "--nthreads", "1")]

    def kill_scheduler() -> None:
        while not list((tmp_path / "files").glob("*.begun")):
            time.sleep(0.05)
        processes[0].kill()

    killer = threading.Thread(target=kill_scheduler, daemon=True)
    try:
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "5s"}),
            distributed.Client(scheduler_file=address[1]) as client,
        ):
            client.wait_for_workers(1)
            killer.start()
            table = ingest(folder, paths, cell_schema=Cell, add=add_never, client=client, worker_timeout_s=60)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    killer.join()
    assert table["status"].to_list() == ["failed"] * 2
    assert table["error"].null_count() == 0


def add_or_refuse(atlas: hox.RaggedAtlas, path: str, group: str) -> int:
    """Any function of ours takes a file; this one refuses one."""
    if group == "odd":
        raise ValueError("not this one")
    return add_file(atlas, path, group)


def test_a_function_of_the_users(tmp_path, rng, client):
    from homeobox.dask import ingest

    folder = tmp_path / "atlas"
    atlas = empty_atlas(folder, {"gene_expression": UIDS})
    first, second = files_of(tmp_path / "files", 2, rng)
    files = {"one": first, "two": second, "odd": second}
    table = ingest(folder, files, cell_schema=Cell, add=add_or_refuse, client=client)
    assert table["status"].to_list() == ["added", "added", "failed"]
    assert table["error"][2] == "ValueError: not this one"
    assert sorted(atlas.list_datasets()["zarr_group"]) == ["one", "two"]


def test_names_that_cannot_be_are_refused(tmp_path):
    from homeobox.dask import ingest

    with pytest.raises(InvalidArgumentError, match="would both be group 'a'"):
        ingest(tmp_path, ["x/a.h5ad", "y/a.h5ad"], cell_schema=Cell)
    with pytest.raises(InvalidArgumentError, match="'a' would enclose the group 'a/b'"):
        ingest(tmp_path, {"a": "x.h5ad", "a/b": "y.h5ad"}, cell_schema=Cell)
    with pytest.raises(InvalidArgumentError, match="found the path"):
        ingest(tmp_path, "x.h5ad", cell_schema=Cell)
    with pytest.raises(hox.errors.NotFoundError):
        ingest(tmp_path / "none", ["x.h5ad"], cell_schema=Cell)
