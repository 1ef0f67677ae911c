"""A layer that is added later: matched to the stored entries, whole or not there at all."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, checked_out, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.errors import ConflictError, InvalidArgumentError
from homeobox.ingest.group_claim import MARKER, claim_group

UIDS = [f"gene{i}" for i in range(12)]


@pytest.fixture
def atlas(tmp_path):
    return empty_atlas(tmp_path, {"gene_expression": UIDS, "protein_abundance": UIDS})


def dataset(rng, space: str = "gene_expression") -> Dataset:
    matrix = sp.random(40, len(UIDS), density=0.3, format="csr", random_state=rng)
    matrix.data = rng.integers(1, 300, matrix.nnz).astype(np.float32)
    obs = pd.DataFrame({"label": ["a"] * 40, "number": range(40)})
    return Dataset("g", matrix if space == "gene_expression" else matrix.toarray(), UIDS[::-1], obs, space)


def logarithm(source: Dataset) -> anndata.AnnData:
    """With the columns in another order, and rows unsorted."""
    order = np.random.default_rng(1).permutation(len(UIDS))
    matrix = sp.csr_matrix(source.matrix)[:, order].astype(np.float64).log1p()
    return anndata.AnnData(matrix, var=pd.DataFrame({"global_feature_uid": np.array(source.uids)[order]}))


def add_log(atlas, adata, space: str = "gene_expression", **options: object) -> None:
    layer = "log_normalized" if space == "gene_expression" else "clr_normalized"
    hox.add_layer(atlas, "g", space, adata, **{"zarr_layer": layer, **options})


def stored(atlas, tmp_path, source: Dataset, layer: str) -> np.ndarray:
    snapshot = checked_out(atlas, tmp_path)
    found = snapshot.query().feature_spaces(source.space).layers(source.space, [layer]).to_anndata()[:, source.uids].X
    return found.toarray() if sp.issparse(found) else found


def assert_manifest_is_whole(atlas):
    store = atlas.catalog.store
    listed = {key: (size, crc) for key, size, crc in _core.read_manifest(store, "g")}
    assert set(listed) == {key for key, _ in store.list("g/")} - {"g/.hox-manifest"}
    assert all((len(store.read(key)), _core.crc32c(store.read(key))) == entry for key, entry in listed.items())


@pytest.mark.parametrize("options", [{}, {"feature_order": "as_given"}, {"codec": "bitpacking"}])
@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix, np.asarray])
def test_sparse(atlas, tmp_path, rng, options, form):
    source = dataset(rng)
    add(atlas, source, **options)
    adata = logarithm(source)
    adata.X = form(adata.X.toarray())
    add_log(atlas, adata)
    np.testing.assert_array_equal(stored(atlas, tmp_path, source, "counts"), source.matrix.toarray())
    expected = np.log1p(source.matrix.toarray().astype(np.float64))
    np.testing.assert_array_equal(stored(atlas, tmp_path, source, "log_normalized"), expected)
    assert_manifest_is_whole(atlas)
    assert atlas.validate() == []


def test_dense_from_a_file(atlas, tmp_path, rng):
    source = dataset(rng, "protein_abundance")
    add(atlas, source)
    adata = logarithm(source)
    adata.layers["negative"] = -adata.X
    adata.write_h5ad(tmp_path / "a.h5ad")
    add_log(atlas, tmp_path / "a.h5ad", "protein_abundance", source="layers/negative")
    expected = -np.log1p(source.matrix.astype(np.float64))
    np.testing.assert_allclose(stored(atlas, tmp_path, source, "clr_normalized"), expected, rtol=1e-6)
    assert_manifest_is_whole(atlas)


def test_entries_that_are_missing_are_zero(atlas, tmp_path, rng):
    source = dataset(rng)
    add(atlas, source)
    adata = logarithm(source)
    adata.X.data[::3] = 0
    adata.X.eliminate_zeros()
    kept = adata.X.toarray()
    nothing = int(np.flatnonzero(kept[-1] == 0)[0])  # a zero where nothing is stored
    arrays = (np.append(adata.X.data, 0), np.append(adata.X.indices, nothing), adata.X.indptr + (np.arange(41) == 40))
    adata.X = sp.csr_matrix(arrays, shape=kept.shape)
    add_log(atlas, adata)
    by_uid = pd.DataFrame(kept, columns=adata.var["global_feature_uid"])[source.uids]
    np.testing.assert_array_equal(stored(atlas, tmp_path, source, "log_normalized"), by_uid.to_numpy())


def test_repeated_entries_are_matched_in_their_order(atlas, rng):
    source = dataset(rng)
    repeated = sp.csr_matrix(
        (np.array([5, 6, 7], np.float32), np.array([2, 2, 1]), np.array([0, 3, *[3] * 39])), shape=(40, len(UIDS))
    )
    source.matrix = repeated
    add(atlas, source)
    adata = anndata.AnnData(repeated * 10, var=pd.DataFrame({"global_feature_uid": source.uids}))
    add_log(atlas, adata)
    store = atlas.catalog.store
    counts, layer = (
        _core.Array.open(store, f"g/csr/layers/{name}").read_all() for name in ("counts", "log_normalized")
    )
    np.testing.assert_array_equal(layer, counts * 10)


def test_what_does_not_fit(atlas, rng):
    source = dataset(rng)
    add(atlas, source)
    objects = sorted(atlas.catalog.store.list("g/"))
    elsewhere = logarithm(source)
    elsewhere.X = sp.csr_matrix(np.ones(elsewhere.shape))
    fewer = logarithm(source)[:, 1:].copy()
    cases = [
        (elsewhere, {}, r"value\(s\) where the stored group has no entry, the first in row 0"),
        (fewer, {}, "0 are not of the group .* 1 of its 12 are missing"),
        (logarithm(source)[:30].copy(), {}, r"adata.X has 30 cells, but zarr group 'g' has 40 rows"),
        (logarithm(source), {"zarr_layer": "counts"}, "has a layer 'counts' already"),
        (logarithm(source), {"zarr_layer": "smoothed"}, "'smoothed' is not allowed"),
        (logarithm(source), {"zarr_layer": "../x"}, "is not allowed"),
        (logarithm(source), {"source": "raw"}, "adata has no matrix 'raw/X'"),
    ]
    for adata, options, message in cases:
        with pytest.raises(InvalidArgumentError, match=message):
            add_log(atlas, adata, **options)
        assert sorted(atlas.catalog.store.list("g/")) == objects
    with pytest.raises(InvalidArgumentError, match="No dataset record found for zarr group 'h'"):
        hox.add_layer(atlas, "h", "gene_expression", logarithm(source), zarr_layer="tpm")


def test_a_stopped_writer_leaves_nothing_and_the_retry_works(atlas, tmp_path, rng, monkeypatch):
    source = dataset(rng)
    add(atlas, source)
    with monkeypatch.context() as patched:
        patched.setattr(_core, "write_manifest", _stop)
        with pytest.raises(KeyboardInterrupt):
            add_log(atlas, logarithm(source))
    # The layer is whole, only not listed. The next call need not be of the same values, which are what is stored then.
    others = logarithm(source)
    others.X = (others.X * 2).astype(np.float32)
    add_log(atlas, others)
    assert_manifest_is_whole(atlas)
    expected = (np.log1p(source.matrix.toarray().astype(np.float64)) * 2).astype(np.float32)
    np.testing.assert_array_equal(stored(atlas, tmp_path, source, "log_normalized"), expected)
    with pytest.raises(InvalidArgumentError, match="has a layer 'log_normalized' already"):
        add_log(atlas, logarithm(source))


@pytest.mark.parametrize("column", [-1, len(UIDS)])
def test_columns_outside_the_matrix_are_refused(atlas, rng, column):
    source = dataset(rng)
    add(atlas, source)
    objects = sorted(atlas.catalog.store.list("g/"))
    adata = logarithm(source)
    adata.X.indices[0] = column
    with pytest.raises(InvalidArgumentError, match=r"adata\.X: column indices from .*, expected 0 to 11"):
        add_log(atlas, adata)
    assert sorted(atlas.catalog.store.list("g/")) == objects


def test_one_writer_at_a_time(atlas, rng):
    source = dataset(rng)
    add(atlas, source)
    store = atlas.catalog.store
    with (
        claim_group(store, "g/csr/layers/log_normalized", lambda: None),
        pytest.raises(ConflictError, match="is being written by another ingest"),
    ):
        add_log(atlas, logarithm(source))
    assert not [key for key, _ in store.list("g/") if key.endswith(MARKER)]
    add_log(atlas, logarithm(source))


def _stop(*_: object) -> None:
    raise KeyboardInterrupt
