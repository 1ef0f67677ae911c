"""The feature-major copy of a group: what it holds, what is refused, and what a stopped writer leaves."""

from __future__ import annotations

import json
import threading

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr
from small_atlas import Dataset, add, checked_out, empty_atlas

import homeobox as hox
import homeobox.codecs  # zarr finds them by entry points only where the package is installed
from homeobox import _core
from homeobox.errors import ConflictError, CorruptDataError, InvalidArgumentError, StoreError, UnsupportedError
from homeobox.ingest import insert_cell_records
from homeobox.ingest.group_claim import MARKER, claim_group

UIDS = [f"gene{i}" for i in range(30)]


@pytest.fixture
def atlas(tmp_path):
    return empty_atlas(tmp_path, {"gene_expression": UIDS, "protein_abundance": ["p1", "p2"]})


def dataset(rng, group="g", dtype=np.float32, n_cells=40) -> Dataset:
    matrix = sp.random(n_cells, len(UIDS), density=0.2, format="csr", rng=rng)
    matrix.data = rng.integers(1, 300, matrix.nnz).astype(dtype)
    return Dataset(group, matrix, UIDS[::-1], pd.DataFrame({"label": ["a"] * n_cells, "number": range(n_cells)}))


def read(atlas: hox.RaggedAtlas, path: str) -> np.ndarray:
    return _core.Array.open(atlas.catalog.store, path).read_all()


def assert_copy(atlas: hox.RaggedAtlas, source: Dataset, layer: str = "counts", values: np.ndarray | None = None):
    expected = source.matrix.tocsc()
    expected.sort_indices()
    group = source.group
    np.testing.assert_array_equal(read(atlas, f"{group}/csc/indptr"), expected.indptr)
    np.testing.assert_array_equal(read(atlas, f"{group}/csc/indices"), expected.indices)
    found = read(atlas, f"{group}/csc/layers/{layer}")
    np.testing.assert_array_equal(found, expected.data if values is None else values)
    assert found.dtype == (expected.data if values is None else values).dtype


def assert_manifest_is_whole(atlas: hox.RaggedAtlas, group: str):
    store = atlas.catalog.store
    listed = {key: (size, crc) for key, size, crc in _core.read_manifest(store, group)}
    there = {key for key, _ in store.list(f"{group}/")} - {f"{group}/.hox-manifest"}
    assert set(listed) == there
    assert all((len(store.read(key)), _core.crc32c(store.read(key))) == entry for key, entry in listed.items())


def test_pbmc3k(tmp_path):
    from homeobox.datasets import pbmc3k

    counts = pbmc3k().X.tocsr()
    uids = [f"gene{i}" for i in range(counts.shape[1])]
    obs = pd.DataFrame({"label": ["a"] * counts.shape[0], "number": range(counts.shape[0])})
    atlas = empty_atlas(tmp_path, {"gene_expression": uids})
    source = Dataset("g", counts, uids, obs)
    add(atlas, source)
    hox.add_csc(atlas, "g", "gene_expression")
    assert_copy(atlas, source)
    assert_manifest_is_whole(atlas, "g")


@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.int64, np.float64])
@pytest.mark.parametrize("options", [{}, {"feature_order": "as_given"}, {"codec": "bitpacking"}])
def test_the_copy_equals_scipys(atlas, rng, dtype, options):
    source = dataset(rng, dtype=dtype)
    add(atlas, source, **options)
    assert not any("/csc/" in key for key, _ in atlas.catalog.store.list(""))
    assert hox.add_csc(atlas, "g", "gene_expression") is None
    assert_copy(atlas, source)
    assert_manifest_is_whole(atlas, "g")
    atlas.optimize()
    assert atlas.validate() == []


def test_codecs_follow_the_group_and_zarr_reads_them(atlas, rng, tmp_path):
    for group, codec in [("new", "bp128"), ("old", "bitpacking")]:
        add(atlas, dataset(rng, group, np.int32), codec=codec)
        hox.add_csc(atlas, group, "gene_expression", chunk_size=128, shard_size=256)
        opened = zarr.open_group(tmp_path / "zarr_store", mode="r")[group]
        for path in ("csc/indices", "csc/layers/counts", "csc/indptr"):
            np.testing.assert_array_equal(opened[path][:], read(atlas, f"{group}/{path}"))
            document = json.loads(_core.Array.open(atlas.catalog.store, f"{group}/{path}").metadata)
            assert ("homeobox.bp128" in json.dumps(document)) == (codec == "bp128")
            if path != "csc/indptr":
                assert opened[path].chunks == (128,)
                assert opened[path].shards == (256,)
        assert (opened["csc/indptr"].shards is None) == (codec == "bitpacking")


def test_queries_are_the_same_with_the_copy(atlas, rng, tmp_path):
    source = dataset(rng)
    add(atlas, source)
    hox.add_csc(atlas, "g", "gene_expression")
    result = checked_out(atlas, tmp_path).query().features(UIDS[:4], "gene_expression").to_anndata()
    np.testing.assert_array_equal(result[:, UIDS[:4]].X.toarray(), source.matrix.toarray()[:, ::-1][:, :4])


def test_little_memory_goes_through_a_scratch_file(atlas, rng, tmp_path):
    source = dataset(rng, n_cells=3000)
    add(atlas, source)
    before = set(tmp_path.rglob("*"))
    hox.add_csc(atlas, "g", "gene_expression", memory="16 KiB")
    assert_copy(atlas, source)
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all("csc" in path.parts or path.name == ".hox-manifest" for path in new)


def test_another_layer_later(atlas, rng):
    source = dataset(rng)
    add(atlas, source)
    store = atlas.catalog.store
    values = np.log1p(read(atlas, "g/csr/layers/counts"))
    # What an ingest of a second layer would leave: the array, and its objects in the manifest.
    codecs = json.dumps([{"name": "homeobox.bp128", "configuration": {"version": 1}}])
    objects = _core.write_array(store, "g/csr/layers/log_normalized", values, [64], [64 * 64], codecs)
    _core.write_manifest(store, "g", [*_core.read_manifest(store, "g"), *objects])
    hox.add_csc(atlas, "g", "gene_expression")
    hox.add_csc(atlas, "g", "gene_expression", layer_name="log_normalized")
    assert_copy(atlas, source)
    logs = source.matrix.tocsc()
    logs.sort_indices()
    assert_copy(atlas, source, "log_normalized", np.log1p(logs.data))
    assert_manifest_is_whole(atlas, "g")
    for layer in ("counts", "log_normalized"):
        with pytest.raises(InvalidArgumentError, match=f"has a feature-major copy of layer '{layer}'"):
            hox.add_csc(atlas, "g", "gene_expression", layer_name=layer)


def test_what_is_refused_writes_nothing(atlas, rng, tmp_path):
    source = dataset(rng)
    add(atlas, source)
    add(atlas, Dataset("p", source.matrix[:, :2], ["p1", "p2"], source.obs, space="protein_abundance"))
    before = atlas.catalog.store.list("")
    for arguments, error, message in [
        (("nobody", "gene_expression"), InvalidArgumentError, "No dataset record found for zarr group 'nobody'"),
        (("p", "gene_expression"), InvalidArgumentError, "No dataset record found for zarr group 'p'"),
        (("p", "protein_abundance"), UnsupportedError, "not sparse"),
        (("g", "no_space"), KeyError, "unknown feature space"),
        (("g", "gene_expression", "tpm"), InvalidArgumentError, "has no layer 'tpm', it has \\['counts'\\]"),
        (("g", "gene_expression", "counts", 100, 150), InvalidArgumentError, "not a multiple"),
        (("g", "gene_expression", "counts", 0), InvalidArgumentError, "positive"),
        (("g", "gene_expression", "counts", None, None, "much"), InvalidArgumentError, "a size such as"),
    ]:
        with pytest.raises(error, match=message):
            hox.add_csc(atlas, *arguments)
    with pytest.raises(InvalidArgumentError, match="read-only"):
        hox.add_csc(checked_out(atlas, tmp_path), "g", "gene_expression")
    assert atlas.catalog.store.list("") == before


def test_cells_must_be_the_rows_of_the_group(atlas, rng):
    source = dataset(rng, n_cells=4)
    add(atlas, source)
    (record,) = atlas.catalog.datasets.by_group().values()

    def insert(start, end, row):
        insert_cell_records(
            atlas,
            source.obs[:1],
            feature_space="gene_expression",
            zarr_group="g",
            dataset_uid=record["uid"],
            starts=[start],
            ends=[end],
            zarr_row_offset=row,
        )

    bounds = source.matrix.indptr
    insert(bounds[1], bounds[2], 1)
    with pytest.raises(ValueError, match="contain duplicate values"):
        hox.add_csc(atlas, "g", "gene_expression")
    atlas.cell_table.delete("gene_expression.zarr_row = 1")
    with pytest.raises(ValueError, match="are not sequential"):
        hox.add_csc(atlas, "g", "gene_expression")
    insert(bounds[1] + 1, bounds[2], 1)
    with pytest.raises(ValueError, match="the rows must follow one another"):
        hox.add_csc(atlas, "g", "gene_expression")
    atlas.cell_table.delete("gene_expression.zarr_row = 1")
    insert(bounds[1], bounds[2], 1)
    hox.add_csc(atlas, "g", "gene_expression")
    assert_copy(atlas, source)
    atlas.cell_table.delete("gene_expression.zarr_group = 'g'")
    with pytest.raises(ValueError, match="No cells found"):
        hox.add_csc(atlas, "g", "gene_expression")


def test_every_store_call_may_fail(atlas, rng):
    source = dataset(rng)
    add(atlas, source)
    healthy = atlas.catalog.store
    n_failures = 0
    while True:
        atlas.catalog.store = _core.FailingStore(healthy, fail_on=n_failures + 1)
        try:
            hox.add_csc(atlas, "g", "gene_expression", memory="16 KiB")
            break
        except StoreError:
            n_failures += 1
        finally:
            atlas.catalog.store = healthy
    assert n_failures > 10
    # Taking a claim away may fail without an error: it is on what is whole.
    assert set(atlas.clean()["kind"]) <= {"claim"}
    assert_copy(atlas, source)
    assert_manifest_is_whole(atlas, "g")


def test_leftovers_are_replaced(atlas, rng):
    source = dataset(rng)
    add(atlas, source)
    store = atlas.catalog.store
    for key in ("g/csc/indices/zarr.json", "g/csc/indices/c/7", "g/csc/layers/counts/c/0"):
        store.write(key, b"of a writer that knows no claims")
    hox.add_csc(atlas, "g", "gene_expression")
    assert_copy(atlas, source)
    assert_manifest_is_whole(atlas, "g")


def test_two_writers(atlas, rng):
    add(atlas, dataset(rng))
    store = atlas.catalog.store
    with claim_group(store, "g/csc", lambda: None), pytest.raises(ConflictError, match="is being written"):
        hox.add_csc(atlas, "g", "gene_expression")
    assert store.size(f"g/csc/{MARKER}") is None
    hox.add_csc(atlas, "g", "gene_expression")


def test_a_whole_copy_that_nobody_listed_is_listed(atlas, rng):
    source = dataset(rng)
    add(atlas, source)
    store = atlas.catalog.store
    manifest = _core.read_manifest(store, "g")
    hox.add_csc(atlas, "g", "gene_expression")
    _core.write_manifest(store, "g", manifest)
    store.write(f"g/csc/{MARKER}", b"of a writer that died")
    hox.add_csc(atlas, "g", "gene_expression")
    assert_copy(atlas, source)
    assert_manifest_is_whole(atlas, "g")


def test_damage_is_reported_and_leaves_nothing(atlas, rng, tmp_path):
    add(atlas, dataset(rng))
    shard = tmp_path / "zarr_store" / "g" / "csr" / "layers" / "counts" / "c" / "0"
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CorruptDataError, match="g/csr/layers/counts"):
        hox.add_csc(atlas, "g", "gene_expression")
    assert not atlas.catalog.store.list("g/csc/")


def test_the_callback_may_raise_and_runs_in_any_thread(atlas, rng):
    source = dataset(rng)
    add(atlas, source)
    arrays = [(f"csc/{name}", 64, None, '["bytes"]') for name in ("indices", "layers/counts", "indptr")]
    bounds = source.matrix.indptr.astype(np.int64)
    answers = []

    def transpose(on_progress):
        _core.transpose_csr(
            atlas.catalog.store,
            "g",
            bounds,
            len(UIDS),
            [("csr/layers/counts", arrays[1])],
            arrays[0],
            arrays[2],
            on_progress=on_progress,
        )

    with pytest.raises(ZeroDivisionError):
        transpose(lambda n: 1 // 0)
    assert not atlas.catalog.store.list("g/csc/indptr")
    for key, _ in atlas.catalog.store.list("g/csc/"):
        atlas.catalog.store.remove(key)
    thread = threading.Thread(target=transpose, args=(answers.append,))
    thread.start()
    thread.join()
    assert answers[-1] == 2 * source.matrix.nnz
