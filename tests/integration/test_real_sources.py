"""Every real count file goes in by the public API and comes out equal to what the usual reader sees in it."""

from __future__ import annotations

import tarfile
import warnings
import zipfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
import zarr
from small_atlas import Feature, checked_out, empty_atlas

import homeobox as hox

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the files of {DATA}")


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AnnData on names that repeat and on encodings of old
        yield


def round_trip(
    folder: Path, given: object, expected: sp.spmatrix | np.ndarray, uids: list[str], **options: object
) -> anndata.AnnData:
    """Ingest, and hold every value that any kind of query gives against the source's.

    The answer to a query of everything, with its columns as in the source.
    """
    space = str(options.pop("space", "gene_expression"))
    atlas = empty_atlas(folder, {space: []})
    atlas.register_features(space, [Feature(uid=uid) for uid in uids])
    record = hox.DatasetRecord(zarr_group="g", feature_space=space, n_cells=expected.shape[0])
    arguments = {"zarr_layer": "counts", "memory": "64MiB", **options}
    assert hox.add_from_anndata(atlas, given, feature_space=space, dataset_record=record, **arguments) == record.n_cells
    if space == "gene_expression":
        hox.add_csc(atlas, "g", space)
    snapshot = checked_out(atlas, folder)
    assert snapshot.validate(deep=True) == []
    found = snapshot.query().feature_spaces(space).to_anndata()
    place = {uid: i for i, uid in enumerate(found.var_names)}
    found = found[:, [place[uid] for uid in uids]]
    got, wanted = (matrix if sp.issparse(matrix) else sp.csr_matrix(matrix) for matrix in (found.X, expected))
    assert got.shape == wanted.shape
    assert (got != wanted).nnz == 0
    assert got.sum(dtype=np.float64) > 0
    few = sorted(np.random.default_rng(5).choice(len(uids), 5, replace=False))
    chosen = snapshot.query().features([uids[i] for i in few], space).to_anndata()[:, [uids[i] for i in few]].X
    assert (sp.csr_matrix(chosen) != wanted.tocsc()[:, few].tocsr()).nnz == 0
    if space == "gene_expression":
        assert_batches_equal(snapshot, wanted.tocsr(), uids)
    return found


def assert_batches_equal(snapshot: hox.RaggedAtlas, expected: sp.csr_matrix, uids: list[str]) -> None:
    """Every cell comes once, with its counts."""
    place = {uid: i for i, uid in enumerate(uids)}
    column_of = np.array([place[uid] for uid in snapshot.feature_registry("gene_expression")["uid"]])
    n_cells = 0
    for batch in snapshot.query().to_loader(500, seed=3):
        rows = sp.csr_matrix((batch.values, column_of[batch.indices], batch.offsets), shape=(len(batch), len(uids)))
        assert (rows != expected[batch.cells]).nnz == 0
        n_cells += len(batch)
    assert n_cells == expected.shape[0]


H5AD = {
    "rna_pbmc3k_raw.h5ad": ["X"],
    "rna_pbmc_facs_zheng2017.h5ad": ["X"],
    "rna_celegans_embryo_10x.h5ad": ["X"],
    "perturb_cropseq_scmageck_28genes.h5ad": ["X"],
    "cite_pbmc_10k_protein_v3_200cells.h5ad": ["X"],
    "rna_mouse_dentategyrus_velocity_100obs.h5ad": ["X", "layers/spliced", "layers/unspliced", "layers/ambiguous"],
    "rna_mouse_pancreas_velocity_50obs.h5ad": ["X", "layers/spliced", "layers/unspliced"],
}


@pytest.mark.parametrize(("file", "place"), [(file, place) for file, places in H5AD.items() for place in places])
def test_h5ad(tmp_path, file, place):
    read = anndata.read_h5ad(DATA / file)
    # Symbols may repeat; a feature may not.
    uids = [f"{i}:{name}" for i, name in enumerate(read.var_names)]
    expected = read.X if place == "X" else read.layers[place.removeprefix("layers/")]
    obs = pd.DataFrame({"label": read.obs_names}, index=read.obs_names)
    found = round_trip(tmp_path, DATA / file, expected, uids, source=place, feature_uids=uids, obs=obs)
    assert found.obs["label"].tolist() == read.obs_names.tolist()


def test_the_same_backed_and_in_memory(tmp_path):
    path = DATA / "rna_celegans_embryo_10x.h5ad"
    read = anndata.read_h5ad(path)
    for number, given in enumerate([read, anndata.read_h5ad(path, backed="r")]):
        round_trip(tmp_path / str(number), given, read.X, read.var_names.tolist(), feature_uids="index")


def test_ten_x_folder(tmp_path):
    with tarfile.open(DATA / "rna_pbmc3k_10xv2.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "filtered_gene_bc_matrices" / "hg19"
    expected = scipy.io.mmread(folder / "matrix.mtx").T.tocsr()
    genes = pd.read_csv(folder / "genes.tsv", sep="\t", header=None)[0].tolist()
    found = round_trip(tmp_path / "atlas", folder, expected, genes, feature_uids="gene_ids")
    h5ad = anndata.read_h5ad(DATA / "rna_pbmc3k_raw.h5ad")
    assert (found.X != h5ad.X).nnz == 0


def test_ten_x_hdf5(tmp_path):
    path = DATA / "spatial_10x_visium_100genes.h5"
    with h5py.File(path) as file:
        group = file["matrix"]
        arrays = (group["data"][:], group["indices"][:], group["indptr"][:])
        expected = sp.csr_matrix(arrays, shape=group["shape"][:][::-1])
        uids = [uid.decode() for uid in group["features/id"][:]]
    round_trip(tmp_path, path, expected, uids, feature_uids="gene_ids")


def test_loom(tmp_path):
    path = DATA / "spatial_osmfish_mouse_cortex.loom"
    with h5py.File(path) as file:
        expected = file["matrix"][:].T
        genes = [gene.decode() for gene in file["row_attrs/Gene"][:]]
        regions = [region.decode() for region in file["col_attrs/Region"][:]]
    obs = pd.DataFrame({"label": regions})
    found = round_trip(tmp_path, path, expected, genes, feature_uids="Gene", obs=obs)
    assert found.obs["label"].tolist() == regions


@pytest.mark.parametrize(
    ("file", "separator", "space"),
    [
        ("rna_mouse_intestine_moor2018.tsv.gz", "\t", "gene_expression"),
        ("rna_sc_mixology_celseq2.count.csv.gz", ",", "gene_expression"),
        ("cite_dsb_87proteins_2872cells.csv.gz", ",", "protein_abundance"),
    ],
)
def test_tables_of_text(tmp_path, file, separator, space):
    table = pd.read_csv(DATA / file, sep=separator, index_col=0).T
    table.columns = [f"{i}:{name}" for i, name in enumerate(table.columns)]
    adata = anndata.AnnData(table)
    adata.obs["label"] = adata.obs_names
    found = round_trip(tmp_path, adata, table.to_numpy(), list(table.columns), feature_uids="index", space=space)
    assert found.obs["label"].tolist() == adata.obs["label"].tolist()


def test_counts_and_what_is_known_of_the_cells_in_two_tables(tmp_path):
    counts = pd.read_csv(DATA / "rna_sc_mixology_celseq2.count.csv.gz", index_col=0).T
    metadata = pd.read_csv(DATA / "rna_sc_mixology_celseq2.metadata.csv.gz", index_col=0)
    assert metadata.shape == (274, 16)
    adata = anndata.AnnData(counts.iloc[:, :200], obs=metadata.astype({"cell_line": "category"}))
    schema = hox.HoxBaseSchema.from_anndata(adata, obs_names="cell")
    spaces = {"gene_expression": Feature}
    atlas = hox.create_or_open_atlas(tmp_path, "cells", schema, "datasets", hox.DatasetRecord, registry_schemas=spaces)
    atlas.register_features("gene_expression", [Feature(uid=uid) for uid in adata.var_names])
    record = hox.DatasetRecord(zarr_group="g", feature_space="gene_expression", n_cells=adata.n_obs)
    options = {"feature_space": "gene_expression", "zarr_layer": "counts", "feature_uids": "index"}
    hox.add_from_anndata(atlas, adata, dataset_record=record, **options)
    found = checked_out(atlas, tmp_path).query().to_anndata().obs.set_index("cell")
    pd.testing.assert_frame_equal(found[list(metadata.columns)], adata.obs, check_names=False)


def test_proteins_beside_rna(tmp_path):
    read = anndata.read_h5ad(DATA / "cite_pbmc_10k_protein_v3_200cells.h5ad")
    counts = np.asarray(read.obsm["protein_expression"])
    names = [str(name) for name in read.uns["protein_names"]]
    adata = anndata.AnnData(counts, obs=read.obs)
    round_trip(tmp_path, adata, counts, names, feature_uids=names, space="protein_abundance")


def test_guides_of_a_screen(tmp_path):
    table = pd.read_csv(DATA / "perturb_cropseq_scmageck_guides.tsv.gz", sep="\t")
    cells, guides = (pd.Categorical(table[column]) for column in ("cell", "barcode"))
    shape = (len(cells.categories), len(guides.categories))
    lines = pd.DataFrame({"guide": guides.codes, "cell": cells.codes, "count": table["umi_count"]})
    lines.to_csv(tmp_path / "guides.tsv.gz", sep="\t", header=False, index=False)
    atlas = empty_atlas(tmp_path / "atlas", {"gene_expression": list(guides.categories)})
    hox.add_coo_batch(
        atlas,
        tmp_path / "guides.tsv.gz",
        obs_df=pd.DataFrame({"label": cells.categories}),
        var_df=pd.DataFrame({"global_feature_uid": guides.categories}),
        feature_space="gene_expression",
        zarr_layer="counts",
        dataset_record=hox.DatasetRecord(zarr_group="g", feature_space="gene_expression", n_cells=shape[0]),
        n_cells=shape[0],
        n_features=shape[1],
        one_indexed=False,
    )
    expected = sp.csr_matrix((table["umi_count"], (cells.codes, guides.codes)), shape=shape)
    found = checked_out(atlas, tmp_path / "atlas").query().to_anndata()[:, list(guides.categories)]
    assert (expected != found.X).nnz == 0


def test_zarr_of_version_2(tmp_path):
    with tarfile.open(DATA / "rna_mouse_brain_10k_x_1k_v2.zarr.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    adata = anndata.io.read_zarr(tmp_path / "10x-10k-subset.zarr")
    round_trip(tmp_path / "atlas", adata, np.asarray(adata.X), adata.var["gene_ids"].tolist(), feature_uids="gene_ids")


def test_zarr_of_version_3(tmp_path):
    with zipfile.ZipFile(DATA / "rna_pbmc68k_reduced_v3.zarr.zip") as archive:
        archive.extractall(tmp_path / "zarr")
    group = zarr.open_group(tmp_path / "zarr", mode="r", use_consolidated=False)
    # Not the whole: uns holds records, which zarr does not read.
    parts = {name: anndata.io.read_elem(group[name]) for name in ("obs", "var", "X", "layers/counts")}
    adata = anndata.AnnData(parts["X"], obs=parts["obs"], var=parts["var"], layers={"counts": parts["layers/counts"]})
    adata.obs["label"] = adata.obs["bulk_labels"]
    uids = adata.var_names.tolist()
    found = round_trip(
        tmp_path / "a", adata, adata.layers["counts"], uids, feature_uids="index", source="layers/counts"
    )
    assert found.obs["label"].tolist() == adata.obs["bulk_labels"].tolist()


def test_no_file_is_forgotten():
    """Each is named by a test here or beside, which reads it."""
    read = Path(__file__).read_text() + Path(__file__).with_name("test_real_modalities.py").read_text()
    given = {file.name for file in DATA.iterdir()} - {"README.md", "SHA256SUMS"}
    assert sorted(name for name in given if name not in read) == []
