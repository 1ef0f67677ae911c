"""Fragment files: tab-separated lines of chromosome, start, end, barcode and, in many, a number of reads."""

from __future__ import annotations

import gzip
import os
import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from homeobox.errors import CorruptDataError, InvalidArgumentError, NotFoundError
from homeobox.ingest.fragments.coded import CodedFragments, code_fragments

if TYPE_CHECKING:
    import polars as pl

_COLUMNS = ("chrom", "start", "end", "barcode")
_GZIP_MAGIC = b"\x1f\x8b"
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BLOCK_BYTES = 16 << 20


def parse_bed_fragments(path: str | os.PathLike[str], barcode_col: str = "barcode") -> pl.DataFrame:
    """Read a fragment file of at least 4 columns; further ones, such as the number of reads, are left out.

    Parameters
    ----------
    path : path
        Plain text, gzip or BGZF, told by its first bytes. Lines that begin with ``#`` are comments.
    barcode_col : str
        Name of the column of barcodes in the answer.

    Returns
    -------
    polars.DataFrame
        ``chrom`` String, `barcode_col` String, ``start`` UInt32, ``length`` UInt16; rows in file order.

    Raises
    ------
    NotFoundError
        There is no such file.
    InvalidArgumentError
        A line has other columns or is no fragment: an end before its start, or more than 65,535 bases long.
    CorruptDataError
        The compressed stream is cut short or damaged.

    Notes
    -----
    Stage: stable. Reads in blocks; memory for the answer and some 100 MB.
    """
    import polars as pl

    coded = read_fragment_file(path)
    names = {"chrom": coded.chrom_names, barcode_col: coded.barcodes}
    codes = {"chrom": coded.chroms, barcode_col: coded.cells}
    texts = {name: pl.Series(name, names[name], dtype=pl.String).gather(codes[name]) for name in names}
    return pl.DataFrame({**texts, "start": coded.starts, "length": coded.lengths})


def read_fragment_file(path: str | os.PathLike[str]) -> CodedFragments:
    """The same as codes, 11 bytes a fragment. Errors as :func:`parse_bed_fragments`."""
    text = os.fspath(path)
    if not os.path.isfile(text):
        raise NotFoundError(f"fragments: there is no file '{text}'")
    try:
        n_skipped, n_columns = _head(text)
        _check_last_block(text)
        return code_fragments(_batches(text, n_skipped, n_columns), f"'{text}'")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptDataError(f"fragment file '{text}': {error}") from error
    except pa.ArrowInvalid as error:
        raise InvalidArgumentError(f"fragment file '{text}': {error}") from error
    except OSError as error:  # what Arrow says of a compressed stream that is cut short or damaged
        raise CorruptDataError(f"fragment file '{text}': {error}") from error


def _is_gzip(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == _GZIP_MAGIC


def _check_last_block(path: str) -> None:
    """Refuse BGZF without its end: each of its blocks is a whole gzip member, so a cut between two is seen only so."""
    with open(path, "rb") as file:
        head = file.read(12)
        # gzip with an extra field, whose subfields are two letters, a length of 2 bytes and so many bytes.
        if head[:2] != _GZIP_MAGIC or len(head) < 12 or not head[3] & 4:
            return
        extra = file.read(int.from_bytes(head[10:12], "little"))
        while len(extra) >= 4 and extra[:2] != b"BC":
            extra = extra[4 + int.from_bytes(extra[2:4], "little") :]
        if len(extra) < 4:
            return
        n_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, n_bytes - len(_BGZF_END)))
        if file.read() != _BGZF_END:
            raise CorruptDataError(
                f"fragment file '{path}' is BGZF and cut short: after {n_bytes} bytes it lacks the empty block of "
                f"{len(_BGZF_END)} bytes that ends such a file"
            )


def _head(path: str) -> tuple[int, int]:
    """Number of comment lines on top, and of columns of the first line after them."""
    n_skipped = 0
    with gzip.open(path, "rb") if _is_gzip(path) else open(path, "rb") as file:
        for line in file:
            if not line.startswith(b"#") and line.strip():
                n_columns = line.count(b"\t") + 1
                if n_columns < len(_COLUMNS):
                    raise InvalidArgumentError(
                        f"fragment file '{path}', line {n_skipped + 1}: at least {len(_COLUMNS)} columns separated by "
                        f"tabs expected (chromosome, start, end, barcode), found {n_columns}"
                    )
                return n_skipped, n_columns
            n_skipped += 1
    raise InvalidArgumentError(f"fragment file '{path}' has no fragments")


def _batches(path: str, n_skipped: int, n_columns: int) -> Any:
    """Record batches of the four columns, barcodes and chromosomes dictionary-encoded."""
    from pyarrow import csv

    names = [*_COLUMNS, *(f"further {i}" for i in range(n_columns - len(_COLUMNS)))]
    text = pa.dictionary(pa.int32(), pa.string())
    types = {"chrom": text, "start": pa.int64(), "end": pa.int64(), "barcode": text}

    def other_row(row: Any) -> str:
        return "skip" if row.text.startswith("#") else "error"

    stream = pa.input_stream(path, compression="gzip" if _is_gzip(path) else None)
    reader = csv.open_csv(
        stream,
        csv.ReadOptions(column_names=names, skip_rows=n_skipped, block_size=_BLOCK_BYTES),
        csv.ParseOptions(delimiter="\t", quote_char=False, invalid_row_handler=other_row),
        csv.ConvertOptions(
            column_types=types, include_columns=list(_COLUMNS), null_values=[], strings_can_be_null=False
        ),
    )
    with stream, reader:
        yield from reader
