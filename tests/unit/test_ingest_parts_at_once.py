"""Layers and feature-major copies that are added to one group at once: the manifest lists all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.ingest.group_claim import MARKER, claim_group

UIDS = [f"gene{i}" for i in range(12)]
UPDATE_MARKER = f"g/.hox-manifest-update/{MARKER}"


@pytest.fixture
def atlas(tmp_path, rng):
    atlas = empty_atlas(tmp_path, {"gene_expression": UIDS})
    matrix = sp.random(40, len(UIDS), density=0.3, format="csr", random_state=rng)
    matrix.data = rng.integers(1, 300, matrix.nnz).astype(np.float32)
    add(atlas, Dataset("g", matrix, UIDS, pd.DataFrame({"label": ["a"] * 40, "number": range(40)})))
    atlas.optimize()
    return atlas


def add_layer(atlas: hox.RaggedAtlas, name: str) -> None:
    values = sp.csr_matrix((40, len(UIDS)), dtype=np.float32)
    var = pd.DataFrame({"global_feature_uid": UIDS}, index=UIDS)
    adata = anndata.AnnData(values, obs=pd.DataFrame(index=[f"c{i}" for i in range(40)]), var=var)
    hox.add_layer(atlas, "g", "gene_expression", adata, zarr_layer=name)


def add_copy(atlas: hox.RaggedAtlas, _: str) -> None:
    hox.add_csc(atlas, "g", "gene_expression")


def assert_manifest_is_whole(atlas: hox.RaggedAtlas) -> None:
    store = atlas.catalog.store
    listed = {key: (size, crc) for key, size, crc in _core.read_manifest(store, "g")}
    assert set(listed) == {key for key, _ in store.list("g/")} - {"g/.hox-manifest"}
    assert all((len(store.read(key)), _core.crc32c(store.read(key))) == entry for key, entry in listed.items())
    assert not atlas.validate(deep=True)


@pytest.mark.parametrize("first", [add_layer, add_copy])
@pytest.mark.parametrize("second", [add_layer, add_copy])
def test_one_comes_while_another_writes_the_manifest(atlas, monkeypatch, first, second):
    if first is second is add_copy:
        add_layer(atlas, "tpm")
        add_copy(atlas, "")
        first, second = _add_copy_of_tpm, add_layer
    _meet(atlas, monkeypatch, first, second)
    assert_manifest_is_whole(atlas)


def _add_copy_of_tpm(atlas: hox.RaggedAtlas, _: str) -> None:
    hox.add_csc(atlas, "g", "gene_expression", layer_name="tpm")


def _meet(atlas: hox.RaggedAtlas, monkeypatch: pytest.MonkeyPatch, first: Callable, second: Callable) -> None:
    """Let `second` run, as far as it comes, between `first` having read the manifest and its writing it."""
    write, errors = _core.write_manifest, []

    def run_second() -> None:
        try:
            second(atlas, "log_normalized")
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run_second)

    def interrupted(*arguments: object) -> object:
        if not thread.ident:
            thread.start()
            thread.join(timeout=1)  # it ends now if nothing makes it wait
        return write(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(_core, "write_manifest", interrupted)
        first(atlas, "tpm")
        thread.join()
    assert not errors


def test_an_updater_that_died_is_no_obstacle(atlas):
    store = atlas.catalog.store
    with claim_group(store, "elsewhere", lambda: None):
        marker = store.read(f"elsewhere/{MARKER}")  # of a claim that nobody will hold any more
    store.write(UPDATE_MARKER, marker)
    add_layer(atlas, "tpm")
    assert_manifest_is_whole(atlas)

    store.write(UPDATE_MARKER, marker)
    assert atlas.leftovers()["kind"].to_list() == ["claim"]
    assert atlas.clean()["path"].to_list() == ["g/.hox-manifest-update"]
    assert_manifest_is_whole(atlas)

    store.write(UPDATE_MARKER, marker)
    atlas.delete_dataset("g")
    atlas.optimize()
    atlas.snapshot()
    atlas.prune(keep="all", confirm=True)
