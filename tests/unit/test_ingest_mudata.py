"""Ingest of several modalities: one row per cell, pointers to all its groups, absent ones zero-filled."""

from __future__ import annotations

from pathlib import Path

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Feature, checked_out

import homeobox as hox
from homeobox.errors import InvalidArgumentError, NotFoundError, UnsupportedError
from homeobox.schema import DenseZarrPointer, SparseZarrPointer, Vector, column

mudata.set_options(pull_on_update=False)

GENES = [f"gene{i}" for i in range(7)]
PROTEINS = ["cd3", "cd19", "cd14"]
PLACES = {"rna": ("gene_expression", "counts"), "prot": ("protein_abundance", "counts")}


class Cell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    protein_abundance: DenseZarrPointer | None = None
    label: str
    sex: str | None = None
    rna_depth: int | None = None
    prot_depth: int | None = None


def new_atlas(folder: Path) -> hox.RaggedAtlas:
    registries = {"gene_expression": Feature, "protein_abundance": Feature}
    atlas = hox.create_or_open_atlas(folder, "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas=registries)
    atlas.register_features("gene_expression", [Feature(uid=uid) for uid in GENES])
    atlas.register_features("protein_abundance", [Feature(uid=uid) for uid in PROTEINS])
    return atlas


def modality(matrix: np.ndarray | sp.csr_matrix, uids: list[str], cells: list[str], **obs: object) -> anndata.AnnData:
    var = pd.DataFrame({"global_feature_uid": uids}, index=uids)
    return anndata.AnnData(matrix, obs=pd.DataFrame(obs, index=cells), var=var)


def two_modalities(rng: np.random.Generator) -> mudata.MuData:
    """Six cells: RNA of the first five in reverse order, proteins of the last four."""
    names = [f"cell{i}" for i in range(6)]
    rna = sp.csr_matrix(rng.integers(0, 4, (5, 7)).astype(np.int32))
    rna[0, 0] = 1
    mdata = mudata.MuData(
        {
            "rna": modality(rna, GENES[::-1], names[4::-1], depth=np.arange(5) + 2**60, sex=list("fmfmf")),
            "prot": modality(rng.integers(0, 90, (4, 3)), PROTEINS, names[2:], depth=[1, 2, 3, 4], sex=list("fmfm")),
        }
    )
    mdata.obs["label"] = [f"label of {name}" for name in mdata.obs_names]
    return mdata


def records(mdata: mudata.MuData, prefix: str = "cite") -> dict[str, hox.DatasetRecord]:
    return {
        name: hox.DatasetRecord(zarr_group=f"{prefix}/{name}", feature_space=space, n_cells=mdata[name].n_obs)
        for name, (space, _) in PLACES.items()
    }


def add(atlas: hox.RaggedAtlas, mdata: mudata.MuData, prefix: str = "cite", **changes: object) -> int:
    options = {"modalities": PLACES, "dataset_records": records(mdata, prefix), **changes}
    return hox.add_from_mudata(atlas, mdata, **options)


def assert_equals(atlas: hox.RaggedAtlas, mdata: mudata.MuData, label: str = "label") -> None:
    for name, (space, _) in PLACES.items():
        answer = atlas.query().feature_spaces(space).where(f"{space}.zarr_group != ''").to_anndata()
        source = mdata[name]
        of_label = dict(zip(mdata.obs[label], mdata.obs_names, strict=True))
        expected = source[[of_label[text] for text in answer.obs["label"]], answer.var_names]
        assert answer.n_obs == source.n_obs
        got, want = (sp.csr_matrix(found.X).toarray() for found in (answer, expected))
        np.testing.assert_array_equal(got, want)


def test_cells_get_all_their_pointers_in_one_row(tmp_path, rng):
    atlas, mdata = new_atlas(tmp_path), two_modalities(rng)
    assert add(atlas, mdata) == 6
    cells = atlas.catalog.scan_cells().to_pylist()
    by_label = {cell["label"]: cell for cell in cells}
    for name in mdata.obs_names:
        cell = by_label[f"label of {name}"]
        rna, prot = cell["gene_expression"], cell["protein_abundance"]
        if name in mdata["rna"].obs_names:
            assert rna["zarr_group"] == "cite/rna"
            assert rna["zarr_row"] == mdata["rna"].obs_names.get_loc(name)
        else:
            assert rna == {"feature_space": "", "zarr_group": "", "start": 0, "end": 0, "zarr_row": 0}
        if name in mdata["prot"].obs_names:
            assert (prot["feature_space"], prot["zarr_group"]) == ("protein_abundance", "cite/prot")
            assert prot["position"] == mdata["prot"].obs_names.get_loc(name)
        else:
            assert prot == {"feature_space": "", "zarr_group": "", "position": 0}
    rna_uid = atlas.catalog.datasets.by_group()["cite/rna"]["uid"]
    assert {cell["dataset_uid"] for cell in cells} == {rna_uid}
    assert_equals(checked_out(atlas, tmp_path), mdata)


def test_obs_columns_come_from_the_common_table_or_the_modality_in_their_name(tmp_path, rng):
    atlas, mdata = new_atlas(tmp_path), two_modalities(rng)
    mdata["prot"].obs["sex"] = ["m", "f", "m", "x"]
    mdata["rna"].obs.loc[["cell2", "cell3", "cell4"], "sex"] = ["m", "f", "m"]
    add(atlas, mdata)
    cells = atlas.catalog.scan_cells(["label", "sex", "rna_depth", "prot_depth"]).to_pylist()
    by_label = {cell.pop("label"): cell for cell in cells}
    assert by_label["label of cell0"] == {"sex": "f", "rna_depth": 2**60 + 4, "prot_depth": None}
    assert by_label["label of cell4"] == {"sex": "m", "rna_depth": 2**60, "prot_depth": 3}
    assert by_label["label of cell5"] == {"sex": "x", "rna_depth": None, "prot_depth": 4}


def test_modalities_that_disagree_about_a_cell_are_refused(tmp_path, rng):
    atlas, mdata = new_atlas(tmp_path), two_modalities(rng)
    mdata["prot"].obs["sex"] = ["?", "?", "?", "?"]
    with pytest.raises(InvalidArgumentError, match=r"obs column 'sex'.*differ for 3 cell.*'rna_sex'"):
        add(atlas, mdata)
    assert atlas.catalog.store.list("cite/") == []


def test_a_file_gives_the_same(tmp_path, rng):
    atlas, mdata = new_atlas(tmp_path / "atlas"), two_modalities(rng)
    del mdata["prot"].obs["sex"]
    mdata.write_h5mu(tmp_path / "two.h5mu")
    path = tmp_path / "two.h5mu"
    assert hox.add_from_mudata(atlas, path, modalities=PLACES, dataset_records=records(mdata)) == 6
    assert_equals(checked_out(atlas, tmp_path / "atlas"), mdata)


def test_uids_from_another_column_and_a_backed_file(tmp_path, rng):
    atlas, mdata = new_atlas(tmp_path / "atlas"), two_modalities(rng)
    del mdata["prot"].obs["sex"], mdata["prot"].var["global_feature_uid"]
    mdata.write_h5mu(tmp_path / "two.h5mu")
    backed = mudata.read_h5mu(tmp_path / "two.h5mu", backed="r")
    with pytest.raises(InvalidArgumentError, match="modality 'prot': var has no column 'global_feature_uid'"):
        add(atlas, backed)
    assert add(atlas, backed, feature_uids={"prot": "index"}) == 6
    assert_equals(checked_out(atlas, tmp_path / "atlas"), mdata)


def analysed(mdata: mudata.MuData) -> tuple[mudata.MuData, dict[str, object]]:
    """The same cells after an analysis: the genes' counts are a layer, those of the proteins are in raw."""
    counts, mdata = mdata, mudata.MuData({name: mdata[name].copy() for name in PLACES})
    mdata.obs["label"] = counts.obs["label"]
    del mdata["prot"].obs["sex"]
    rna, prot = mdata["rna"], mdata["prot"]
    rna.layers["counts"] = rna.X.copy()
    rna.X = rna.X.astype(np.float32).log1p()
    prot.raw = prot
    mdata.mod["prot"] = prot = prot[:, :2].copy()
    prot.X = np.log1p(prot.X)
    mdata.update()
    places = {
        "rna": ("gene_expression", {"log_normalized": "X", "counts": "layers/counts"}),
        "prot": ("protein_abundance", {"counts": "raw"}),
    }
    return mdata, {"modalities": places}


@pytest.mark.parametrize("from_file", [False, True])
def test_each_modality_has_its_counts_where_its_analysis_left_them(tmp_path, rng, from_file):
    atlas, counts = new_atlas(tmp_path / "atlas"), two_modalities(rng)
    mdata, options = analysed(counts)
    source = mdata
    if from_file:
        source = tmp_path / "analysed.h5mu"
        mdata.write_h5mu(source)
    assert hox.add_from_mudata(atlas, source, dataset_records=records(mdata), **options) == 6
    snapshot = checked_out(atlas, tmp_path / "atlas")
    assert_equals(snapshot, counts)
    query = snapshot.query().feature_spaces("gene_expression").where("gene_expression.zarr_group != ''")
    answer = query.layers("gene_expression", ["log_normalized"]).to_anndata()
    cells = [f"cell{label[-1]}" for label in answer.obs["label"]]
    np.testing.assert_array_equal(answer.X.toarray(), mdata["rna"][cells, answer.var_names].X.toarray())


def test_layers_that_a_modality_lacks_or_that_are_no_counts_are_refused(tmp_path, rng):
    atlas, (mdata, options) = new_atlas(tmp_path), analysed(two_modalities(rng))
    rna, prot = options["modalities"].values()
    for places, message in (
        ({"rna": PLACES["rna"], "prot": prot}, r"modality 'rna': .*counts"),
        ({"rna": rna, "prot": ("protein_abundance", {"counts": "layers/counts"})}, "modality 'prot': .*has no matrix"),
        ({"rna": rna, "prot": ("protein_abundance", {})}, r"modalities\['prot'\] must be"),
        ({"rna": rna, "prot": ("protein_abundance", {"counts": 3})}, r"modalities\['prot'\] must be"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            hox.add_from_mudata(atlas, mdata, modalities=places, dataset_records=records(mdata))
        assert atlas.catalog.store.list("cite/") == []


def test_cells_without_any_of_the_modalities_are_left_out_with_a_warning(tmp_path, rng):
    atlas, mdata = new_atlas(tmp_path), two_modalities(rng)
    only = {"rna": PLACES["rna"]}
    with pytest.warns(UserWarning, match=r"1 of 6 cells have none of the modalities \['rna'\]"):
        assert add(atlas, mdata, modalities=only, dataset_records={"rna": records(mdata)["rna"]}) == 5


def stale(mdata: mudata.MuData) -> dict[str, object]:
    mdata.mod["prot"] = mdata.mod["prot"][::-1].copy()
    return {}


def same_group(mdata: mudata.MuData) -> dict[str, object]:
    taken = records(mdata)
    taken["prot"].zarr_group = "cite/rna"
    return {"dataset_records": taken}


def nested_group(mdata: mudata.MuData) -> dict[str, object]:
    taken = records(mdata)
    taken["prot"].zarr_group = "cite/rna/prot"
    return {"dataset_records": taken}


def wrong_count(mdata: mudata.MuData) -> dict[str, object]:
    taken = records(mdata)
    taken["prot"].n_cells = 6
    return {"dataset_records": taken}


def unknown_feature(mdata: mudata.MuData) -> dict[str, object]:
    mdata["prot"].var["global_feature_uid"] = ["cd3", "cd19", "nobody"]
    return {}


def no_label(mdata: mudata.MuData) -> dict[str, object]:
    del mdata.obs["label"]
    return {}


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (stale, InvalidArgumentError, r"obsmap\['prot'\].*mdata.update"),
        (same_group, InvalidArgumentError, "must differ in zarr_group.*cite/rna"),
        (nested_group, InvalidArgumentError, "'cite/rna' would enclose the group 'cite/rna/prot'"),
        (wrong_count, InvalidArgumentError, "modality 'prot': .*n_cells = 6"),
        (unknown_feature, NotFoundError, "modality 'prot': .*not found in registry"),
        (no_label, InvalidArgumentError, "Missing required column 'label'"),
        (lambda mdata: {"modalities": {}}, InvalidArgumentError, "modalities is empty"),
        (lambda mdata: {"modalities": None}, InvalidArgumentError, "modalities must be a dict by modality"),
        (
            lambda mdata: {"modalities": ["rna"]},
            InvalidArgumentError,
            "must be a dict by modality, found list",
        ),
        (lambda mdata: {"modalities": {"rna": "gene_expression"}}, InvalidArgumentError, "feature space, layer"),
        (lambda mdata: {"modalities": {"rna": PLACES["rna"]}}, InvalidArgumentError, "must name the modalities"),
        (lambda mdata: {"dataset_records": {"rna": 1, "prot": 2}}, InvalidArgumentError, "must be a DatasetRecord"),
    ],
)
def test_refused_before_anything_is_written(tmp_path, rng, spoil, error, message):
    atlas, mdata = new_atlas(tmp_path), two_modalities(rng)
    changes = spoil(mdata)
    before = atlas.catalog.store.list("")
    with pytest.raises(error, match=message):
        add(atlas, mdata, **changes)
    assert atlas.catalog.store.list("") == before
    assert atlas.catalog.count_cells() == 0
    assert atlas.list_datasets().is_empty()


def test_other_sources_are_refused(tmp_path, rng):
    atlas, mdata = new_atlas(tmp_path), two_modalities(rng)
    options = {"modalities": PLACES, "dataset_records": records(mdata)}
    with pytest.raises(UnsupportedError, match="must be a MuData"):
        hox.add_from_mudata(atlas, mdata["rna"], **options)
    with pytest.raises(NotFoundError, match="there is no file"):
        hox.add_from_mudata(atlas, tmp_path / "none.h5mu", **options)
    (tmp_path / "text.h5mu").write_text("no HDF5")
    with pytest.raises(InvalidArgumentError, match="not a readable h5mu"):
        hox.add_from_mudata(atlas, tmp_path / "text.h5mu", **options)
    shared_features = mudata.MuData({"rna": mdata["rna"].copy(), "prot": mdata["rna"].copy()}, axis=1)
    with pytest.raises(UnsupportedError, match="axis is 1"):
        hox.add_from_mudata(atlas, shared_features, **options)


class CellWithVectors(Cell):
    pca: Vector(2) | None = column(obsm="X_pca")
    tsne: Vector(2) | None = column(obsm="prot:X_tsne")


def test_vectors_come_from_the_modality_that_has_them(tmp_path, rng):
    registries = {"gene_expression": Feature, "protein_abundance": Feature}
    atlas = hox.create_or_open_atlas(
        tmp_path, "cells", CellWithVectors, "datasets", hox.DatasetRecord, registry_schemas=registries
    )
    atlas.register_features("gene_expression", [Feature(uid=uid) for uid in GENES])
    atlas.register_features("protein_abundance", [Feature(uid=uid) for uid in PROTEINS])
    mdata = two_modalities(rng)
    del mdata["prot"].obs["sex"]
    mdata["rna"].obsm["X_pca"] = np.arange(10, dtype=np.float32).reshape(5, 2)
    mdata["prot"].obsm["X_pca"] = np.zeros((4, 2))
    mdata["rna"].obsm["X_tsne"] = np.zeros((5, 2))
    mdata["prot"].obsm["X_tsne"] = sp.csr_matrix(np.arange(8.0).reshape(4, 2))
    with pytest.raises(InvalidArgumentError, match=r"obsm\['X_pca'\] is there in modalities \['rna', 'prot'\]"):
        add(atlas, mdata)
    del mdata["prot"].obsm["X_pca"]
    assert add(atlas, mdata) == 6
    cells = {row.pop("label"): row for row in atlas.catalog.scan_cells(["label", "pca", "tsne"]).to_pylist()}
    assert cells["label of cell4"] == {"pca": [0, 1], "tsne": [4, 5]}
    assert cells["label of cell0"] == {"pca": [8, 9], "tsne": None}
    assert cells["label of cell5"] == {"pca": None, "tsne": [6, 7]}


def test_columns_that_no_field_takes_are_named(tmp_path, rng):
    atlas, mdata = new_atlas(tmp_path), two_modalities(rng)
    del mdata["prot"].obs["sex"]
    mdata.obs["batch"] = "b"
    mdata["prot"].obs["panel"] = "p"
    with pytest.warns(UserWarning, match=r"obs column\(s\) \['batch', 'prot:panel'\] are not in the cell table"):
        add(atlas, mdata)
