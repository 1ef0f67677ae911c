"""Real multimodal files through the public API: every count is found again, cell by cell."""

from __future__ import annotations

import gzip
import struct
import tarfile
import types
import warnings
from collections.abc import Mapping
from pathlib import Path

import anndata
import mudata
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import zarr
from small_atlas import Feature, checked_out

import homeobox as hox
from homeobox.schema import (
    ArraySpec,
    DenseZarrPointer,
    DTypeKind,
    LayersSpec,
    PointerKind,
    SparseZarrPointer,
    registered_feature_spaces,
)

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the files of {DATA}")

mudata.set_options(pull_on_update=False)

PEAKS = "test_peaks"
if PEAKS not in registered_feature_spaces():
    hox.register_spec(
        hox.ZarrGroupSpec(
            feature_space=PEAKS,
            pointer_kind=PointerKind.SPARSE,
            has_var_df=True,
            required_arrays=[ArraySpec(array_name="csr/indices", dtype_kind=DTypeKind.UNSIGNED_INTEGER, ndim=1)],
            layers=LayersSpec(prefix="csr", required=["counts"]),
        )
    )


class CiteCell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    protein_abundance: DenseZarrPointer | None = None
    barcode: str
    percent_mito: float


class MultiomeCell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    test_peaks: SparseZarrPointer | None = None
    barcode: str


def ingest(
    folder: Path,
    cell: type,
    mdata: mudata.MuData,
    places: dict[str, tuple[str, str]],
    others: Mapping[str, list[str]] = types.MappingProxyType({}),
) -> hox.RaggedAtlas:
    """`others` are features to register beside those of the data."""
    spaces = {name: space for name, (space, _) in places.items()}
    registries = dict.fromkeys(spaces.values(), Feature)
    atlas = hox.create_or_open_atlas(folder, "cells", cell, "datasets", hox.DatasetRecord, registry_schemas=registries)
    for space, uids in others.items():
        atlas.register_features(space, [Feature(uid=uid) for uid in uids])
    records = {}
    for name, space in spaces.items():
        mdata[name].var["global_feature_uid"] = mdata[name].var_names
        atlas.register_features(space, [Feature(uid=uid) for uid in mdata[name].var_names])
        records[name] = hox.DatasetRecord(zarr_group=name, feature_space=space, n_cells=mdata[name].n_obs)
    mdata.obs["barcode"] = mdata.obs_names
    assert hox.add_from_mudata(atlas, mdata, modalities=places, dataset_records=records) == mdata.n_obs
    return checked_out(atlas, folder)


def assert_equal_to_source(atlas: hox.RaggedAtlas, source: anndata.AnnData, space: str) -> None:
    answer = atlas.query().feature_spaces(space).to_anndata()
    expected = source[answer.obs["barcode"].to_list(), answer.var_names]
    assert answer.n_obs == source.n_obs
    got, want = sp.csr_matrix(answer.X), sp.csr_matrix(expected.X)
    assert (got != want).nnz == 0
    assert got.sum() == want.sum() > 0


def test_cite_seq_counts_of_genes_and_proteins(tmp_path):
    rna = anndata.read_h5ad(DATA / "cite_pbmc_10k_protein_v3_200cells.h5ad")
    proteins = pd.DataFrame(index=[str(name) for name in rna.uns["protein_names"]])
    prot = anndata.AnnData(np.asarray(rna.obsm["protein_expression"]), pd.DataFrame(index=rna.obs_names), proteins)
    mdata = mudata.MuData({"rna": rna, "prot": prot})
    places = {"rna": ("gene_expression", "counts"), "prot": ("protein_abundance", "counts")}
    atlas = ingest(tmp_path, CiteCell, mdata, places)
    assert_equal_to_source(atlas, rna, "gene_expression")
    assert_equal_to_source(atlas, prot, "protein_abundance")
    obs = atlas.query().to_polars()
    assert obs["percent_mito"].to_list() == rna.obs.loc[obs["barcode"].to_list(), "percent_mito"].to_list()


def test_multiome_of_an_old_h5mu_with_a_feature_space_of_the_users(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file has an encoding that mudata remarks on
        mdata = mudata.read_h5mu(DATA / "multiome_pbmc_rna_atac_1000cells.h5mu")
    atlas = ingest(tmp_path, MultiomeCell, mdata, {"rna": ("gene_expression", "counts"), "atac": (PEAKS, "counts")})
    assert atlas.query().count() == 1000
    assert_equal_to_source(atlas, mdata["rna"], "gene_expression")
    assert_equal_to_source(atlas, mdata["atac"], PEAKS)


UNSPLICED = "test_unspliced"
if UNSPLICED not in registered_feature_spaces():
    hox.register_spec(hox.get_spec(PEAKS).model_copy(update={"feature_space": UNSPLICED}))


class VelocityCell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    test_unspliced: SparseZarrPointer | None = None
    barcode: str


@pytest.mark.parametrize(
    "name", ["rna_mouse_pancreas_velocity_50obs.h5ad", "rna_mouse_dentategyrus_velocity_100obs.h5ad"]
)
def test_spliced_and_unspliced_counts_of_the_same_genes(tmp_path, name):
    with warnings.catch_warnings(action="ignore"):
        read = anndata.read_h5ad(DATA / name)
    read.var_names_make_unique()
    parts = {
        layer: anndata.AnnData(read.layers[layer], pd.DataFrame(index=read.obs_names), read.var[[]])
        for layer in ("spliced", "unspliced")
    }
    places = {"spliced": ("gene_expression", "counts"), "unspliced": (UNSPLICED, "counts")}
    atlas = ingest(tmp_path, VelocityCell, mudata.MuData(parts), places, others={"gene_expression": ["0", "A0", "b"]})
    assert atlas.validate(deep=True) == []
    for layer, (space, _) in places.items():
        assert_equal_to_source(atlas, parts[layer], space)


FRAGMENT_FILES = [
    "atac_archr_pbsmall_fragments.tsv.gz",
    "atac_bpcells_mini_fragments.tsv.gz",
    "atac_pbmc_multiome_fragments.tsv.gz",
]


class AtacCell(hox.HoxBaseSchema):
    chromatin_accessibility: SparseZarrPointer | None = None
    barcode: str


class Chromosome(hox.FeatureBaseSchema):
    sequence_name: str


def fragment_lines(path: Path) -> pl.DataFrame:
    """Read by the plainest means."""
    with gzip.open(path, "rt") as file:
        rows = [line.rstrip("\n").split("\t")[:4] for line in file if not line.startswith("#")]
    columns = dict(zip(["chrom", "start", "end", "barcode"], zip(*rows, strict=True), strict=True))
    return pl.DataFrame(columns).with_columns(pl.col("start", "end").cast(pl.Int64))


@pytest.mark.parametrize("name", FRAGMENT_FILES)
def test_fragments_of_files(tmp_path, name):
    path = DATA / name
    source = fragment_lines(path).with_columns((pl.col("end") - pl.col("start")).alias("length"))
    parsed = hox.fragments.parse_bed_fragments(path)
    assert parsed.equals(source.select(pl.col(column).cast(kind) for column, kind in parsed.schema.items()))

    space = "chromatin_accessibility"
    atlas = hox.create_or_open_atlas(
        tmp_path, "cells", AtacCell, "datasets", hox.DatasetRecord, registry_schemas={space: Chromosome}
    )
    order = hox.fragments.build_chrom_order(parsed)
    atlas.register_features(space, [Chromosome(uid=f"hs-{chrom}", sequence_name=chrom) for chrom in order])
    n_cells = source["barcode"].n_unique()
    record = hox.DatasetRecord(zarr_group=name, feature_space=space, n_cells=n_cells)
    assert hox.add_fragments(atlas, path, dataset_record=record) == n_cells
    snapshot = checked_out(atlas, tmp_path)
    assert snapshot.validate() == []
    found = snapshot.query().to_fragments()
    got = pl.DataFrame(
        {
            "chrom": pl.Series(found.chrom_names).gather(found.chromosomes),
            "start": found.starts,
            "length": found.lengths,
            "barcode": pl.Series(found.obs["barcode"].to_list()).gather(
                np.repeat(np.arange(n_cells), np.diff(found.offsets))
            ),
        }
    )
    columns = ["barcode", "chrom", "start", "length"]
    expected = source.select(pl.col(column).cast(got.schema[column]) for column in columns)
    assert got.select(columns).sort(columns).equals(expected.sort(columns))

    reader = hox.GenomeSortedReader((snapshot.catalog.store, name), order)
    rng = np.random.default_rng(5)
    for row in source.sample(40, seed=5).rows(named=True):
        begin = max(0, row["start"] + int(rng.integers(-500, 500)))
        end = begin + int(rng.integers(1, 20_000))
        overlap = (pl.col("chrom") == row["chrom"]) & (pl.col("start") < end) & (pl.col("end") > begin)
        region = reader.query_region(row["chrom"], begin, end)
        assert sorted(zip(region.starts, region.lengths, strict=True)) == sorted(
            source.filter(overlap).select("start", "length").rows()
        )

    peaks = [hox.GenomicRange(row[0], row[1], row[1] + 5_000) for row in source.sample(200, seed=6).rows()]
    counter = hox.FragmentCounter(peaks)
    counts = counter.count_fragments(found).sum(axis=0)
    for column, (chrom, begin, end) in enumerate(counter.var.itertuples(index=False)):
        overlap = (pl.col("chrom") == chrom) & (pl.col("start") < end) & (pl.col("end") > begin)
        assert counts[0, column] == source.filter(overlap).height


def test_chromosomes_are_those_of_the_index_of_a_file(tmp_path):
    index = DATA / "atac_archr_pbsmall_fragments.tsv.gz.tbi"
    with gzip.open(index) as file:
        magic, n_chromosomes, *_, n_bytes = struct.unpack("<4s8i", file.read(36))
        names = file.read(n_bytes).decode().split("\0")[:-1]
    assert (magic, n_chromosomes) == (b"TBI\1", len(names))
    found = hox.fragments.parse_bed_fragments(index.with_suffix(""))
    assert sorted(found["chrom"].unique()) == sorted(names)
    with pytest.raises(hox.errors.InvalidArgumentError, match=r"tsv.gz.tbi', line 1: at least 4 columns"):
        hox.fragments.parse_bed_fragments(index)


class TileCell(hox.HoxBaseSchema):
    image_tiles: DenseZarrPointer | None = None


def unpacked(name: str, folder: Path) -> Path:
    with tarfile.open(DATA / name) as archive:
        archive.extractall(folder, filter="data")
    return folder


def tiles_of_tiff(folder: Path) -> np.ndarray:
    """Channels of one image, cut into 64 tiles of 64 x 64."""
    tifffile = pytest.importorskip("tifffile")
    files = sorted(unpacked("image_cellprofiler_human.tiff.tar.gz", folder).rglob("*.tif"))
    image = np.stack([tifffile.imread(file) for file in files])
    return image.reshape(3, 8, 64, 8, 64).transpose(1, 3, 0, 2, 4).reshape(64, 3, 64, 64)


def wells_of_tiff(folder: Path) -> np.ndarray:
    """Two wells of two channels."""
    tifffile = pytest.importorskip("tifffile")
    root = unpacked("image_bbbc014_vitra.tiff.tar.gz", folder) / "bbbc014_vitra"
    wells = ["01-A-01", "12-A-12"]
    return np.stack([[tifffile.imread(root / f"Channel {c}-{well}-00.tif") for c in (1, 2)] for well in wells])


def sections_of_ome_zarr(folder: Path) -> zarr.Array:
    """Two channels as cells of 236 sections."""
    return zarr.open_array(
        unpacked("image_idr6001240_ome_v0.5.zarr.tar", folder) / "6001240_labels_v0.5.zarr/2", mode="r"
    )


def fields_of_a_plate(folder: Path) -> zarr.Array:
    """Constant pixels, Zarr v2."""
    return zarr.open_array(
        unpacked("image_plate_ones_hcs_synthetic.zarr.tar", folder) / "plate_ones_mip.zarr/B/03/0/0", mode="r"
    )


@pytest.mark.parametrize("codec", ["bp128", "bitpacking"])
@pytest.mark.parametrize("tiles_of", [tiles_of_tiff, wells_of_tiff, sections_of_ome_zarr, fields_of_a_plate])
def test_images_of_files(tmp_path, tiles_of, codec):
    tiles = tiles_of(tmp_path / "source")
    folder = tmp_path / "atlas"
    atlas = hox.create_or_open_atlas(folder, "cells", TileCell, "datasets", hox.DatasetRecord, registry_schemas={})
    record = hox.DatasetRecord(zarr_group="images", feature_space="image_tiles", n_cells=tiles.shape[0])
    assert hox.add_image_tiles(atlas, tiles, dataset_record=record, codec=codec) == tiles.shape[0]
    assert atlas.validate() == []
    stored, _ = hox.ShardReader((folder / "zarr_store", "images/data")).read_ranges([0], [tiles.shape[0]])
    assert stored.dtype == tiles.dtype
    np.testing.assert_array_equal(stored, tiles[:])
