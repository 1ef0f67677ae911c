"""Fragments as numbers: chromosomes and barcodes coded, coordinates in the types in which they are stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from homeobox.errors import InvalidArgumentError

_MAX_LENGTH = np.iinfo(np.uint16).max
_MAX_END = np.iinfo(np.uint32).max


@dataclass(frozen=True)
class CodedFragments:
    """`n` fragments in the order of their source.

    Attributes
    ----------
    chrom_names, barcodes
        Distinct texts in order of appearance.
    chroms, cells
        int32 [n], positions in `chrom_names` and `barcodes`.
    starts
        uint32 [n], 0-based.
    lengths
        uint16 [n].
    """

    chrom_names: list[str]
    barcodes: list[str]
    chroms: np.ndarray
    cells: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


def code_fragments(batches: Iterable[pa.RecordBatch], source: str) -> CodedFragments:
    """Code and check record batches of ``chrom``, ``start``, ``end``, ``barcode``.

    Raises
    ------
    InvalidArgumentError
        Says of `source` how many fragments cannot be, and shows the first.
    """
    texts = {"chrom": _Codes(), "barcode": _Codes()}
    starts, lengths = [], []
    n_before = 0
    for batch in batches:
        begins, ends = (_coordinates(batch[name], name, source) for name in ("start", "end"))
        _check(batch, begins, ends, n_before, source)
        starts.append(begins.astype(np.uint32))
        lengths.append((ends - begins).astype(np.uint16))
        for name, codes in texts.items():
            codes.add(batch[name], name, source)
        n_before += batch.num_rows
    if not n_before:
        raise InvalidArgumentError(f"fragments of {source}: there are none")
    return CodedFragments(
        chrom_names=texts["chrom"].names,
        barcodes=texts["barcode"].names,
        chroms=np.concatenate(texts["chrom"].codes),
        cells=np.concatenate(texts["barcode"].codes),
        starts=np.concatenate(starts),
        lengths=np.concatenate(lengths),
    )


def code_frame(frame: Any, barcode_col: str = "barcode") -> CodedFragments:
    """Code a polars or pandas frame with ``chrom``, `barcode_col`, ``start`` and ``length`` or ``end``.

    Raises
    ------
    InvalidArgumentError
        No frame, a column is missing, or a fragment cannot be.
    """
    import pandas as pd
    import polars as pl

    if not isinstance(frame, pl.DataFrame | pd.DataFrame):
        raise InvalidArgumentError(
            f"fragments: a path or a frame of polars or pandas expected, found {type(frame).__name__}"
        )
    table = frame if isinstance(frame, pl.DataFrame) else pl.from_pandas(frame)
    needed = ["chrom", barcode_col, "start"]
    missing = [name for name in needed if name not in table.columns]
    if missing or not {"length", "end"} & set(table.columns):
        raise InvalidArgumentError(f"fragments: columns {needed} and 'length' or 'end' expected, found {table.columns}")
    end = pl.col("end") if "end" in table.columns else pl.col("start").cast(pl.Int64) + pl.col("length").cast(pl.Int64)
    chosen = table.select("chrom", "start", end.alias("end"), pl.col(barcode_col).alias("barcode"))
    return code_fragments(chosen.to_arrow().to_batches(), "the frame")


def _coordinates(column: pa.Array, name: str, source: str) -> np.ndarray:
    if column.null_count or not pa.types.is_integer(column.type):
        raise InvalidArgumentError(
            f"fragments of {source}: {name} must be whole numbers, found {column.type} with {column.null_count} missing"
        )
    return column.to_numpy().astype(np.int64, copy=False)


def _check(batch: pa.RecordBatch, begins: np.ndarray, ends: np.ndarray, n_before: int, source: str) -> None:
    lengths = ends - begins
    impossible = (begins < 0) | (lengths < 0) | (lengths > _MAX_LENGTH) | (ends > _MAX_END)
    if impossible.any():
        first = int(np.flatnonzero(impossible)[0])
        raise InvalidArgumentError(
            f"fragments of {source}: {int(impossible.sum())} cannot be stored, the first is number {n_before + first}, "
            f"{batch['chrom'][first]}:{begins[first]}-{ends[first]}; expected 0 <= start <= end < 2**32 and at most "
            f"{_MAX_LENGTH} bases"
        )


class _Codes:
    """Distinct texts of a column that comes in batches, and their codes."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.codes: list[np.ndarray] = []
        self._code_of: dict[str, int] = {}

    def add(self, column: pa.Array, name: str, source: str) -> None:
        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        texts = column.dictionary.cast(pa.string())
        if column.null_count or texts.null_count or pc.any(pc.equal(texts, ""), min_count=0).as_py():
            raise InvalidArgumentError(f"fragments of {source}: {name} is missing in at least one row")
        code_of = self._code_of
        local = [code_of.setdefault(text, len(code_of)) for text in texts.to_pylist()]
        self.names = list(code_of)
        self.codes.append(np.array(local, dtype=np.int32)[column.indices.to_numpy()])
