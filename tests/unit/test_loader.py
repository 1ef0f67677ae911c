"""Training batches: every cell once per epoch, in an order that a seed fixes, equal to what a query returns."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import obstore
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, checked_out, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.errors import CorruptDataError, InvalidArgumentError, NotFoundError, UnsupportedError

UIDS = [f"g{i:03d}" for i in range(120)]
N_CELLS = {"a": 150, "b": 83}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two panels in one atlas, one of them float counts and one int32."""
    folder = tmp_path_factory.mktemp("loader")
    rng = np.random.default_rng(11)
    atlas = empty_atlas(folder, {"gene_expression": UIDS})
    for group, uids, dtype in (("a", UIDS[:90], np.float32), ("b", UIDS[:29:-1], np.int32)):
        counts = sp.random(N_CELLS[group], len(uids), 0.3, format="csr", random_state=rng)
        counts.data = rng.integers(1, 9, counts.nnz).astype(dtype)
        labels = pd.DataFrame({"label": [group] * N_CELLS[group]})
        add(atlas, Dataset(group, counts, uids, labels))
    checked_out(atlas, folder)
    return folder


@pytest.fixture
def atlas(folder: Path) -> hox.RaggedAtlas:
    return hox.RaggedAtlas.checkout_latest(str(folder))


@pytest.fixture(scope="module")
def expected(folder: Path) -> np.ndarray:
    """All cells x the whole registry, by the query."""
    adata = hox.RaggedAtlas.checkout_latest(str(folder)).query().to_anndata()
    dense = np.zeros((adata.n_obs, len(UIDS)))
    dense[:, adata.var["global_index"].to_numpy()] = adata.X.toarray()
    return dense


def dense(batch: hox.SparseBatch) -> np.ndarray:
    rows = np.zeros((len(batch), batch.n_features))
    np.add.at(rows, (np.repeat(np.arange(len(batch)), np.diff(batch.offsets)), batch.indices), batch.values)
    return rows


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_is_every_cell_once_and_equals_the_query(
    atlas: hox.RaggedAtlas, expected: np.ndarray, batch_size: int, shuffle: bool
) -> None:
    loader = atlas.query().to_loader(batch_size, shuffle=shuffle)
    batches = list(loader)
    assert len(batches) == len(loader) == -(-len(expected) // batch_size)
    cells = np.concatenate([batch.cells for batch in batches])
    if shuffle:
        assert sorted(cells) == list(range(len(expected)))
    else:
        assert list(cells) == list(range(len(expected)))
    for batch in batches:
        np.testing.assert_array_equal(dense(batch), expected[batch.cells])
        assert batch.indices.dtype == np.int32
        assert batch.offsets.dtype == np.int64
        assert batch.values.dtype == np.result_type(np.float32, np.int32)
        assert batch.n_features == len(UIDS)


def orders(loader: hox.CsrLoader, n_epochs: int) -> list[tuple[int, ...]]:
    return [tuple(np.concatenate([batch.cells for batch in loader])) for _ in range(n_epochs)]


def test_seed_and_epoch_fix_the_order(atlas: hox.RaggedAtlas) -> None:
    first, second, third = orders(atlas.query().to_loader(16, seed=5), 3)
    assert len({first, second, third}) == 3
    again = atlas.query().to_loader(50, seed=5)
    assert orders(again, 2) == [first, second], "the order does not depend on the batch size"
    again.set_epoch(2)
    assert again.epoch == 2
    assert orders(again, 1) == [third]
    assert orders(atlas.query().to_loader(16, seed=6), 1) != [first]


def test_every_cell_is_as_likely_in_every_place(atlas: hox.RaggedAtlas) -> None:
    loader = atlas.query().limit(6).to_loader(6)
    counts = np.zeros((6, 6))
    n_epochs = 3000
    for order in orders(loader, n_epochs):
        counts[order, range(6)] += 1
    # 36 cells of a chi-squared table with 25 degrees of freedom; beyond 80 has a chance of 1e-7.
    assert ((counts - n_epochs / 6) ** 2 / (n_epochs / 6)).sum() < 80


def test_drop_last_leaves_out_a_short_batch(atlas: hox.RaggedAtlas) -> None:
    loader = atlas.query().to_loader(100, drop_last=True)
    assert [len(batch) for batch in loader] == [100, 100]
    assert len(loader) == 2


def test_where_and_limit_select_the_cells(atlas: hox.RaggedAtlas, expected: np.ndarray) -> None:
    loader = atlas.query().where("label = 'b'").limit(40).to_loader(16)
    assert loader.n_cells == 40
    for batch in loader:
        np.testing.assert_array_equal(dense(batch), expected[N_CELLS["a"] :][batch.cells])
        assert batch.values.dtype == np.int32


def test_no_cells_give_no_batches(atlas: hox.RaggedAtlas) -> None:
    loader = atlas.query().where("label = 'nobody'").to_loader()
    assert (len(loader), list(loader), loader.n_cells) == (0, [], 0)


def test_batches_stay_right_while_they_are_held(atlas: hox.RaggedAtlas, expected: np.ndarray) -> None:
    loader = atlas.query().to_loader(20, memory="40KB")  # less than all batches need together
    held = list(loader)
    for batch in held:
        np.testing.assert_array_equal(dense(batch), expected[batch.cells])
    with pytest.raises(ValueError, match="read-only"):
        held[0].values[0] = 1


def test_memory_is_used_again_once_no_reference_is_left(atlas: hox.RaggedAtlas) -> None:
    loader = atlas.query().to_loader(20)
    starts = set()
    for _ in range(20):
        for batch in loader:
            starts.add(batch.offsets.ctypes.data)  # where the batch's memory begins
            del batch
    in_flight = 2 * _core.runtime_info()["cpu_threads"]
    assert len(starts) <= in_flight + 2, "240 batches should share the memory of those in flight"


def test_values_outlive_batch_and_loader(atlas: hox.RaggedAtlas, expected: np.ndarray) -> None:
    loader = atlas.query().to_loader(10, shuffle=False)
    values = next(iter(loader)).values
    want = values.copy()
    del loader
    gc.collect()
    np.testing.assert_array_equal(values, want)


def test_a_new_iteration_ends_the_one_before(atlas: hox.RaggedAtlas) -> None:
    loader = atlas.query().to_loader(10)
    old = iter(loader)
    next(old)
    new = iter(loader)
    with pytest.raises(InvalidArgumentError, match="iterated anew"):
        next(old)
    assert sum(len(batch) for batch in new) == sum(N_CELLS.values())


def test_from_an_object_store(folder: Path, expected: np.ndarray) -> None:
    memory = obstore.store.MemoryStore()
    local = _core.FileStore(str(folder / "zarr_store"))
    for key, _ in local.list():
        obstore.put(memory, key, local.read(key))
    atlas = hox.RaggedAtlas.checkout_latest(str(folder), store=memory)
    for _ in range(2):
        for batch in atlas.query().to_loader(32):
            np.testing.assert_array_equal(dense(batch), expected[batch.cells])


def test_damage_is_reported_and_ends_the_epoch(folder: Path) -> None:
    memory = obstore.store.MemoryStore()
    local = _core.FileStore(str(folder / "zarr_store"))
    for key, _ in local.list():
        data = bytearray(local.read(key))
        if key == "a/csr/layers/counts/c/0":
            data[60] ^= 0xFF
        obstore.put(memory, key, bytes(data))
    loader = hox.RaggedAtlas.checkout_latest(str(folder), store=memory).query().to_loader(300)
    batches = iter(loader)
    with pytest.raises(CorruptDataError, match="a/csr/layers/counts"):
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)


def test_repr(atlas: hox.RaggedAtlas) -> None:
    loader = atlas.query().to_loader(100)
    assert repr(loader) == "CsrLoader(233 cells x 120 features, 3 batches of 100, epoch 0 next)"
    assert repr(next(iter(loader))).startswith("SparseBatch(100 cells x 120 features, ")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, InvalidArgumentError, "batch_size: 1 or more expected, found 0"),
        ({"batch_size": 2.5}, InvalidArgumentError, "batch_size: a whole number expected, found 2.5"),
        ({"seed": -1}, InvalidArgumentError, "seed: 0 or more expected"),
        ({"memory": "much"}, InvalidArgumentError, "a size such as '256MiB'"),
        ({"memory": 0}, InvalidArgumentError, "memory: 1 or more expected"),
        ({"feature_space": "smells"}, InvalidArgumentError, "Unknown feature space"),
        ({"feature_space": "protein_abundance"}, UnsupportedError, "is dense"),
        ({"layer": "tpm"}, NotFoundError, "tpm"),
    ],
)
def test_refusals(atlas: hox.RaggedAtlas, options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        atlas.query().to_loader(**options)


def test_a_feature_filter_is_refused(atlas: hox.RaggedAtlas) -> None:
    with pytest.raises(UnsupportedError, match="reads all features"):
        atlas.query().features(UIDS[:3], "gene_expression").to_loader()


def test_other_ways_to_leave_features_out_are_refused(atlas: hox.RaggedAtlas) -> None:
    with pytest.raises(UnsupportedError, match="intersection"):
        atlas.query().feature_join("intersection").to_loader()
    with pytest.raises(InvalidArgumentError, match="reads only"):
        atlas.query().feature_spaces("protein_abundance").to_loader()


def test_selected_columns_come_along_with_their_rows(atlas: hox.RaggedAtlas) -> None:
    query = atlas.query().select(["label", "number"])
    obs = atlas.query().to_polars()
    seen = []
    for batch in query.to_loader(32, seed=3):
        assert batch.metadata is not None
        assert list(batch.metadata["label"]) == [obs["label"][int(cell)] for cell in batch.cells]
        assert np.isnan(batch.metadata["number"]).all()  # a column of missing numbers
        seen.extend(batch.cells.tolist())
    assert sorted(seen) == list(range(len(obs)))
    assert next(iter(atlas.query().to_loader(8))).metadata is None
