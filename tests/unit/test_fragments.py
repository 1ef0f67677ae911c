"""Fragments: files, orders, arrays, regions, counts, and datasets of an atlas, each against the plain computation."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import zarr

import homeobox as hox
import homeobox.codecs  # registers our codecs in zarr-python
from homeobox.errors import CorruptDataError, InvalidArgumentError, NotFoundError, UnsupportedError
from homeobox.fragments import (
    FragmentCounter,
    GenomeSortedReader,
    GenomicRange,
    build_chrom_order,
    build_end_max,
    parse_bed_fragments,
    seek_region,
    sort_fragments_by_cell,
    sort_fragments_by_genome,
    write_fragment_arrays,
    write_genome_sorted_arrays,
)
from homeobox.schema import SparseZarrPointer

SPACE = "chromatin_accessibility"
CHROMS = ["chr1", "chr2", "chr10", "chrX", "GL000219.1"]


class Chromosome(hox.FeatureBaseSchema):
    sequence_name: str


class Cell(hox.HoxBaseSchema):
    chromatin_accessibility: SparseZarrPointer | None = None
    barcode: str
    label: str | None = None


def random_fragments(rng: np.random.Generator, n: int, n_cells: int = 20, chroms: list[str] = CHROMS) -> pl.DataFrame:
    """Many short ones and a few very long ones, so that ends do not follow starts."""
    long = rng.random(n) < 0.02
    return pl.DataFrame(
        {
            "chrom": rng.choice(chroms, n),
            "barcode": [f"cell-{i}" for i in rng.integers(0, n_cells, n)],
            "start": rng.integers(0, 200_000, n).astype(np.uint32),
            "length": np.where(long, rng.integers(0, 65_536, n), rng.integers(0, 300, n)).astype(np.uint16),
        }
    )


def lines_of(frame: pl.DataFrame, n_reads: bool = True) -> bytes:
    rows = frame.select(
        "chrom", "start", (pl.col("start").cast(pl.Int64) + pl.col("length").cast(pl.Int64)).alias("end"), "barcode"
    )
    return b"".join("\t".join(map(str, row + (1,) * n_reads)).encode() + b"\n" for row in rows.rows())


# Files


@pytest.mark.parametrize("n_reads", [False, True])
@pytest.mark.parametrize("packing", ["plain", "gzip", "blocks"])
def test_files_of_all_kinds_give_the_same_frame(tmp_path, rng, packing, n_reads):
    frame = random_fragments(rng, 500)
    text = b"# id=sample\n# more\tthan\tone\tcolumn\n" + lines_of(frame, n_reads)
    half = len(text) // 2
    packed = {
        "plain": text,
        "gzip": gzip.compress(text),
        "blocks": gzip.compress(text[:half]) + gzip.compress(text[half:]),
    }
    path = tmp_path / "fragments.tsv"
    path.write_bytes(packed[packing])
    found = parse_bed_fragments(path, barcode_col="cell")
    assert found.schema == {"chrom": pl.String, "cell": pl.String, "start": pl.UInt32, "length": pl.UInt16}
    assert found.equals(frame.rename({"barcode": "cell"}))


def test_comments_between_lines_windows_line_ends_and_quotes(tmp_path):
    path = tmp_path / "fragments.bed"
    path.write_bytes(b'chr1\t5\t9\t"A\r\n# note\r\nchr1\t7\t8\tNA\r\n')
    assert parse_bed_fragments(path).rows() == [("chr1", '"A', 5, 4), ("chr1", "NA", 7, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "has no fragments"),
        (b"# only\n", "has no fragments"),
        (b"chr1\t1\t5\n", "line 1: at least 4 columns.*found 3"),
        (b"#\nchr1 1 5 A\n", "line 2: at least 4 columns.*found 1"),
        (b"chr1\t1\t5\tA\nchr1\t2\n", "Expected 4 columns, got 2"),
        (b"chr1\t1\t5\tA\nchr1\tx\t5\tA\n", "conversion error to int64.*'x'"),
        (b"chr1\t1\t5\tA\nchr1\t\t5\tA\n", "conversion error to int64"),
        (b"chr1\t1\t5\tA\nchr1\t9\t5\tA\n", "1 cannot be stored, the first is number 1, chr1:9-5"),
        (b"chr1\t1\t65537\tA\n", "chr1:1-65537.*at most 65535 bases"),
        (b"chr1\t-1\t5\tA\n", "chr1:-1-5"),
        (b"chr1\t4294967290\t4294967299\tA\n", r"end < 2\*\*32"),
        (b"chr1\t1\t5\t\n", "barcode is missing"),
    ],
)
def test_what_is_no_fragment_file_is_refused(tmp_path, text, message):
    path = tmp_path / "fragments.tsv"
    path.write_bytes(text)
    with pytest.raises(InvalidArgumentError, match=message):
        parse_bed_fragments(path)


def test_damaged_and_missing_files(tmp_path, rng):
    packed = gzip.compress(lines_of(random_fragments(rng, 5000)))
    path = tmp_path / "fragments.tsv.gz"
    for damaged in (
        packed[: len(packed) // 2],
        packed[:-6],
        packed[:5000] + bytes([packed[5000] ^ 255]) + packed[5001:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(CorruptDataError, match=r"fragments.tsv.gz"):
            parse_bed_fragments(path)
    with pytest.raises(NotFoundError, match="there is no file"):
        parse_bed_fragments(tmp_path / "none.tsv")


def bgzf_block(text: bytes) -> bytes:
    packed = zlib.compressobj(wbits=-15)
    body = packed.compress(text) + packed.flush()
    head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\x00BC\x02\x00"
    return head + struct.pack("<H", len(body) + 25) + body + struct.pack("<II", zlib.crc32(text), len(text))


def test_bgzf_that_is_cut_between_blocks_is_refused(tmp_path, rng):
    frame = random_fragments(rng, 500)
    text = lines_of(frame)
    half = text.index(b"\n", len(text) // 2) + 1
    blocks = [bgzf_block(text[:half]), bgzf_block(text[half:]), bgzf_block(b"")]
    assert len(blocks[2]) == 28
    path = tmp_path / "fragments.tsv.gz"
    path.write_bytes(b"".join(blocks))
    assert parse_bed_fragments(path).equals(frame.select("chrom", "barcode", "start", "length"))
    for n_blocks in (1, 2):
        path.write_bytes(b"".join(blocks[:n_blocks]))
        with pytest.raises(CorruptDataError, match=r"is BGZF and cut short: after \d+ bytes it lacks the empty block"):
            parse_bed_fragments(path)


# Orders


def test_chromosome_order():
    names = ["chrX", "chr10", "chrM", "chr2", "GL1", "chrY", "chr1", "chr1_alt", "chrUn"]
    order = build_chrom_order(pl.DataFrame({"chrom": names * 2}))
    assert order == ["chr1", "chr2", "chr10", "chrX", "chrY", "chrM", "GL1", "chr1_alt", "chrUn"]
    with pytest.raises(InvalidArgumentError, match="257 chromosomes, at most 256"):
        build_chrom_order(pl.DataFrame({"chrom": [f"s{i}" for i in range(257)]}))


def test_both_orders_equal_a_plain_sort(rng):
    frame = random_fragments(rng, 3000)
    order = build_chrom_order(frame)
    place = {name: i for i, name in enumerate(order)}
    numbered = frame.with_columns(pl.col("chrom").replace_strict(place).alias("c"))

    chromosomes, starts, lengths, offsets, cells = sort_fragments_by_cell(frame, order)
    expected = numbered.sort("barcode", "c", "start", maintain_order=True)
    assert (chromosomes.dtype, starts.dtype, lengths.dtype, offsets.dtype) == (np.uint8, np.uint32, np.uint16, np.int64)
    assert cells == sorted(set(frame["barcode"]))
    assert [cells[i] for i in np.repeat(np.arange(len(cells)), np.diff(offsets))] == expected["barcode"].to_list()
    np.testing.assert_array_equal(chromosomes, expected["c"])
    np.testing.assert_array_equal(starts, expected["start"])
    np.testing.assert_array_equal(lengths, expected["length"])

    cell_idx, starts, lengths, chrom_offsets = sort_fragments_by_genome(frame, order, cells)
    expected = numbered.sort("c", "start", maintain_order=True)
    assert (cell_idx.dtype, chrom_offsets.dtype) == (np.uint32, np.int64)
    assert [cells[i] for i in cell_idx] == expected["barcode"].to_list()
    np.testing.assert_array_equal(np.repeat(np.arange(len(order)), np.diff(chrom_offsets)), expected["c"])
    np.testing.assert_array_equal(starts, expected["start"])
    np.testing.assert_array_equal(lengths, expected["length"])

    with pytest.raises(InvalidArgumentError, match="chr10"):
        sort_fragments_by_cell(frame, [name for name in order if name != "chr10"])


def test_end_max_is_that_of_each_block():
    starts, lengths = np.array([1, 2, 3, 4, 5], np.uint32), np.array([9, 1, 1, 1, 1], np.uint16)
    np.testing.assert_array_equal(build_end_max(starts, lengths, 2), [10, 5, 6])
    assert build_end_max(starts[:0], lengths[:0]).dtype == np.uint32


# Regions


def test_a_long_fragment_before_the_block_of_the_start_is_found():
    """A binary search over block maxima that do not ascend would land behind it."""
    end_max = np.array([50_000, 300, 400, 500])
    assert seek_region(np.array([0, 512]), end_max, 0, 450) == (0, 512)
    assert seek_region(np.array([0, 512]), np.array([200, 300, 400, 500]), 0, 350) == (256, 512)
    assert seek_region(np.array([0, 512]), np.array([200, 300, 400, 500]), 0, 501) == (512, 512)
    assert seek_region(np.array([0, 200, 512]), np.array([200, 300, 400, 500]), 1, 250) == (200, 512)
    assert seek_region(np.array([0, 0, 512]), end_max, 0, 0) == (0, 0)


@pytest.mark.parametrize("codec", ["bp128", "bitpacking"])
def test_regions_equal_a_filter(tmp_path, rng, codec):
    frame = random_fragments(rng, 4000)
    order = [*build_chrom_order(frame), "chrEmpty"]
    cells = sorted(set(frame["barcode"]))
    arrays = sort_fragments_by_genome(frame, order, cells)
    group = zarr.create_group(zarr.storage.LocalStore(tmp_path), path="own/group")
    write_genome_sorted_arrays(group, *arrays, build_end_max(*arrays[1:3]), (256,), (1024,), codec=codec)
    reader = GenomeSortedReader(zarr.open_group(tmp_path, path="own/group", mode="r"), order)
    assert (reader.n_fragments, reader.chrom_names) == (4000, order)
    end = pl.col("start").cast(pl.Int64) + pl.col("length").cast(pl.Int64)
    for _ in range(150):
        chrom = rng.choice(order)
        start, stop = sorted(rng.integers(0, 270_000, 2).tolist())
        stop = stop if rng.random() < 0.5 else min(stop, start + int(rng.integers(0, 50)))
        expected = frame.filter((pl.col("chrom") == chrom) & (pl.col("start") < stop) & (end > start))
        found = reader.query_region(chrom, start, stop)
        assert found.chrom_name == chrom
        assert (found.cell_ids.dtype, found.starts.dtype, found.lengths.dtype) == (np.uint32, np.uint32, np.uint16)
        assert np.all(np.diff(found.starts.astype(np.int64)) >= 0)
        got = zip([cells[i] for i in found.cell_ids], found.starts.tolist(), found.lengths.tolist(), strict=True)
        assert sorted(got) == sorted(expected.select("barcode", "start", "length").rows())
    with pytest.raises(KeyError, match="no chromosome 'chr3'"):
        reader.query_region("chr3", 0, 1)
    with pytest.raises(InvalidArgumentError, match="chr1:5-4"):
        reader.query_region("chr1", 5, 4)
    with pytest.raises(InvalidArgumentError, match="6 chromosomes expected, found 1"):
        GenomeSortedReader((tmp_path, "own/group"), ["chr1"])


def test_a_damaged_index_of_regions_is_noticed(tmp_path):
    starts, lengths = np.arange(10, dtype=np.uint32), np.ones(10, np.uint16)
    write_genome_sorted_arrays(
        (tmp_path, "g"), starts, starts, lengths, np.array([0, 11]), build_end_max(starts, lengths)
    )
    with pytest.raises(CorruptDataError, match="do not describe 10 fragments"):
        GenomeSortedReader((tmp_path, "g"), ["chr1"])


def test_arrays_of_ones_own_open_in_zarr_python(tmp_path, rng):
    frame = random_fragments(rng, 1000)
    chromosomes, starts, lengths, _, _ = sort_fragments_by_cell(frame, build_chrom_order(frame))
    write_fragment_arrays((tmp_path, "g"), chromosomes, starts, lengths)
    arrays = zarr.open_group(tmp_path, path="g/cell_sorted", mode="r")
    for name, values in {"chromosomes": chromosomes, "starts": starts, "lengths": lengths}.items():
        assert arrays[name].dtype == values.dtype
        np.testing.assert_array_equal(arrays[name][:], values)
    with pytest.raises(InvalidArgumentError, match="lengths: values of 16 bits expected"):
        write_fragment_arrays((tmp_path, "h"), chromosomes, starts, starts)
    with pytest.raises(UnsupportedError, match="MemoryStore"):
        write_fragment_arrays(zarr.create_group({}), chromosomes, starts, lengths)


# Counts


def test_counts_equal_the_plain_comparison_of_all_pairs(tmp_path, rng):
    frame = random_fragments(rng, 2000)
    atlas = new_atlas(tmp_path)
    add(atlas, frame)
    fragments = checked_out(atlas, tmp_path).query().to_fragments()
    begins = rng.integers(0, 200_000, 300)
    lengths = rng.choice([0, 1, 500, 30_000, 190_000], 300)
    ranges = [
        GenomicRange(str(chrom), int(begin), int(begin + length))
        for chrom, begin, length in zip(rng.choice([*CHROMS, "chr9"], 300), begins, lengths, strict=True)
    ]
    counter = FragmentCounter(ranges)
    counted = counter.to_anndata(fragments)
    assert counted.X.dtype == np.int32
    assert counted.obs.equals(fragments.obs)
    assert counter.n_ranges == 300
    var = counter.var
    assert var.equals(var.sort_values(["chrom", "start"], kind="stable"))
    cell_of = np.repeat(np.arange(fragments.n_cells), np.diff(fragments.offsets))
    names = np.array(fragments.chrom_names)[fragments.chromosomes]
    starts = fragments.starts.astype(np.int64)
    ends = starts + fragments.lengths
    expected = np.zeros(counted.shape, dtype=int)
    for column, (chrom, start, end) in enumerate(var.itertuples(index=False)):
        overlap = (names == chrom) & (starts < end) & (ends > start)
        expected[:, column] = np.bincount(cell_of[overlap], minlength=fragments.n_cells)
    np.testing.assert_array_equal(counted.X.toarray(), expected)


def fragments_of_one_cell(starts: np.ndarray, lengths: np.ndarray) -> hox.FragmentResult:
    return hox.FragmentResult(
        chromosomes=np.zeros(len(starts), np.uint8),
        starts=starts.astype(np.uint32),
        lengths=lengths.astype(np.uint16),
        offsets=np.array([0, len(starts)]),
        chrom_names=["chr1"],
        obs=pd.DataFrame(index=["a"]),
    )


def test_a_range_over_everything_does_not_make_every_pair_be_looked_at(rng):
    n = 200_000  # all pairs of which would be 4e10
    size = 1000 * n
    fragments = fragments_of_one_cell(rng.integers(0, size - 300, n), rng.integers(1, 300, n))
    peaks = [GenomicRange("chr1", 1000 * i, 1000 * i + 500) for i in range(n)]
    counted = FragmentCounter([GenomicRange("chr1", 0, size), *peaks]).count_fragments(fragments)
    alone = FragmentCounter(peaks).count_fragments(fragments)
    assert counted.sum() == alone.sum() + n
    assert counted[:, 0].sum() == n  # those of one start keep their order
    assert (counted[:, 1:] != alone).nnz == 0


@pytest.mark.parametrize("depth", [3, 16, 40])
def test_ranges_inside_one_another_to_any_depth(rng, depth):
    bounds = [(int(i), int(2000 - i)) for i in rng.permutation(900)[:depth]]
    bounds += [(a, a + 20) for a in range(0, 2000, 50)] + [(500, 500), (700, 700), (700, 1900), (700, 701)]
    fragments = fragments_of_one_cell(rng.integers(0, 2100, 500), rng.integers(0, 400, 500))
    counter = FragmentCounter([GenomicRange("chr1", begin, end) for begin, end in bounds])
    starts = fragments.starts.astype(np.int64)
    ends = starts + fragments.lengths
    expected = [
        np.count_nonzero((starts < end) & (ends > begin)) for begin, end in counter.var[["start", "end"]].values
    ]
    assert counter.count_fragments(fragments).toarray()[0].tolist() == expected


def test_ranges_have_names():
    assert FragmentCounter([GenomicRange("chr1", 5, 9), GenomicRange("chr1", 2, 3, "peak")]).var.index.to_list() == [
        "peak",
        "chr1:5-9",
    ]
    assert FragmentCounter([]).n_ranges == 0
    with pytest.raises(InvalidArgumentError, match="chr1:9-5"):
        GenomicRange("chr1", 9, 5)


# Datasets


def new_atlas(folder: Path, chroms: list[str] = CHROMS) -> hox.RaggedAtlas:
    atlas = hox.create_or_open_atlas(
        folder, "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={SPACE: Chromosome}
    )
    atlas.register_features(SPACE, [Chromosome(uid=f"uid-{name}", sequence_name=name) for name in chroms])
    return atlas


def record(n_cells: int, group: str = "atac") -> hox.DatasetRecord:
    return hox.DatasetRecord(zarr_group=group, feature_space=SPACE, n_cells=n_cells)


def add(atlas: hox.RaggedAtlas, frame: pl.DataFrame, group: str = "atac", **options: object) -> int:
    return hox.add_fragments(atlas, frame, dataset_record=record(frame["barcode"].n_unique(), group), **options)


def checked_out(atlas: hox.RaggedAtlas, folder: Path) -> hox.RaggedAtlas:
    atlas.optimize()
    atlas.snapshot()
    return hox.RaggedAtlas.checkout_latest(folder)


def per_cell(fragments: hox.FragmentResult) -> dict[str, list[tuple[str, int, int]]]:
    """Sorted fragments of each cell."""
    names = [fragments.chrom_names[number] for number in fragments.chromosomes]
    rows = list(zip(names, fragments.starts.tolist(), fragments.lengths.tolist(), strict=True))
    bounds = fragments.offsets.tolist()
    return {
        barcode: sorted(rows[begin:end])
        for barcode, begin, end in zip(fragments.obs["barcode"], bounds[:-1], bounds[1:], strict=True)
    }


def expected_per_cell(frame: pl.DataFrame, barcodes: list[str]) -> dict[str, list[tuple[str, int, int]]]:
    rows: dict[str, list[tuple[str, int, int]]] = {barcode: [] for barcode in barcodes}
    for chrom, barcode, start, length in frame.select("chrom", "barcode", "start", "length").rows():
        if barcode in rows:
            rows[barcode].append((chrom, start, length))
    return {barcode: sorted(found) for barcode, found in rows.items()}


@pytest.mark.parametrize("codec", ["bp128", "bitpacking"])
def test_datasets_with_other_chromosomes_are_joined(tmp_path, rng, codec):
    atlas = new_atlas(tmp_path)
    first = random_fragments(rng, 700, chroms=["chr1", "GL000219.1", "chrX"])
    second = random_fragments(rng, 500, chroms=["chr10", "chr1"]).with_columns(pl.col("barcode") + "-b")
    assert add(atlas, first, "one", codec=codec) == 20
    assert add(atlas, second, "two/inside", codec=codec) == 20
    snapshot = checked_out(atlas, tmp_path)
    assert snapshot.validate() == []
    fragments = snapshot.query().to_fragments()
    registry = snapshot.feature_registry(SPACE)["sequence_name"].to_list()
    assert fragments.chrom_names == [name for name in registry if name != "chr2"]
    assert (fragments.chromosomes.dtype, fragments.offsets.dtype) == (np.uint8, np.int64)
    barcodes = sorted(set(first["barcode"])) + sorted(set(second["barcode"]))
    assert fragments.obs["barcode"].to_list() == barcodes
    assert per_cell(fragments) == expected_per_cell(pl.concat([first, second]), barcodes)
    some = snapshot.query().where("barcode IN ('cell-3', 'cell-1-b', 'cell-12')").to_fragments()
    assert per_cell(some) == {name: per_cell(fragments)[name] for name in ["cell-12", "cell-3", "cell-1-b"]}
    reader = GenomeSortedReader((snapshot.catalog.store, "one"), ["chr1", "chrX", "GL000219.1"])
    assert reader.n_fragments == 700
    assert len(reader.query_region("GL000219.1", 0, 1 << 30).starts) == (first["chrom"] == "GL000219.1").sum()


def test_global_indices_with_gaps_give_the_right_names(tmp_path, rng, monkeypatch):
    atlas = new_atlas(tmp_path)
    frame = random_fragments(rng, 200, chroms=["chr1", "chrX", "GL000219.1"])
    add(atlas, frame)
    atlas.optimize()
    # Some other writer may record such numbers: here the registry loses two features that no dataset has.
    monkeypatch.setattr("homeobox.catalog.snapshot.validate", lambda _: [])
    registry = atlas.catalog.registry(SPACE)
    order = registry.arrow()["sequence_name"].to_pylist()
    registry.table.dataset.delete("sequence_name IN ('chr2', 'chr10')")
    atlas.snapshot()
    fragments = hox.RaggedAtlas.checkout_latest(tmp_path).query().to_fragments()
    assert fragments.chrom_names == [name for name in order if name not in ("chr2", "chr10")]
    barcodes = sorted(set(frame["barcode"]))
    assert per_cell(fragments) == expected_per_cell(frame, barcodes)


def test_two_chromosomes_of_one_name_are_not_counted_as_one(tmp_path):
    result = hox.FragmentResult(
        chromosomes=np.array([0, 1, 2], np.uint8),
        starts=np.array([5, 5, 5], np.uint32),
        lengths=np.array([9, 9, 9], np.uint16),
        offsets=np.array([0, 3]),
        chrom_names=["chr1", "chr1", "chr2"],
        obs=pd.DataFrame(index=["a"]),
    )
    with pytest.raises(InvalidArgumentError, match=r"several chromosomes of the name\(s\) \['chr1'\]"):
        FragmentCounter([GenomicRange("chr1", 0, 9), GenomicRange("chr2", 0, 9)]).count_fragments(result)
    assert FragmentCounter([GenomicRange("chr2", 0, 9)]).count_fragments(result).toarray().tolist() == [[1]]


def test_obs_says_which_cells_in_which_order(tmp_path, rng):
    atlas = new_atlas(tmp_path)
    frame = random_fragments(rng, 700)
    obs = pd.DataFrame({"label": ["a", "b", "c"]}, index=["cell-7", "no fragments", "cell-2"])
    assert hox.add_fragments(atlas, frame, dataset_record=record(3), obs=obs) == 3
    fragments = checked_out(atlas, tmp_path).query().to_fragments()
    assert fragments.obs["label"].to_list() == ["a", "b", "c"]
    assert per_cell(fragments) == expected_per_cell(frame, list(obs.index))
    assert GenomeSortedReader((tmp_path / "zarr_store", "atac"), CHROMS).n_fragments == fragments.n_fragments


def test_one_chromosome_and_one_fragment(tmp_path):
    atlas = new_atlas(tmp_path)
    frame = pl.DataFrame({"chrom": ["chr2"], "barcode": ["A"], "start": [7], "end": [9]})
    assert add(atlas, frame, genome_sorted=False) == 1
    fragments = checked_out(atlas, tmp_path).query().to_fragments()
    assert per_cell(fragments) == {"A": [("chr2", 7, 2)]}
    with pytest.raises(NotFoundError, match="genome_sorted"):
        GenomeSortedReader((tmp_path / "zarr_store", "atac"), ["chr2"])


def test_cells_without_fragments_of_their_own_space(tmp_path, rng):
    atlas = new_atlas(tmp_path)
    add(atlas, random_fragments(rng, 100))
    snapshot = checked_out(atlas, tmp_path)
    nothing = snapshot.query().where("label = 'none'").to_fragments()
    assert (nothing.n_cells, nothing.n_fragments, nothing.offsets.tolist()) == (0, 0, [0])
    with pytest.raises(TypeError, match="does not use IntervalReconstructor"):
        snapshot.query().to_fragments("gene_expression")
    with pytest.raises(KeyError, match="unknown feature space 'other'"):
        snapshot.query().to_fragments("other")
    cells = pl.DataFrame(snapshot.catalog.scan_cells())
    spec, field = hox.get_spec(SPACE), snapshot.pointer_fields[SPACE]
    again = hox.IntervalReconstructor().as_fragments(snapshot, cells, field, spec)
    assert per_cell(again) == per_cell(snapshot.query().to_fragments())
    with pytest.raises(NotImplementedError, match="FragmentCounter"):
        hox.IntervalReconstructor().as_anndata(snapshot, cells, field, spec)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset_record": record(19)}, "n_cells = 19, but there are 20 distinct barcodes"),
        ({"obs": pd.DataFrame(index=["cell-1"])}, "n_cells = 20, but there are 1 rows of obs"),
        ({"obs": pd.DataFrame(index=["cell-1-1"])}, "no barcode of obs has a fragment; obs has.*cell-1-1"),
        ({"obs": pd.DataFrame(index=["cell-1", "cell-1"])}, "differ from each other"),
        ({"obs": pd.DataFrame(index=["cell-1"]), "barcode_column": "code"}, "obs has no column 'code'"),
        ({"barcode_column": "code"}, "no obs was given"),
        ({"chromosome_uids": {"chr1": "uid-chr1"}}, "chromosomes .*have no feature in chromosome_uids"),
        ({"chunk_shape": (3, 4)}, "chunk_shape"),
        ({"codec": "zip"}, "codec 'zip' is unknown"),
    ],
)
def test_refused_before_anything_is_written(tmp_path, rng, options, message):
    atlas = new_atlas(tmp_path)
    before = atlas.catalog.store.list("")
    with pytest.raises(InvalidArgumentError, match=message):
        hox.add_fragments(atlas, random_fragments(rng, 500), **{"dataset_record": record(20), **options})
    assert atlas.catalog.store.list("") == before
    assert atlas.catalog.count_cells() == 0


def test_fragments_that_are_no_frame_are_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="a path or a frame of polars or pandas expected, found ndarray"):
        hox.add_fragments(new_atlas(tmp_path), np.ones((3, 4)), dataset_record=record(1))


def test_chromosomes_must_be_registered_once(tmp_path, rng):
    atlas = new_atlas(tmp_path, ["chr1", "chr2", "chr10"])
    frame = random_fragments(rng, 500)
    with pytest.raises(
        InvalidArgumentError, match=r"chromosomes \['chrX', 'GL000219.1'\] \(2 in all\) have no feature"
    ):
        add(atlas, frame)
    known = frame.filter(pl.col("chrom").is_in(["chr1", "chr2"]))
    atlas.register_features(SPACE, [Chromosome(uid="mouse-chr1", sequence_name="chr1")])
    with pytest.raises(InvalidArgumentError, match=r"several features named \['chr1'\]"):
        add(atlas, known)
    assert add(atlas, known, chromosome_uids={"chr1": "mouse-chr1", "chr2": "uid-chr2"}) > 0
