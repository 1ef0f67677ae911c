"""Atlases that homeobox 0.2.2 wrote, exported in either codec, answer as they did there."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest

import homeobox as hox

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden022"

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden atlases of 0.2.2 are not beside the repository")


@pytest.fixture(scope="module")
def checker():
    sys.path.insert(0, str(GOLDEN))
    try:
        yield importlib.import_module("golden_lib")
    finally:
        sys.path.remove(str(GOLDEN))


@pytest.mark.parametrize("codec", ["bitpacking", "bp128"])
@pytest.mark.parametrize("name", ["g1_quickstart", "g3b_one_panel", "g5_codecs"])
def test_exported_answers_equal_those_of_the_original(checker, tmp_path, name, codec):
    root = checker.unpack(name, str(GOLDEN), str(tmp_path / "source"))
    hox.RaggedAtlas.checkout_latest(root).export(tmp_path / "copy", codec)
    copy = hox.RaggedAtlas.checkout_latest(tmp_path / "copy")
    assert copy.validate() == []
    queries = json.loads((GOLDEN / f"{name}.expected" / "queries.json").read_text())
    for query in queries:
        if query["terminal"] != "to_anndata" or query["version"] is not None or "raises" in query:
            continue
        result = checker.run(copy, query)
        base = str(GOLDEN / f"{name}.expected" / query["name"])
        assert checker.compare_anndata(base, query["answer"], result) == [], query["name"]
    _same_answers(hox.RaggedAtlas.checkout_latest(root), copy)


def _same_answers(source: hox.RaggedAtlas, copy: hox.RaggedAtlas) -> None:
    assert source.query().to_polars().equals(copy.query().to_polars())
    for space in source.pointer_fields:
        with warnings.catch_warnings(action="ignore"):  # not every cell has every modality
            expected, found = (atlas.query().feature_spaces(space).to_anndata() for atlas in (source, copy))
        pd.testing.assert_frame_equal(expected.var, found.var)
        assert expected.X.dtype == found.X.dtype
        # Different codecs keep the same entries; what 0.2.2 stored unsorted comes back sorted.
        difference = expected.X != found.X
        assert (difference.nnz if hasattr(difference, "nnz") else difference.sum()) == 0
