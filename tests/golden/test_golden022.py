"""Atlases that homeobox 0.2.2 wrote give here what they gave there.

The golden atlases and the answers of the original lie beside the repository in development. The comparison is that of
their own checker, query by query; answers of kinds that come later (batches, training datasets, several modalities)
are left to the tests of those.
"""

from __future__ import annotations

import datetime
import importlib
import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import homeobox as hox

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden022"
NAMES = ["g1_quickstart", "g3b_one_panel", "g5_codecs"]
TERMINALS = ["count", "to_anndata", "to_polars"]

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden atlases of 0.2.2 are not beside the repository")


def queries(name: str) -> list[dict[str, Any]]:
    path = GOLDEN / f"{name}.expected" / "queries.json"
    found = json.loads(path.read_text()) if path.exists() else []
    return [query for query in found if query["terminal"] in TERMINALS]


@pytest.fixture(scope="module")
def checker():
    sys.path.insert(0, str(GOLDEN))
    try:
        yield importlib.import_module("golden_lib")
    finally:
        sys.path.remove(str(GOLDEN))


@pytest.fixture(scope="module")
def atlases(checker, tmp_path_factory):
    """Unpacked elsewhere than their recorded store, which the checkout has to notice by itself."""
    folder = tmp_path_factory.mktemp("golden")
    return {name: checker.unpack(name, str(GOLDEN), str(folder)) for name in NAMES}


@pytest.mark.parametrize(
    ("name", "query"),
    [pytest.param(name, query, id=f"{name}-{query['name']}") for name in NAMES for query in queries(name)],
)
def test_answers_equal_those_of_the_original(atlases, checker, name, query):
    root = atlases[name]
    if query["version"] is None:
        atlas = hox.RaggedAtlas.checkout_latest(root)
    else:
        atlas = hox.RaggedAtlas.checkout(root, query["version"])
    result = checker.run(atlas, query)
    answer = query["answer"]
    base = str(GOLDEN / f"{name}.expected" / query["name"])
    if query["terminal"] == "to_anndata":
        assert checker.compare_anndata(base, answer, result) == []
        assert list(result.obs.columns) == answer["obs_columns"]
        assert list(result.var.columns) == answer["var_columns"]
        np.testing.assert_array_equal(result.var["global_index"], np.sort(result.var["global_index"]))
    elif query["terminal"] == "to_polars":
        assert result["uid"].to_list() == answer["uid_order"]
        assert checker.parquet_rows_equal(f"{base}.obs.parquet", result) == []
    else:
        assert result == answer


@pytest.mark.parametrize("name", NAMES)
def test_versions_and_validation(atlases, name):
    facts = json.loads((GOLDEN / f"{name}.expected" / "facts.json").read_text())
    assert hox.RaggedAtlas.list_versions(atlases[name]).to_dicts() == facts["list_versions"]
    atlas = hox.RaggedAtlas.checkout_latest(atlases[name])
    assert atlas.validate() == facts["validate"]
    assert atlas.validate(deep=True) == facts["validate"]
    assert atlas.list_datasets().sort("uid").to_dicts() == sorted(facts["datasets"], key=lambda row: row["uid"])


def test_both_modalities_of_the_citeseq_atlas(atlases):
    """No answer of the original has them as AnnData, so values are compared with its multimodal ones."""
    answer = next(
        query["answer"]
        for query in json.loads((GOLDEN / "g3b_one_panel.expected" / "queries.json").read_text())
        if query["name"] == "multimodal"
    )
    atlas = hox.RaggedAtlas.checkout_latest(atlases["g3b_one_panel"])
    import golden_lib

    for space, modality in answer["mod"].items():
        with warnings.catch_warnings(action="ignore"):  # not every cell has proteins
            result = atlas.query().feature_spaces(space).to_anndata()
        base = str(GOLDEN / "g3b_one_panel.expected" / f"multimodal.{space}")
        assert golden_lib.compare_anndata(base, modality["anndata"], result) == []


@pytest.mark.parametrize("name", NAMES)
def test_datasets_of_the_original_are_deleted_and_pruned(atlases, name, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(atlases[name], root)
    atlas = hox.RaggedAtlas.open(root, hox.RaggedAtlas.list_versions(root)["cell_table_name"][0])
    groups = atlas.list_datasets()["zarr_group"].to_list()
    stored = atlas.catalog.store.list("")
    before = hox.RaggedAtlas.checkout_latest(root).catalog.scan_cells(["uid"])
    number = hox.RaggedAtlas.checkout_latest(root).version
    atlas.delete_dataset(groups)
    atlas.snapshot("without")
    now = datetime.timedelta(0)
    atlas.prune("all", confirm=True, min_age=now)
    assert atlas.catalog.store.list("") == stored
    kept = hox.RaggedAtlas.checkout(root, number)
    assert kept.catalog.scan_cells(["uid"]) == before
    assert kept.validate(deep=True) == []
    assert sorted(atlas.prune(1, confirm=True, min_age=now).groups) == sorted(groups)
    # Only documents of the root and of folders that groups lay in.
    left = [key for key, _ in atlas.catalog.store.list("")]
    assert all(key.endswith("zarr.json") and key.rpartition("/")[0] not in groups for key in left)
