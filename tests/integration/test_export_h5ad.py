"""One dataset back as it was, in memory and as a file; the real h5ad files through an atlas."""

from __future__ import annotations

import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, checked_out, empty_atlas

import homeobox as hox
from homeobox.schema import DenseZarrPointer, SparseZarrPointer, Vector, column

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
GENES = [f"gene{i}" for i in range(30)]


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(3)
    obs = pd.DataFrame({"label": ["b", None, "a"] * 10, "number": range(30)})
    panel = [GENES[i] for i in rng.permutation(30)[:12]]
    return [
        Dataset("other", sp.csr_matrix(rng.poisson(1, (30, 30)).astype("uint16")), GENES, obs),
        Dataset("mine", sp.csr_matrix(rng.poisson(1, (30, 12)).astype("float32")), panel, obs[["number"]]),
        Dataset("protein", rng.poisson(3, (30, 2)).astype("int32"), ["p1", "p0"], obs, "protein_abundance"),
    ]


@pytest.fixture(scope="module")
def atlas(sources, tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    writable = empty_atlas(folder, {"gene_expression": GENES, "protein_abundance": ["p0", "p1"]})
    for source in sources:
        add(writable, source)
    return checked_out(writable, folder)


def same_matrix(found, expected) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    difference = found != expected
    assert (difference.nnz if sp.issparse(difference) else difference.sum()) == 0


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("as_file", [False, True])
def test_a_dataset_comes_back(atlas, sources, tmp_path, position, as_file):
    source = sources[position]
    if as_file:
        assert atlas.export_h5ad(source.group, tmp_path / "one.h5ad", compression="gzip") is None
        found = anndata.read_h5ad(tmp_path / "one.h5ad")
        assert [path.name for path in tmp_path.iterdir()] == ["one.h5ad"]
    else:
        found = atlas.export_h5ad(atlas.list_datasets().filter(zarr_group=source.group)["uid"].item())
    same_matrix(found.X, source.matrix)
    assert found.var_names.tolist() == found.var["global_feature_uid"].tolist() == source.uids
    assert found.var["symbol"].tolist() == [uid.upper() for uid in source.uids]
    assert list(found.obs.columns) == list(source.obs.columns)
    assert found.obs["number"].tolist() == source.obs["number"].tolist()
    assert found.uns["homeobox"]["zarr_group"] == source.group
    assert found.uns["homeobox"]["n_cells"] == 30


def test_what_is_exported_can_be_ingested_again(atlas, sources, tmp_path):
    atlas.export_h5ad("mine", tmp_path / "mine.h5ad")
    again = empty_atlas(tmp_path / "again", {"gene_expression": GENES})
    record = hox.DatasetRecord(zarr_group="mine", feature_space="gene_expression", n_cells=30)
    hox.add_from_anndata(
        again, tmp_path / "mine.h5ad", feature_space="gene_expression", zarr_layer="counts", dataset_record=record
    )
    same_matrix(checked_out(again, tmp_path / "again").export_h5ad("mine").X, sources[1].matrix)


def test_refusals(atlas, tmp_path):
    with pytest.raises(hox.NotFoundError, match="zarr group or uid 'nope'"):
        atlas.export_h5ad("nope")
    (tmp_path / "there.h5ad").write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        atlas.export_h5ad("mine", tmp_path / "there.h5ad")
    assert (tmp_path / "there.h5ad").read_text() == "mine"
    with pytest.raises(hox.StoreError, match=r"no folder/a.h5ad' cannot be written: .*No such file or directory"):
        atlas.export_h5ad("mine", tmp_path / "no folder" / "a.h5ad")
    writable = hox.RaggedAtlas.open(atlas.catalog.location.root, "cells")
    with pytest.raises(RuntimeError, match="take a snapshot"):
        writable.export_h5ad("mine")


def test_many_blocks(tmp_path, monkeypatch, atlas, sources):
    monkeypatch.setattr("homeobox.export.dataset.BLOCK_ELEMENTS", 7)
    for source in sources:
        same_matrix(atlas.export_h5ad(source.group).X, source.matrix)
        atlas.export_h5ad(source.group, tmp_path / f"{source.group}.h5ad")
        same_matrix(anndata.read_h5ad(tmp_path / f"{source.group}.h5ad").X, source.matrix)


class Described(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    protein_abundance: DenseZarrPointer | None = None
    barcode: str | None = column(obs_names=True)
    stage: str | None = column(categories=["early", "late"], ordered=True, source="time.point")
    embedding: Vector(2) | None = column(obsm="X_umap")


def test_names_categories_and_matrices_come_back(tmp_path, sources):
    folder = tmp_path / "described"
    spaces = {"gene_expression": hox.FeatureBaseSchema}
    writable = hox.create_or_open_atlas(
        folder, "cells", Described, "datasets", hox.DatasetRecord, registry_schemas=spaces
    )
    writable.register_features("gene_expression", [hox.FeatureBaseSchema(uid=gene) for gene in GENES])
    adata = sources[1].anndata()
    adata.obs["time.point"] = pd.Categorical(["late", "early", None] * 10)
    adata.obsm["X_umap"] = np.arange(60, dtype="float32").reshape(30, 2)
    with pytest.warns(UserWarning, match=r"obs column\(s\) \['number'\] are not in the cell table"):
        hox.add_from_anndata(
            writable,
            adata,
            feature_space="gene_expression",
            zarr_layer="counts",
            dataset_record=sources[1].record(),
        )
    found = checked_out(writable, folder).export_h5ad("mine")
    assert found.obs_names.tolist() == adata.obs_names.tolist()
    assert list(found.obs.columns) == ["time.point"]
    assert found.obs["time.point"].cat.categories.tolist() == ["early", "late"]
    assert found.obs["time.point"].cat.ordered
    np.testing.assert_array_equal(found.obsm["X_umap"], adata.obsm["X_umap"])
    adata.obs["time.point"] = ["late", "never", None] * 10
    second = hox.DatasetRecord(zarr_group="second", feature_space="gene_expression", n_cells=30)
    with pytest.raises(ValueError, match=r"'stage': expected one of the ordered categories .* found \['never'\]"):
        hox.add_from_anndata(
            writable, adata, feature_space="gene_expression", zarr_layer="counts", dataset_record=second
        )


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data is not beside the repository")
@pytest.mark.parametrize(
    "name",
    [
        "rna_pbmc3k_raw",
        "rna_pbmc_facs_zheng2017",
        "rna_celegans_embryo_10x",
        "perturb_cropseq_scmageck_28genes",
        "rna_mouse_pancreas_velocity_50obs",
        "cite_pbmc_10k_protein_v3_200cells",
    ],
)
def test_real_files_come_back(tmp_path, name):
    with warnings.catch_warnings(action="ignore"):
        adata = anndata.read_h5ad(DATA / f"{name}.h5ad")
    adata.var_names_make_unique()
    with warnings.catch_warnings(action="error", category=UserWarning):
        schema = hox.HoxBaseSchema.from_anndata(adata, obs_names="cell_name", obsm=True)
    feature = hox.FeatureBaseSchema.from_var(adata.var)
    folder = tmp_path / "atlas"
    spaces = {"gene_expression": feature}
    writable = hox.create_or_open_atlas(folder, "cells", schema, "datasets", hox.DatasetRecord, registry_schemas=spaces)
    writable.register_features("gene_expression", feature.features_from_var(adata.var))
    adata.var["global_feature_uid"] = adata.var_names
    record = hox.DatasetRecord(zarr_group="g", feature_space="gene_expression", n_cells=adata.n_obs)
    hox.add_from_anndata(
        writable,
        adata,
        feature_space="gene_expression",
        zarr_layer="counts",
        dataset_record=record,
        whole_counts=False,
    )
    checked_out(writable, folder).export_h5ad("g", tmp_path / "back.h5ad")
    found = anndata.read_h5ad(tmp_path / "back.h5ad")
    assert found.obs_names.tolist() == adata.obs_names.tolist()
    assert found.var_names.tolist() == adata.var_names.tolist()
    same_matrix(found.X, sp.csr_matrix(adata.X))
    assert set(found.obsm) == set(adata.obsm)
    for key, matrix in adata.obsm.items():
        np.testing.assert_array_equal(found.obsm[key], matrix)
    pd.testing.assert_frame_equal(found.obs, adata.obs, check_dtype=False, check_names=False)
    for column_name in adata.var.columns:
        np.testing.assert_array_equal(found.var[column_name].astype(str), adata.var[column_name].astype(str))


def test_a_dataset_whose_ingest_did_not_finish_is_not_there(tmp_path):
    atlas = empty_atlas(tmp_path, {"gene_expression": GENES})
    atlas.catalog.datasets.add(hox.DatasetRecord(zarr_group="half", feature_space="gene_expression", n_cells=3))
    with pytest.raises(hox.NotFoundError, match="no dataset has the zarr group or uid 'half'"):
        checked_out(atlas, tmp_path).export_h5ad("half")


def test_names_of_features_come_back_beside_their_uids(tmp_path):
    var = pd.DataFrame({"gene_ids": ["E1", "E2", "E3"]}, index=["TP53", "MYC", "MYC"])  # symbols may repeat
    adata = anndata.AnnData(sp.csr_matrix(np.eye(3, dtype=np.float32)), var=var)
    feature = hox.FeatureBaseSchema.from_var(var, uid="gene_ids", var_names="symbol")
    schema = hox.HoxBaseSchema.from_anndata(adata, obs_names="barcode")
    spaces = {"gene_expression": feature}
    folder = tmp_path / "atlas"
    writable = hox.create_or_open_atlas(folder, "cells", schema, "datasets", hox.DatasetRecord, registry_schemas=spaces)
    writable.register_features("gene_expression", feature.features_from_var(var))
    record = hox.DatasetRecord(zarr_group="g", feature_space="gene_expression", n_cells=3)
    options = {"feature_space": "gene_expression", "zarr_layer": "counts", "feature_uids": "gene_ids"}
    hox.add_from_anndata(writable, adata, dataset_record=record, **options)
    snapshot = checked_out(writable, folder)
    assert snapshot.query().to_anndata().var["symbol"].to_dict() == {"E1": "TP53", "E2": "MYC", "E3": "MYC"}
    found = snapshot.export_h5ad("g")
    assert found.var_names.tolist() == ["TP53", "MYC", "MYC"]
    assert found.var["global_feature_uid"].tolist() == ["E1", "E2", "E3"]
    assert "symbol" not in found.var
