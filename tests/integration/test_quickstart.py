"""The published quickstart, word for word, on the real data: every value that comes back is the one that went in."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import numpy as np
import pytest

from homeobox.datasets import pbmc3k

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "examples" / "quickstart.py"
PAGE = ROOT.parent / "shared" / "mission"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    pytest.importorskip("scanpy")
    folder = tmp_path_factory.mktemp("quickstart")
    (folder / "data").mkdir()
    # scanpy looks for its download here before it asks the network.
    (folder / "data" / "pbmc3k_raw.h5ad").symlink_to(ROOT / "data" / "pbmc3k_raw.h5ad")
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield runpy.run_path(str(QUICKSTART))
    finally:
        os.chdir(before)


def test_the_script_is_the_published_one():
    pages = sorted(PAGE.glob("*.txt"))
    if not pages:
        pytest.skip("the published page lies beside the repository only in development")
    page = pages[0].read_text()
    code = page[page.index("import os\nimport scanpy") : page.index("Opening a public atlas")].strip()
    assert QUICKSTART.read_text().strip().endswith(code)


def test_rows_are_the_first_cells_and_columns_match_by_uid(outcome):
    source, result = pbmc3k(), outcome["result"]
    assert result.shape == (500, 32738)
    assert result.X.dtype == source.X.dtype
    assert result.X.has_sorted_indices
    assert set(result.var_names) == set(source.var_names)
    expected = source[:500, result.var_names].X
    assert (expected != result.X).nnz == 0
    assert result.X.nnz == expected.nnz


def test_var_is_the_registry_in_its_order(outcome):
    result = outcome["result"]
    assert list(result.var.columns) == ["global_index", "gene_symbol"]
    assert result.var["global_index"].tolist() == list(range(32738))
    assert result.var["gene_symbol"].tolist() == result.var_names.tolist()
    assert result.varm["measured"].all()


def test_every_cell_of_the_atlas_equals_its_source(outcome):
    source, everything = pbmc3k(), outcome["atlas_r"].query().to_anndata()
    assert everything.shape == source.shape
    difference = everything.X != source[:, everything.var_names].X
    assert difference.nnz == 0
    assert list(everything.obs.columns) == ["dataset_uid"]
    assert everything.obs_names.is_unique
    np.testing.assert_array_equal(everything.obsm["layout"], 0)
    assert everything.uns["layouts"].tolist() == [outcome["atlas"].list_datasets()["layout_uid"][0]]
