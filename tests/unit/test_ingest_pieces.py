"""The steps of an ingest that pipelines call one by one, and entries as text."""

from __future__ import annotations

import gzip
import tempfile

import anndata
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import zarr
from small_atlas import Dataset, add, checked_out, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.errors import ConflictError, InvalidArgumentError, NotFoundError, StoreError, UnsupportedError
from homeobox.ingest.group_claim import MARKER, claim_group

UIDS = ["a", "b", "c", "d"]
COUNTS = sp.csr_matrix(np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 4]], dtype=np.int32))
OBS = pd.DataFrame({"label": ["x", "y", "z"]})


@pytest.fixture
def atlas(tmp_path):
    return empty_atlas(tmp_path / "atlas", {"gene_expression": UIDS, "protein_abundance": UIDS})


def lines(separator: str = "\t", first: int = 1, shuffled: bool = False) -> str:
    coo = COUNTS.tocoo()
    entries = list(zip(coo.col + first, coo.row + first, coo.data, strict=True))
    if shuffled:
        entries = entries[::-1]
    return "".join(separator.join(map(str, entry)) + "\n" for entry in entries)


def add_text(atlas, path, **options: object) -> int:
    space = options.pop("feature_space", "gene_expression")
    arguments = {
        "obs_df": OBS,
        "var_df": pl.DataFrame({"global_feature_uid": UIDS}),
        "zarr_layer": "counts",
        "dataset_record": hox.DatasetRecord(zarr_group="g", feature_space=space, n_cells=3),
        "n_cells": 3,
        "n_features": 4,
        **options,
    }
    return hox.add_coo_batch(atlas, path, feature_space=space, **arguments)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (lines(), {}),
        (lines(shuffled=True), {"value_dtype": np.float32}),
        (lines(",", first=0), {"separator": ",", "one_indexed": False, "value_dtype": "int64"}),
        ("7\t" + lines().replace("\n", "\tx\n7\t")[:-2], {"gene_col": 1, "cell_col": 2, "value_col": 3}),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_entries_as_text(atlas, tmp_path, text, options, zipped):
    path = tmp_path / ("e.tsv.gz" if zipped else "e.tsv")
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    assert add_text(atlas, path, **options) == 3
    found = checked_out(atlas, tmp_path / "atlas").query().to_anndata()
    np.testing.assert_array_equal(found[:, UIDS].X.toarray(), COUNTS.toarray())
    assert found.X.dtype == np.dtype(options.get("value_dtype", np.int32))
    assert found.obs["label"].tolist() == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("1\t1\t2.5\n", {}, "invalid value '2.5'"),
        ("1\t1\t2\n1\t4\t2\n", {}, r"cells from 0 to 3 \(counted from 0\), expected 0 to 2"),
        ("5\t1\t2\n", {}, "features from 4 to 4"),
        ("1 1 2\n", {}, "a line has 1 field"),
        ("1\t1\t2\n1\t1\n", {}, "Expected 3 columns, got 2"),
        (lines(), {"n_features": 5}, "var_df has 4 rows, expected 5"),
        (lines(), {"feature_space": "protein_abundance"}, "is not sparse"),
        ("", {}, "no stored values"),
    ],
)
def test_text_that_does_not_fit(atlas, tmp_path, text, options, message):
    (tmp_path / "e.tsv").write_text(text)
    with pytest.raises(InvalidArgumentError, match=message):
        add_text(atlas, tmp_path / "e.tsv", **options)
    assert not atlas.catalog.store.list("g/")
    with pytest.raises(NotFoundError, match="there is no file"):
        add_text(atlas, tmp_path / "f.tsv")


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix, np.asarray])
def test_columns_of_one_feature_are_summed(form):
    var = pd.DataFrame({"global_feature_uid": ["z", "b", "z", "a"], "n": [1, 2, 3, 4]}, index=list("wxyz"))
    matrix, kept = hox.deduplicate_var(form(COUNTS.toarray().astype(np.uint8)), var)
    np.testing.assert_array_equal(matrix.toarray(), [[1, 2, 0], [0, 0, 0], [4, 0, 3]])
    assert kept["global_feature_uid"].tolist() == ["a", "b", "z"]
    assert kept["n"].tolist() == [4, 2, 1]
    assert matrix.dtype == np.uint8


def test_sums_do_not_wrap_and_what_is_distinct_stays():
    var = pd.DataFrame({"global_feature_uid": ["b", "b"]})
    matrix, _ = hox.deduplicate_var(np.array([[200, 100]], np.uint8), var)
    assert matrix.toarray().tolist() == [[300]]
    for frame in (pd.DataFrame({"global_feature_uid": ["b", "a"]}), pd.DataFrame({"other": [1, 1]})):
        matrix, kept = hox.deduplicate_var(np.array([[200, 100]], np.uint8), frame)
        assert matrix.toarray().tolist() == [[200, 100]]
        assert kept is frame
    with pytest.raises(InvalidArgumentError, match="2 missing value"):
        hox.deduplicate_var(np.ones((1, 2)), pd.DataFrame({"global_feature_uid": [None, None]}))
    with pytest.raises(InvalidArgumentError, match="var_df has 2 rows, but the matrix has 3 columns"):
        hox.deduplicate_var(np.ones((1, 3)), var)


def test_layout_of_a_dataset(atlas):
    add(atlas, Dataset("g", COUNTS, UIDS, OBS))
    uid = atlas.catalog.datasets.by_group()["g"]["uid"]
    adata = anndata.AnnData(COUNTS, var=pd.DataFrame({"global_feature_uid": UIDS[::-1]}))
    hox.write_feature_layout(atlas, adata, "gene_expression", "g", uid)
    layout_uid = atlas.catalog.datasets.by_group()["g"]["layout_uid"]
    assert atlas.catalog.layouts.read(layout_uid)[0] == UIDS[::-1]
    with pytest.raises(InvalidArgumentError, match="the atlas has no dataset 'x'"):
        hox.write_feature_layout(atlas, adata, "gene_expression", "g", "x")


@pytest.mark.parametrize("bitpacking", [False, True])
def test_batches_one_after_another(atlas, tmp_path, bitpacking):
    root = zarr.open_group(tmp_path / "atlas" / "zarr_store", mode="r+")
    group = root.create_group("streamed", attributes={"mine": 1})
    writer = hox.SparseZarrWriter.create(group, "counts", data_dtype=np.int32, use_bitpacking=bitpacking)
    starts, ends = writer.append_csr(COUNTS)
    assert (starts.tolist(), ends.tolist(), writer.n_written) == ([0, 2, 2], [2, 2, 4], 4)
    assert [len(bound) for bound in writer.append_csr(COUNTS[:0])] == [0, 0]
    more_starts, more_ends = writer.append_csr(COUNTS[[2]].astype(np.float64))
    assert (more_starts.tolist(), more_ends.tolist()) == ([4], [6])
    assert atlas.catalog.store.list("streamed/csr") == []
    writer.trim()
    assert dict(zarr.open_group(tmp_path / "atlas" / "zarr_store", mode="r")["streamed"].attrs)["mine"] == 1

    record = hox.DatasetRecord(zarr_group="streamed", feature_space="gene_expression", n_cells=4)
    atlas.catalog.datasets.add(record)
    adata = anndata.AnnData(COUNTS, var=pd.DataFrame({"global_feature_uid": UIDS}))
    hox.write_feature_layout(atlas, adata, "gene_expression", "streamed", record.uid)
    hox.insert_cell_records(
        atlas,
        pd.DataFrame({"label": list("wxyz")}),
        feature_space="gene_expression",
        zarr_group="streamed",
        dataset_uid=record.uid,
        starts=[*starts, *more_starts],
        ends=[*ends, *more_ends],
    )
    snapshot = checked_out(atlas, tmp_path / "atlas")
    assert snapshot.validate(deep=True) == []
    found = snapshot.query().to_anndata()[:, UIDS]
    np.testing.assert_array_equal(found.X.toarray(), COUNTS.toarray()[[0, 1, 2, 2]])
    with pytest.raises(InvalidArgumentError, match="is written, and groups never change"):
        writer.append_csr(COUNTS)
    with pytest.raises(InvalidArgumentError, match="is not empty"):
        hox.SparseZarrWriter.create(group, "counts")


def test_the_arrays_of_batches_are_written_again_after_an_error(atlas, tmp_path, monkeypatch):
    store = atlas.catalog.store
    root = zarr.open_group(tmp_path / "atlas" / "zarr_store", mode="r+")
    group = root.create_group("streamed", attributes={"mine": 1})
    writer = hox.SparseZarrWriter.create(group, "counts", data_dtype=np.int32)
    writer.append_csr(COUNTS)
    with monkeypatch.context() as patched:
        patched.setattr(_core, "write_manifest", _fail)
        with pytest.raises(StoreError, match="full"):
            writer.trim()
    assert [key for key, _ in store.list("streamed/")] == ["streamed/zarr.json"]
    with (
        claim_group(store, "streamed", lambda: None, replace_unclaimed=True),
        pytest.raises(ConflictError, match="is being written by another ingest"),
    ):
        writer.trim()
    store.write("streamed/zarr.json", b'{"attributes": {"mine": 1}}')
    writer.trim()
    assert [key for key, _ in store.list("streamed/") if key.endswith(MARKER)] == []
    assert {key for key, _, _ in _core.read_manifest(store, "streamed")} == {
        key for key, _ in store.list("streamed/") if not key.endswith(".hox-manifest")
    }
    assert sorted(_core.Array.open(store, "streamed/csr/layers/counts").read_all()) == sorted(COUNTS.data)


def test_what_a_dead_writer_of_batches_left_is_cleared(atlas, monkeypatch):
    store = atlas.catalog.store
    claim_group(store, "g", lambda: None).abandon()
    store.write("g/csr/zarr.json", b"{}")
    writer = hox.SparseZarrWriter.create((store, "g"), "counts", data_dtype=np.int32)
    writer.append_csr(COUNTS)
    writer.trim()
    assert len(_core.Array.open(store, "g/csr/layers/counts").read_all()) == COUNTS.nnz


def test_batches_wait_beside_the_arrays_or_where_the_caller_says(atlas, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    hox.SparseZarrWriter.create((tmp_path / "atlas" / "zarr_store", "g"), "counts").append_csr(COUNTS)
    with pytest.raises(StoreError, match=r"no scratch file can be made in .*elsewhere"):
        hox.SparseZarrWriter.create(
            (tmp_path / "atlas" / "zarr_store", "g"), "counts", scratch_directory=tmp_path / "elsewhere"
        )


def _fail(*_: object) -> None:
    raise StoreError("the disk is full")


def test_batches_that_do_not_fit(atlas, tmp_path):
    place = (tmp_path / "atlas" / "zarr_store", "g")
    for arguments, options, message in [
        ((place, "smoothed"), {}, "'smoothed' is not allowed"),
        ((place, "counts"), {"feature_space": "protein_abundance"}, "is not sparse"),
        (((place[0], "../g"), "counts"), {}, "is not a folder name"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            hox.SparseZarrWriter.create(*arguments, **options)
    with pytest.raises(UnsupportedError, match=r"group must be a zarr\.Group"):
        hox.SparseZarrWriter.create("g", "counts")
    writer = hox.SparseZarrWriter.create(place, "counts", data_dtype=np.uint8)
    writer.append_csr(COUNTS)
    with pytest.raises(InvalidArgumentError, match="the batch has 2 features, those before it 4"):
        writer.append_csr(COUNTS[:, :2])
    with pytest.raises(InvalidArgumentError, match="int32 values of the batch do not fit in uint8"):
        writer.append_csr(COUNTS * 100)
    assert writer.n_written == 4
    with pytest.raises(InvalidArgumentError, match="no stored values"):
        hox.SparseZarrWriter.create(place, "counts").trim()
    assert not atlas.catalog.store.list("g/")
