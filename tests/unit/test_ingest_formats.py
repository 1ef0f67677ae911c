"""Every kind of source goes in by one call, and comes out as it was."""

from __future__ import annotations

import subprocess
import sys

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import checked_out, empty_atlas
from source_files import FORMATS, as_anndata, ids

import homeobox as hox
from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources import entry_room

COUNTS = sp.csr_matrix(
    np.array([[0, 2, 0, 1, 0], [0, 0, 0, 0, 7], [3, 0, 0, 4, 0], [0, 0, 0, 0, 0], [1, 1, 300, 1, 1]], dtype=np.int32)
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "atlas"


@pytest.fixture
def atlas(folder):
    return empty_atlas(folder, {"gene_expression": ids(COUNTS), "protein_abundance": ids(COUNTS)})


def ingest(atlas, adata, group: str = "g", space: str = "gene_expression", n_cells: int = COUNTS.shape[0], **options):
    record = hox.DatasetRecord(zarr_group=group, feature_space=space, n_cells=n_cells)
    options = {"zarr_layer": "counts", "feature_uids": "gene_ids", **options}
    return hox.add_from_anndata(atlas, adata, feature_space=space, dataset_record=record, **options)


def answer(atlas, folder, space: str = "gene_expression", layer: str | None = None) -> anndata.AnnData:
    query = checked_out(atlas, folder).query().feature_spaces(space)
    if layer is not None:
        query = query.layers(space, [layer])
    found = query.to_anndata()
    return found[:, ids(COUNTS)]


def dense(matrix) -> np.ndarray:
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


@pytest.mark.parametrize("space", ["gene_expression", "protein_abundance"])
def test_files(atlas, folder, tmp_path, space):
    for number, write in enumerate(FORMATS.values()):
        assert ingest(atlas, write(COUNTS, tmp_path), f"g{number}", space) == COUNTS.shape[0]
    found = dense(answer(atlas, folder, space).X).reshape(len(FORMATS), *COUNTS.shape)
    for rows, name in zip(found, FORMATS, strict=True):
        np.testing.assert_array_equal(rows, COUNTS.toarray(), err_msg=name)


def test_objects(atlas, folder):
    forms = [sp.csc_matrix, sp.coo_matrix, sp.csr_array, sp.lil_matrix, np.asarray]
    for number, form in enumerate(forms):
        source = as_anndata(COUNTS)
        source._X = form(COUNTS.toarray())  # AnnData lets no coordinates in, but old objects hold some
        ingest(atlas, source, f"g{number}")
    np.testing.assert_array_equal(dense(answer(atlas, folder).X), np.tile(COUNTS.toarray(), (len(forms), 1)))


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix, np.asarray])
def test_backed(atlas, folder, tmp_path, form):
    as_anndata(form(COUNTS.toarray())).write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    backed.obs["label"] = "changed"
    ingest(atlas, backed)
    ingest(atlas, backed[1:3], "view", n_cells=2)
    found = answer(atlas, folder)
    np.testing.assert_array_equal(dense(found.X), dense(COUNTS)[[0, 1, 2, 3, 4, 1, 2]])
    assert set(found.obs["label"]) == {"changed"}


def test_obs_of_files(atlas, folder, tmp_path):
    ingest(atlas, FORMATS["h5ad, CSR"](COUNTS, tmp_path), "new")
    ingest(atlas, FORMATS["h5ad, CSR, before 0.7"](COUNTS, tmp_path), "old")
    added = pd.DataFrame({"label": list("edcba")}, index=[f"cell-{i}" for i in reversed(range(5))])
    ingest(atlas, FORMATS["10x HDF5, version 3"](COUNTS, tmp_path), "10x", obs=added)
    ingest(atlas, FORMATS["loom"](COUNTS, tmp_path), "loom", obs=pd.DataFrame({"label": list("abcde")}))
    labels = answer(atlas, folder).obs["label"].tolist()
    assert labels == ["l0", "l1", "l2", "l0", "l1"] * 2 + list("abcde") * 2


def test_raw_and_layers(atlas, folder, tmp_path):
    source = as_anndata(sp.csr_matrix(COUNTS, dtype=np.float64, copy=True).log1p())
    source.layers["kept"] = COUNTS
    whole = as_anndata(COUNTS * 2)
    source.raw = whole
    path = tmp_path / "a.h5ad"
    source[:, :3].copy().write_h5ad(path)
    places = ["layers/kept", "raw", "raw/X"]
    for number, given in enumerate([source[:, :3].copy(), path, anndata.read_h5ad(path, backed="r")]):
        for place in places:
            ingest(atlas, given, f"{number}/{place.replace('/', '-')}", source=place)
    found = dense(answer(atlas, folder).X).reshape(9, 5, 5)
    kept = COUNTS.toarray() * [1, 1, 1, 0, 0]
    for rows, expected in zip(found, [kept, COUNTS.toarray() * 2, COUNTS.toarray() * 2] * 3, strict=True):
        np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("space", ["gene_expression", "protein_abundance"])
def test_several_layers_in_one_pass(atlas, folder, tmp_path, on_disk, space):
    other = {"gene_expression": "log_normalized", "protein_abundance": "clr_normalized"}[space]
    normalised = COUNTS.astype(np.float64).log1p()
    normalised = sp.csr_matrix(  # the same entries, in another order inside the rows
        (normalised.data[::-1], normalised.indices[::-1], normalised.nnz - normalised.indptr[::-1])
    )[::-1]
    if space == "protein_abundance":
        normalised.data[:3] = 0
        normalised.eliminate_zeros()  # whole rows need no like entries
    expected = normalised.toarray()
    source = as_anndata(normalised)
    source.layers["raw_counts"] = COUNTS
    if on_disk:
        source.write_h5ad(tmp_path / "a.h5ad")
        source = tmp_path / "a.h5ad"
    ingest(atlas, source, space=space, zarr_layer=None, layers={other: "X", "counts": "layers/raw_counts"})
    np.testing.assert_array_equal(dense(answer(atlas, folder, space, "counts").X), COUNTS.toarray())
    found = dense(answer(atlas, folder, space, other).X)
    np.testing.assert_array_equal(found, expected.astype(found.dtype))


@pytest.mark.parametrize("on_disk", [False, True])
def test_dense_layers_lose_nothing(atlas, folder, tmp_path, on_disk):
    """A value where the first layer is zero has no place in a sparse space; a zero where it is not has."""

    def given(values: np.ndarray) -> object:
        source = as_anndata(COUNTS.toarray())
        source.layers["other"] = values
        source.write_h5ad(tmp_path / "a.h5ad")
        return tmp_path / "a.h5ad" if on_disk else source

    fewer = COUNTS.toarray() * np.array([1.5, 0, 1.5, 1.5, 0])
    more = fewer.copy()
    more[3, 2] = 0.5
    options = {"zarr_layer": None, "layers": {"counts": "X", "log_normalized": "layers/other"}}
    with pytest.raises(InvalidArgumentError, match=r"row 3 of .*layers/other has values where .*X has zeros; ingest"):
        ingest(atlas, given(more), **options)
    ingest(atlas, given(fewer), **options)
    np.testing.assert_array_equal(dense(answer(atlas, folder, layer="counts").X), COUNTS.toarray())
    np.testing.assert_array_equal(dense(answer(atlas, folder, layer="log_normalized").X), fewer.astype(np.float32))


@pytest.mark.parametrize("kind", ["object", "path", "backed"])
@pytest.mark.parametrize("space", ["gene_expression", "protein_abundance"])
def test_layers_are_not_joined_by_position(atlas, tmp_path, kind, space):
    """raw has features of its own, of which those of X may be some, or all in another order."""
    for order, message in (
        ([0, 2, 1, 3, 4], r"'raw/X' has '{1}' as feature 1 and 'X' has '{2}'"),
        ([0, 1, 2], r"'raw/X' has 5 features and 'X' has 3"),
    ):
        whole = as_anndata(COUNTS)
        source = whole[:, order].copy()
        source.raw = whole
        if kind != "object":
            source.write_h5ad(tmp_path / "a.h5ad")
            source = tmp_path / "a.h5ad"
        if kind == "backed":
            source = anndata.read_h5ad(source, backed="r")
        layers = {"counts": "raw", "log_normalized" if space == "gene_expression" else "clr_normalized": "X"}
        with pytest.raises(InvalidArgumentError, match=message.format(*whole.var_names)):
            ingest(atlas, source, space=space, zarr_layer=None, layers=layers)
        if kind == "backed":
            source.file.close()


def test_layers_share_the_budget(atlas, tmp_path, monkeypatch):
    """Three that fit alone do not fit together, and go to files."""
    made = []

    class Counted(entry_room.ScratchArray):
        def __init__(self, *given) -> None:
            made.append(given)
            super().__init__(*given)

    monkeypatch.setattr(entry_room, "ScratchArray", Counted)
    rng = np.random.default_rng(6)
    counts = sp.random(5000, 5, 0.8, format="csr", random_state=rng, data_rvs=lambda n: rng.integers(1, 9, n))
    source = as_anndata(counts.astype(np.float32))
    source.layers["a"], source.layers["b"] = source.X, source.X
    source.write_h5ad(tmp_path / "a.h5ad", compression="lzf")
    memory = 3 * 8 * counts.nnz  # half of it holds the 8 bytes of each entry of one layer
    ingest(atlas, tmp_path / "a.h5ad", "one", n_cells=5000, memory=memory)
    assert not made
    layers = {"counts": "X", "log_normalized": "layers/a", "tpm": "layers/b"}
    ingest(atlas, tmp_path / "a.h5ad", "three", n_cells=5000, zarr_layer=None, layers=layers, memory=memory)
    assert len(made) == 6


def test_small_budget_and_columns(atlas, folder, tmp_path):
    """More entries than fit in memory at once are dealt out on disk."""
    rng = np.random.default_rng(5)
    counts = sp.random(3000, 5, 0.6, format="csr", random_state=rng, data_rvs=lambda n: rng.integers(1, 9, n))
    for name in ("h5ad, CSC", "10x folder, version 3", "h5ad, CSR", "h5ad, dense"):
        ingest(atlas, FORMATS[name](counts, tmp_path), name.replace(", ", "-"), n_cells=3000, memory="100kB")
    found = dense(answer(atlas, folder).X).reshape(4, 3000, 5)
    for rows in found:
        np.testing.assert_array_equal(rows, counts.toarray())
    assert [path.name for path in (folder / "zarr_store").iterdir() if path.is_file()] in ([], ["zarr.json"])


@pytest.mark.parametrize("matrix", [sp.csr_matrix, sp.csc_matrix, np.asarray])
def test_chunks_that_are_larger_than_the_budget_are_refused(atlas, folder, tmp_path, rng, matrix):
    counts = sp.random(80_000, COUNTS.shape[1], density=0.9, format="csr", random_state=rng)
    counts.data = np.ceil(counts.data * 9).astype(np.float32)
    adata = as_anndata(counts)
    adata.X = matrix(counts.toarray())
    path = tmp_path / "one_chunk.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        place = "X/data" if sp.issparse(adata.X) else "X"
        values, attributes = file[place][:], dict(file[place].attrs)
        del file[place]
        file.create_dataset(place, data=values, chunks=values.shape, compression="gzip").attrs.update(attributes)
    with pytest.raises(InvalidArgumentError, match=rf"{place}: its compressed chunks take {values.nbytes} bytes each"):
        ingest(atlas, path, n_cells=80_000, memory=values.nbytes)
    assert atlas.catalog.store.list("g/") == []
    ingest(atlas, path, n_cells=80_000, memory=2 * values.nbytes)
    np.testing.assert_array_equal(dense(answer(atlas, folder).X), counts.toarray())


def test_uids_as_names_or_given(atlas, folder):
    source = as_anndata(COUNTS)
    source.var_names = ids(COUNTS)
    ingest(atlas, source, "names", feature_uids="index")
    ingest(atlas, source, "given", feature_uids=ids(COUNTS))
    ingest(atlas, source, "var", feature_uids=None, var=pd.DataFrame({"global_feature_uid": ids(COUNTS)}))
    np.testing.assert_array_equal(dense(answer(atlas, folder).X), np.tile(COUNTS.toarray(), (3, 1)))
    with pytest.raises(InvalidArgumentError, match=r"no column 'ensembl', it has \['gene_ids'\]; 'index' takes"):
        ingest(atlas, source, "no", feature_uids="ensembl")
    with pytest.raises(InvalidArgumentError, match="holds 2 uids, expected one for each of 5 features"):
        ingest(atlas, source, "no", feature_uids=["a", "b"])
    assert list(source.var) == ["gene_ids"]


def test_entries_at_different_places(atlas):
    source = as_anndata(COUNTS)
    moved = COUNTS.copy()
    moved.indices = (COUNTS.indices + 1) % 5
    source.layers["moved"] = moved
    source.layers["fewer"] = COUNTS.multiply(COUNTS != 2).tocsr()
    for name, message in (("moved", "have them at different ones"), ("fewer", "row 0 of adata.X has 2 entries and")):
        with pytest.raises(InvalidArgumentError, match=message):
            ingest(atlas, source, zarr_layer=None, layers={"counts": "X", "tpm": f"layers/{name}"})
    with pytest.raises(InvalidArgumentError, match="zarr_layer and source must not"):
        ingest(atlas, source, layers={"counts": "X"})
    with pytest.raises(InvalidArgumentError, match=r"adata has no matrix 'layers/no', it has \['X', 'layers/moved'"):
        ingest(atlas, source, source="layers/no")


@pytest.mark.parametrize("space", ["gene_expression", "protein_abundance"])
@pytest.mark.parametrize("form", [sp.csr_matrix, np.asarray])
def test_features_of_one_type(atlas, folder, space, form):
    source = as_anndata(form(COUNTS.toarray()))
    source.var["feature_types"] = pd.Categorical(["Gene Expression", "Antibody Capture"] * 2 + ["Gene Expression"])
    for group, kind in (("genes", "Gene Expression"), ("proteins", "Antibody Capture")):
        ingest(atlas, source, group, space, feature_type=kind)
    found = dense(answer(atlas, folder, space).X)
    np.testing.assert_array_equal(found[:5], COUNTS.toarray() * [1, 0, 1, 0, 1])
    np.testing.assert_array_equal(found[5:], COUNTS.toarray() * [0, 1, 0, 1, 0])
    with pytest.raises(InvalidArgumentError, match=r"no features of the type 'Peaks', its types are \['Antibody Cap"):
        ingest(atlas, source, "peaks", space, feature_type="Peaks")
    with pytest.raises(InvalidArgumentError, match="var of adata has no column 'feature_types'"):
        ingest(atlas, as_anndata(COUNTS), "none", space, feature_type="Peaks")


def test_raw_before_0_7(atlas, folder, tmp_path):
    path = FORMATS["h5ad, CSR, before 0.7"](COUNTS, tmp_path)
    with h5py.File(path, "r+") as file:
        file.move("X", "raw.X")
        file.move("var", "raw.var")
        file["X"] = np.zeros((5, 2))
        file["var"] = np.zeros(2, dtype=[("index", "S16"), ("gene_ids", "S16")])
    ingest(atlas, path, source="raw")
    np.testing.assert_array_equal(dense(answer(atlas, folder).X), COUNTS.toarray())


def test_layer_of_loom(atlas, folder, tmp_path):
    ingest(atlas, FORMATS["loom"](COUNTS, tmp_path), source="layers/spliced")
    np.testing.assert_array_equal(dense(answer(atlas, folder).X), COUNTS.toarray())


def test_genomes_of_ten_x_version_2(atlas, folder, tmp_path):
    path = FORMATS["10x HDF5, version 2"](COUNTS, tmp_path)
    with h5py.File(path, "r+") as file:
        file.copy("GRCh38", "mm10")
        file["mm10/data"][:] = file["GRCh38/data"][:] * 2
    with pytest.raises(InvalidArgumentError, match=r"v2.h5 has no matrix 'X', it has \['GRCh38', 'mm10'\]"):
        ingest(atlas, path)
    ingest(atlas, path, source="mm10")
    np.testing.assert_array_equal(dense(answer(atlas, folder).X), COUNTS.toarray() * 2)


def test_columns_that_cannot_be_matched(atlas, tmp_path):
    path = FORMATS["h5ad, CSR"](COUNTS, tmp_path)
    names = [f"cell-{i}" for i in range(5)]
    for obs, message in [
        (
            pd.DataFrame({"label": list("abcd")}),
            "the index of obs lacks 5 of the 5 names of the source, such as 'cell-0'",
        ),
        (pd.DataFrame({"label": list("abcd")}, index=names[1:]), "lacks 1 of the 5 names"),
        (pd.DataFrame({"label": list("aabcde")}, index=[names[0], *names]), "must hold each name once"),
        ({"label": list("abcde")}, "obs must be a pandas DataFrame, found dict"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            ingest(atlas, path, obs=obs)
    assert not atlas.catalog.store.list("g/")


def test_a_file_that_is_being_written(atlas, tmp_path):
    path = FORMATS["h5ad, CSR"](COUNTS, tmp_path)
    write = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", write, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        with pytest.raises(InvalidArgumentError, match=r"csr\.h5ad is being written by another process"):
            ingest(atlas, path)
        writer.stdin.close()
