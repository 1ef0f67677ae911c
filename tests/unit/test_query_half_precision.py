"""Layers that others stored in half precision."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, checked_out, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.schema import PointerKind, ZarrGroupSpec

GENES = ["a", "b", "c"]
BYTES = json.dumps([{"name": "bytes", "configuration": {"endian": "little"}}])


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half")
    atlas = empty_atlas(folder, {"gene_expression": GENES, "protein_abundance": ["p", "q"]})
    obs = pd.DataFrame({"number": range(3)})
    counts = sp.csr_matrix(np.array([[1, 2, 0], [0, 3, 0], [4, 0, 5]], "float32"))
    for group, uids in (("half", GENES), ("single", GENES[::-1])):
        add(atlas, Dataset(group, counts, uids, obs), feature_order="as_given")
        stored = np.float16 if group == "half" else np.float32
        _core.write_array(
            atlas.catalog.store, f"{group}/csr/layers/tpm", (counts.data / 4).astype(stored), [5], [5], BYTES
        )
    proteins = np.array([[1, 2], [3, 4], [5, 6]], "float32")
    for group, uids in (("phalf", ["q", "p"]), ("psingle", ["p", "q"])):
        add(atlas, Dataset(group, proteins, uids, obs, "protein_abundance"))
        stored = np.float16 if group == "phalf" else np.float32
        layer = f"{group}/layers/clr_normalized"
        _core.write_array(atlas.catalog.store, layer, (proteins / 4).astype(stored), [3, 2], [3, 2], BYTES)
    return checked_out(atlas, folder)


@pytest.mark.filterwarnings("ignore:.*are left out")
@pytest.mark.parametrize("n_groups", [1, 2])
def test_sparse(atlas, n_groups):
    query = atlas.query().limit(3 * n_groups).layers("gene_expression", ["counts", "tpm"])
    result = query.to_anndata()
    assert result.layers["tpm"].dtype == np.float32
    np.testing.assert_array_equal(result.layers["tpm"].toarray(), result.X.toarray() / 4)
    assert result.n_obs == 3 * n_groups


@pytest.mark.filterwarnings("ignore:.*are left out")
def test_dense(atlas):
    result = atlas.query().layers("protein_abundance", ["counts", "clr_normalized"]).to_anndata()
    np.testing.assert_array_equal(result.layers["clr_normalized"], result.X / 4)
    one = atlas.query().features(["q"], "protein_abundance").layers("protein_abundance", ["clr_normalized"])
    assert one.to_anndata().X[:, 0].tolist() == [0.25, 0.75, 1.25, 0.5, 1.0, 1.5]


def test_a_reconstructor_that_no_query_would_call_is_refused():
    spec = ZarrGroupSpec(feature_space="mine", pointer_kind=PointerKind.DENSE, reconstructor=object())
    with pytest.raises(hox.UnsupportedError, match="leave reconstructor out"):
        hox.register_spec(spec)
    assert "mine" not in hox.registered_feature_spaces()
