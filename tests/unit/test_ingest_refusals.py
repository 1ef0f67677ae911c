"""Bad input is refused by a message that says what is wrong, and before anything is written."""

from __future__ import annotations

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, Feature, add, checked_out, empty_atlas

import homeobox as hox
from homeobox.errors import ConflictError, HomeoboxError, InvalidArgumentError, NotFoundError, UnsupportedError
from homeobox.schema import SparseZarrPointer

UIDS = ["a", "b", "c", "d"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "atlas"


@pytest.fixture
def atlas(folder):
    return empty_atlas(folder, {"gene_expression": UIDS, "protein_abundance": ["p", "q"]})


def dataset(group: str = "g", **changes: object) -> Dataset:
    matrix = sp.csr_matrix(np.array([[1, 0, 2], [0, 0, 3]], dtype=np.float32))
    obs = pd.DataFrame({"label": ["x", "y"], "number": [1, 2]})
    made = Dataset(group, matrix, ["c", "a", "b"], obs)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def state(atlas, folder) -> object:
    """Everything that an ingest could change."""
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return files, atlas.catalog.cells.table.version, atlas.catalog.datasets.table.version


def ingest(atlas, source: Dataset, **changes: object) -> int:
    arguments = {
        "feature_space": source.space,
        "zarr_layer": "counts",
        "dataset_record": source.record(),
        **changes,
    }
    return hox.add_from_anndata(atlas, source.anndata(), **arguments)


def record(**changes: object) -> hox.DatasetRecord:
    return hox.DatasetRecord(**{"zarr_group": "g", "feature_space": "gene_expression", "n_cells": 2, **changes})


REFUSALS = {
    "unregistered uid": (
        dataset(uids=["a", "x", "y"]),
        {},
        r"2 feature uid\(s\) not found in registry 'gene_expression_registry'. First 5: \['x', 'y'\]",
    ),
    "duplicate uid": (
        dataset(uids=["a", "b", "a"]),
        {},
        r"duplicate global_feature_uid value\(s\): 3 rows, 2 distinct",
    ),
    "missing uid": (dataset(uids=["a", None, "b"]), {}, r"1 missing value\(s\), the first in row 1"),
    "wrong type in obs": (
        dataset(obs=pd.DataFrame({"label": [1, 2]})),
        {},
        "obs columns do not match cell schema: column 'label': expected string, found int64",
    ),
    "layer": (dataset(), {"zarr_layer": "raw"}, "zarr_layer 'raw' is not allowed in feature space 'gene_expression'"),
    "required layer left out": (dataset(), {"zarr_layer": "tpm"}, r"\['counts'\] would be missing"),
    "n_cells": (
        dataset(),
        {"dataset_record": record(n_cells=3)},
        "dataset record says n_cells = 3, but adata has 2 cells",
    ),
    "another space in the record": (
        dataset(),
        {"dataset_record": record(feature_space="protein_abundance")},
        "dataset record says feature space 'protein_abundance', but 'gene_expression' is to be ingested",
    ),
    "not a record": (dataset(), {"dataset_record": {"zarr_group": "g"}}, "must be a DatasetRecord, found dict"),
    "name that leads outside": (
        dataset(),
        {"dataset_record": record(zarr_group="../g")},
        r"zarr_group '../g': '\.\.' is not a folder name",
    ),
    "empty name": (dataset(), {"dataset_record": record(zarr_group="")}, "zarr_group is empty"),
    "long name": (
        dataset(),
        {"dataset_record": record(zarr_group="a/" + "ü" * 128)},
        "a folder name of 256 bytes, at most 255 expected",
    ),
    "half a character in a name": (
        dataset(),
        {"dataset_record": record(zarr_group="\ud8ff")},
        "holds a character that paths and URLs cannot carry",
    ),
    "shape": (dataset(), {"chunk_shape": (10, 10)}, r"chunk_shape \(10, 10\) is not a tuple of 1 positive"),
    "shard": (dataset(), {"chunk_shape": (128,), "shard_shape": (200,)}, "is not a multiple of the chunk shape"),
    "codec": (dataset(), {"codec": "zip"}, "codec 'zip' is unknown"),
    "feature order": (dataset(), {"feature_order": "random"}, "feature_order 'random' is unknown"),
    "nan": (
        dataset(matrix=sp.csr_matrix(np.array([[np.nan, 0, 1], [0, 0, 0]]))),
        {},
        "NaN or infinite values, which cannot be counts",
    ),
    "infinite": (
        dataset(matrix=sp.csr_matrix(np.array([[np.inf, 0, 1], [0, 0, 0]]))),
        {"whole_counts": False},
        "NaN or infinite values, which cannot be counts",
    ),
    "negative": (dataset(matrix=sp.csr_matrix([[1, 0, -2]] * 2)), {}, r"holds negative values, such as -2"),
    "fractional": (
        dataset(matrix=sp.csr_matrix([[1, 0, 0.5]] * 2)),
        {},
        r"holds fractional values, such as 0\.5.*whole_counts=False takes them",
    ),
    "no values": (dataset(matrix=sp.csr_matrix((2, 3))), {}, "no stored values"),
    "stored zeros only": (
        dataset(matrix=sp.csr_matrix((np.zeros(2), [0, 1], [0, 1, 2]), shape=(2, 3))),
        {},
        "adata.X holds only zeros, which are no counts",
    ),
    "no cells": (dataset(matrix=sp.csr_matrix((0, 3)), obs=pd.DataFrame({"label": []})), {}, "has no cells"),
    "no features": (dataset(matrix=sp.csr_matrix((2, 0)), uids=[]), {}, "has no features"),
}


@pytest.mark.parametrize(("source", "changes", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refused_before_anything_is_written(atlas, folder, source, changes, message):
    before = state(atlas, folder)
    with pytest.raises(ValueError, match=message) as raised:
        ingest(atlas, source, **changes)
    assert isinstance(raised.value, HomeoboxError)
    assert state(atlas, folder) == before


def test_unknown_feature_space(atlas, folder):
    before = state(atlas, folder)
    with pytest.raises(KeyError, match="unknown feature space 'smell'"):
        ingest(atlas, dataset(), feature_space="smell")
    assert state(atlas, folder) == before


def test_spaces_that_are_no_matrices(atlas):
    for space in ("chromatin_accessibility", "image_tiles"):
        with pytest.raises(UnsupportedError, match=f"feature space '{space}' is not a cells x features matrix"):
            ingest(atlas, dataset(space=space))


def test_space_without_pointer_or_registry(atlas, folder):
    with pytest.raises(InvalidArgumentError, match="has no pointer field for feature space 'image_features'"):
        ingest(atlas, dataset(space="image_features"), zarr_layer="ctrl_standardized")
    other = empty_atlas(folder.with_name("other"), {"gene_expression": UIDS})
    with pytest.raises(NotFoundError, match="No registry for feature space 'protein_abundance'"):
        ingest(other, dataset(space="protein_abundance"))


def test_required_obs_column(tmp_path):
    class Strict(hox.HoxBaseSchema):
        gene_expression: SparseZarrPointer | None = None
        tissue: str

    atlas = hox.create_or_open_atlas(
        str(tmp_path), "cells", Strict, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": Feature}
    )
    atlas.register_features("gene_expression", [Feature(uid=uid) for uid in UIDS])
    before = state(atlas, tmp_path)
    with pytest.raises(InvalidArgumentError, match="do not match cell schema: Missing required column 'tissue'"):
        ingest(atlas, dataset())
    assert state(atlas, tmp_path) == before


def _truncated(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("X", data=np.ones((500, 500)))
    path.write_bytes(path.read_bytes()[:-1000])


def _columns_as_rows(path):
    adata = dataset().anndata()
    adata.X = sp.csc_matrix(adata.X)
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["X"].attrs["encoding-type"] = "csr_matrix"


def _too_few_values(path):
    dataset().anndata().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file["X/data"]
        file["X/data"] = np.ones(2, np.float32)


def _outside(path):
    dataset().anndata().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["X/indices"][1] = 3


def _other_encoding(path):
    dataset().anndata().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["X"].attrs["encoding-type"] = "dictionary"


def _without_x(path):
    anndata.AnnData(obs=dataset().obs.set_axis(["0", "1"])).write_h5ad(path)


def _other_hdf5(path):
    with h5py.File(path, "w") as file:
        file["images"] = np.ones(3)


def _modalities(path):
    with h5py.File(path, "w") as file:
        file.create_group("mod/rna")


def _cut_mtx(path):
    path.mkdir()
    (path / "matrix.mtx").write_text("%%MatrixMarket matrix coordinate integer general\n3 2 3\n1 1 5\n3 1 2\n")
    (path / "barcodes.tsv").write_text("x\ny\n")
    (path / "genes.tsv").write_text("a\na\nb\n")


def _other_mtx(path):
    _cut_mtx(path)
    (path / "matrix.mtx").write_text("%%MatrixMarket matrix array real general\n1 1\n1\n")


def _broken_mtx(path):
    _cut_mtx(path)
    (path / "matrix.mtx").write_text("%%MatrixMarket matrix coordinate integer general\n3 2 2\n1 1 5\n3 1 2.5\n")


def _outside_mtx(path):
    _cut_mtx(path)
    (path / "matrix.mtx").write_text("%%MatrixMarket matrix coordinate integer general\n3 2 2\n1 1 5\n4 1 2\n")


def _mtx_without_names(path):
    _cut_mtx(path)
    (path / "genes.tsv").unlink()


FILES = {
    "nothing there": (lambda path: None, NotFoundError, "there is no file or folder .*source"),
    "not HDF5": (
        lambda path: path.write_text("a,b"),
        InvalidArgumentError,
        "source is not an HDF5 file, or is damaged",
    ),
    "truncated": (_truncated, InvalidArgumentError, "source is cut short: .*truncated file"),
    "columns said to be rows": (
        _columns_as_rows,
        InvalidArgumentError,
        r"source: X: indptr does not describe 2 rows .*found 4\); is it stored by columns and declared as rows\?",
    ),
    "too few values": (_too_few_values, InvalidArgumentError, "promises 3 entries, found 3 indices and 2 values"),
    "entry outside": (_outside, InvalidArgumentError, "source: X: column indices from 0 to 3, expected 0 to 2"),
    "other encoding": (
        _other_encoding,
        UnsupportedError,
        "source: X has the encoding 'dictionary', expected csr_matrix",
    ),
    "no X": (_without_x, InvalidArgumentError, r"source has no matrix 'X', it has \[\]"),
    "other HDF5": (_other_hdf5, InvalidArgumentError, r"neither h5ad .* nor loom .*; it holds \['images'\]"),
    "h5mu": (_modalities, UnsupportedError, "use add_from_mudata"),
    "a folder": (lambda path: path.mkdir(), InvalidArgumentError, "has no matrix.mtx or matrix.mtx.gz"),
    "mtx cut short": (_cut_mtx, InvalidArgumentError, "the header says 3 entries, found 2; is the file cut short"),
    "dense mtx": (_other_mtx, UnsupportedError, "of the kind 'array real general'"),
    "mtx with other numbers": (_broken_mtx, InvalidArgumentError, "invalid value '2.5'"),
    "mtx entry outside": (_outside_mtx, InvalidArgumentError, "features from 0 to 3 .*expected 0 to 2"),
    "mtx without names": (_mtx_without_names, InvalidArgumentError, "has no file features.tsv or genes.tsv"),
}


@pytest.mark.parametrize(("write", "error", "message"), FILES.values(), ids=FILES.keys())
def test_files_refused_before_anything_is_written(atlas, folder, tmp_path, write, error, message):
    write(tmp_path / "source")
    before = state(atlas, folder)
    with pytest.raises(error, match=message):
        hox.add_from_anndata(
            atlas,
            tmp_path / "source",
            feature_space="gene_expression",
            zarr_layer="counts",
            dataset_record=record(),
            obs=pd.DataFrame({"label": ["x", "y"]}),
            feature_uids=["a", "b", "c"],
        )
    assert state(atlas, folder) == before


def test_source_is_something_else(atlas):
    with pytest.raises(UnsupportedError, match="adata must be an AnnData or a path, found dict"):
        hox.add_from_anndata(atlas, {}, feature_space="gene_expression", zarr_layer="counts", dataset_record=record())


def test_var_without_uids(atlas):
    adata = dataset().anndata()
    del adata.var["global_feature_uid"]
    with pytest.raises(InvalidArgumentError, match="var has no column 'global_feature_uid'"):
        hox.add_from_anndata(
            atlas, adata, feature_space="gene_expression", zarr_layer="counts", dataset_record=record()
        )


def test_handles_that_cannot_ingest(atlas, folder):
    add(atlas, dataset())
    snapshot = checked_out(atlas, folder)
    with pytest.raises(InvalidArgumentError, match="checked out at version 0 and read-only"):
        ingest(snapshot, dataset("other"))
    blind = hox.RaggedAtlas.open(str(folder), "cells")
    with pytest.raises(InvalidArgumentError, match="Cannot ingest data into an atlas opened without a cell schema"):
        ingest(blind, dataset("other"))


def test_names_and_uids_that_are_taken(atlas, folder):
    first = dataset("a/b")
    taken = first.record()
    ingest(atlas, first, dataset_record=taken)
    before = state(atlas, folder)
    for group, message in [
        ("a/b", "zarr group 'a/b' already exists"),
        ("a/b/c", "would lie inside the group 'a/b'"),
        ("a", "would enclose the group 'a/b'"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            ingest(atlas, dataset(group))
    with pytest.raises(InvalidArgumentError, match=f"uid '{taken.uid}' already exists, of group 'a/b'"):
        ingest(atlas, dataset("c"), dataset_record=record(zarr_group="c", uid=taken.uid))
    assert state(atlas, folder) == before
    (folder / "zarr_store" / "foreign").mkdir()
    (folder / "zarr_store" / "foreign" / "zarr.json").write_text("{}")
    with pytest.raises(InvalidArgumentError, match=r"zarr group 'foreign' already exists in .* with 1 object"):
        ingest(atlas, dataset("foreign"))


class StopError(Exception):
    pass


STEPS = ["_write_arrays", "layouts.add_rows", "datasets.add", "append_cells"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_failure_at_any_step_leaves_nothing_visible_and_the_retry_works(atlas, folder, monkeypatch, step, done):
    from homeobox.ingest import commit

    add(atlas, dataset("earlier"))

    def failing(original):
        def call(*arguments, **named):
            if done:
                original(*arguments, **named)
            raise StopError

        return call

    with monkeypatch.context() as patch:
        if step == "_write_arrays":
            patch.setattr(commit, step, failing(commit._write_arrays))
        else:
            owner_name, _, method = step.rpartition(".")
            owner = getattr(atlas.catalog, owner_name) if owner_name else atlas.catalog
            patch.setattr(type(owner), method, failing(getattr(type(owner), method)))
        with pytest.raises(StopError):
            add(atlas, dataset("late"))

    committed = step == "append_cells" and done
    n_before_retry = 4 if committed else 2
    assert atlas.catalog.count_cells() == n_before_retry
    if committed:
        with pytest.raises(InvalidArgumentError, match="already exists"):
            add(atlas, dataset("late"))
    else:
        assert add(atlas, dataset("late")) == 2
    snapshot = checked_out(atlas, folder)
    assert snapshot.validate() == []
    assert snapshot.list_datasets()["zarr_group"].to_list() == ["earlier", "late"]
    result = snapshot.query().to_anndata()
    assert result.X.toarray().sum() == 2 * 6
    assert len(list(folder.rglob(".hox-ingest*"))) == committed


def test_two_ingests_of_one_name_at_once(atlas, folder, monkeypatch):
    from homeobox.ingest import commit

    original = commit._write_arrays

    def nested(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(commit, "_write_arrays", original)
            with pytest.raises(ConflictError, match="zarr group 'g' is being written by another ingest"):
                add(atlas, dataset())
        return original(*arguments)

    monkeypatch.setattr(commit, "_write_arrays", nested)
    assert add(atlas, dataset()) == 2
    assert checked_out(atlas, folder).query().count() == 2
