"""What an ingest leaves on disk: the objects of a group, and the rows that lead to them."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, checked_out, empty_atlas

from homeobox import _core
from homeobox.errors import InvalidArgumentError
from homeobox.ingest import insert_cell_records
from homeobox.schema import compute_layout_uid

UIDS = [f"gene{i}" for i in range(5)]
# Rows out of order inside, a repeat, a stored zero, an empty row; totals 1, 9, 0, 20, 4 in var order.
MATRIX = sp.csr_matrix(
    (np.array([20, 1, 2, 4, 0, 7], dtype=np.float32), np.array([3, 0, 1, 4, 2, 1]), np.array([0, 3, 3, 6])),
    shape=(3, 5),
)
OBS = pd.DataFrame({"label": pd.Categorical(["x", None, "y"]), "number": [1, 2, 3]})


@pytest.fixture
def atlas(tmp_path):
    return empty_atlas(tmp_path, {"gene_expression": UIDS, "protein_abundance": UIDS})


def keys(store: _core.Store) -> list[str]:
    return sorted(key for key, _ in store.list("")) if store else []


def test_objects_of_a_sparse_group(atlas):
    add(atlas, Dataset("a/b", MATRIX, UIDS, OBS))
    store = atlas.catalog.store
    assert keys(store) == [
        "a/b/.hox-manifest",
        "a/b/csr/feature_order/c/0",
        "a/b/csr/feature_order/zarr.json",
        "a/b/csr/indices/c/0",
        "a/b/csr/indices/zarr.json",
        "a/b/csr/indptr/c/0",
        "a/b/csr/indptr/zarr.json",
        "a/b/csr/layers/counts/c/0",
        "a/b/csr/layers/counts/zarr.json",
        "a/b/csr/layers/zarr.json",
        "a/b/csr/zarr.json",
        "a/b/zarr.json",
        "a/zarr.json",
        "zarr.json",
    ]
    assert json.loads(store.read("a/b/zarr.json"))["attributes"] == {"homeobox": {"format": 1}}
    assert json.loads(store.read("a/zarr.json"))["attributes"] == {}
    manifest = _core.read_manifest(store, "a/b")
    listed = {key: (size, crc) for key, size, crc in manifest}
    assert set(listed) == {key for key in keys(store) if key.startswith("a/b/") and not key.endswith(".hox-manifest")}
    assert all((len(store.read(key)), _core.crc32c(store.read(key))) == entry for key, entry in listed.items())


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ({}, [3, 1, 4, 0, 2]),  # by falling total
        ({"feature_order": "as_given"}, None),
        ({"codec": "bitpacking"}, None),
    ],
)
def test_rows_are_sorted_in_the_stored_order(atlas, options, order):
    add(atlas, Dataset("g", MATRIX, UIDS, OBS), **options)
    store = atlas.catalog.store
    if order is None:
        assert not any("feature_order" in key for key in keys(store))
        order = list(range(5))
    else:
        stored = _core.Array.open(store, "g/csr/feature_order")
        assert stored.dtype == "uint32"
        assert stored.read_all().tolist() == order
    indices = _core.Array.open(store, "g/csr/indices").read_all()
    values = _core.Array.open(store, "g/csr/layers/counts").read_all()
    indptr = _core.Array.open(store, "g/csr/indptr").read_all()
    assert indices.dtype == np.uint32
    assert values.dtype == np.float32
    assert indptr.tolist() == [0, 3, 3, 6]
    assert all((np.diff(indices[b:e].astype(int)) >= 0).all() for b, e in itertools.pairwise(indptr))
    rebuilt = sp.csr_matrix((values, np.array(order)[indices], indptr), shape=(3, 5))
    np.testing.assert_array_equal(rebuilt.toarray(), MATRIX.toarray())
    assert sorted(values) == sorted(MATRIX.data)


def test_repeated_places_keep_their_order_and_their_sum(atlas, tmp_path):
    source = sp.csr_matrix((np.array([1, 2, 3], np.int32), np.array([4, 0, 4]), np.array([0, 3])), shape=(1, 5))
    add(atlas, Dataset("g", source, UIDS, OBS[:1]))
    assert _core.Array.open(atlas.catalog.store, "g/csr/layers/counts").read_all().tolist() == [1, 3, 2]
    result = checked_out(atlas, tmp_path).query().to_anndata()
    assert result.X.nnz == 3
    np.testing.assert_array_equal(result[:, UIDS].X.toarray(), source.toarray())


def test_rows_of_the_tables(atlas):
    add(atlas, Dataset("g", MATRIX, UIDS, OBS))
    catalog = atlas.catalog
    (dataset,) = catalog.datasets.by_group().values()
    # Another registry has the same features.
    assert dataset["layout_uid"] == compute_layout_uid(["", "gene_expression", *UIDS])
    assert catalog.layouts.read(dataset["layout_uid"])[0] == UIDS
    rows = catalog.scan_cells().to_pylist()
    assert [row["dataset_uid"] for row in rows] == [dataset["uid"]] * 3
    assert len({row["uid"] for row in rows}) == 3
    assert [row["label"] for row in rows] == ["x", None, "y"]
    pointers = [row["gene_expression"] for row in rows]
    assert pointers[2] == {"feature_space": "gene_expression", "zarr_group": "g", "start": 3, "end": 6, "zarr_row": 2}
    # A modality that a cell lacks is all zeros, never null: 0.2.2 would read a null as present.
    assert rows[0]["protein_abundance"] == {"feature_space": "", "zarr_group": "", "position": 0}


def test_dense_group_from_sparse_and_dense_sources(atlas, tmp_path):
    add(atlas, Dataset("s", sp.csc_matrix(MATRIX), UIDS, OBS, space="protein_abundance"))
    add(atlas, Dataset("d", MATRIX.toarray(), UIDS, OBS, space="protein_abundance"), chunk_shape=(1, 5))
    store = atlas.catalog.store
    for group in ("s", "d"):
        stored = _core.Array.open(store, f"{group}/layers/counts")
        np.testing.assert_array_equal(stored.read_all(), MATRIX.toarray())
    assert json.loads(_core.Array.open(store, "d/layers/counts").metadata)["chunk_grid"]["configuration"] == {
        "chunk_shape": [3, 5]
    }
    result = checked_out(atlas, tmp_path).query().to_anndata()
    np.testing.assert_array_equal(result[:, UIDS].X, np.vstack([MATRIX.toarray()] * 2))


def test_dense_source_into_a_sparse_space(atlas, tmp_path):
    add(atlas, Dataset("g", MATRIX.toarray(), UIDS, OBS))
    result = checked_out(atlas, tmp_path).query().to_anndata()
    assert result.X.nnz == np.count_nonzero(MATRIX.toarray())
    np.testing.assert_array_equal(result[:, UIDS].X.toarray(), MATRIX.toarray())


def test_cell_records_for_arrays_of_the_callers_own(atlas, tmp_path):
    add(atlas, Dataset("g", MATRIX, UIDS, OBS))
    (dataset,) = atlas.catalog.datasets.by_group().values()
    arguments = {"feature_space": "gene_expression", "zarr_group": "g", "dataset_uid": dataset["uid"]}
    assert insert_cell_records(atlas, OBS[:1], starts=[3], ends=[6], zarr_row_offset=2, **arguments) == 1
    result = checked_out(atlas, tmp_path).query().offset(3).to_anndata()
    np.testing.assert_array_equal(result[:, UIDS].X.toarray(), MATRIX[2].toarray())
    for changes, message in [
        ({"zarr_group": "h"}, "no dataset .* with zarr group 'h'"),
        ({"feature_space": "protein_abundance"}, "no pointer field for a sparse feature space"),
        ({"ends": [2]}, "must be 1 ranges"),
        ({"starts": [1, 2]}, "must be 1 ranges"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            insert_cell_records(atlas, OBS[:1], **{"starts": [3], "ends": [6], **arguments, **changes})
