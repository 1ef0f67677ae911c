"""Entries of a matrix as lines of text, parsed in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from homeobox.errors import InvalidArgumentError

# The parser reads several pieces ahead.
_PIECES_PER_BUDGET = 64
_MAX_PIECE_BYTES = 1 << 22
_MIN_PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class TextEntries:
    """Where the three numbers of an entry stand in a line.

    Attributes
    ----------
    columns
        Of the row, the column and the value; a value of None is 1.
    first_index
        Number of the first row and column: 0 or 1.
    skip_lines
        Lines before the first entry.
    memory_bytes
        What a piece is a small part of.
    """

    path: Path
    columns: tuple[int, int, int | None]
    dtype: np.dtype
    separator: str
    first_index: int
    skip_lines: int = 0
    memory_bytes: int = 1 << 30

    def pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Rows and columns as int64 from 0, and values, in the order of the file.

        Raises
        ------
        InvalidArgumentError
            A line does not parse; says which file and what is wrong.
        """
        row, column, value = self.columns
        piece_bytes = max(_MIN_PIECE_BYTES, min(_MAX_PIECE_BYTES, self.memory_bytes // _PIECES_PER_BUDGET))
        try:
            names, types = self._fields()
            if not names:
                return
            with self._open() as lines:
                reader = pa.csv.open_csv(
                    lines,
                    read_options=pa.csv.ReadOptions(
                        column_names=names, skip_rows=self.skip_lines, block_size=piece_bytes
                    ),
                    parse_options=pa.csv.ParseOptions(delimiter=self.separator, quote_char=False),
                    convert_options=pa.csv.ConvertOptions(
                        column_types=types, include_columns=list(types), null_values=[]
                    ),
                )
                for batch in reader:
                    rows, columns = (_numbers(batch, index) - self.first_index for index in (row, column))
                    values = np.ones(len(rows), self.dtype) if value is None else _numbers(batch, value)
                    yield rows, columns, values
        except (pa.ArrowInvalid, EOFError, OSError) as error:
            raise InvalidArgumentError(f"{self.path}: {error}") from error

    def _open(self) -> pa.NativeFile:
        compression = "gzip" if self.path.suffix == ".gz" else None
        return pa.input_stream(str(self.path), compression=compression)

    def _fields(self) -> tuple[list[str], dict[str, pa.DataType]]:
        """Names of all fields and types of those that are read; none where the file has no entries."""
        with self._open() as lines:
            first = _line(lines, self.skip_lines)
        if not first:
            return [], {}
        n_fields = len(first.rstrip("\r\n").split(self.separator))
        if n_fields <= max(_known(self.columns)):
            raise InvalidArgumentError(
                f"{self.path}: a line has {n_fields} field(s) separated by {self.separator!r}, expected at least "
                f"{max(_known(self.columns)) + 1}: {first.strip()!r}"
            )
        names = [f"field{i}" for i in range(n_fields)]
        row, column, value = self.columns
        types = {names[row]: pa.int64(), names[column]: pa.int64()}
        if value is not None:
            types[names[value]] = pa.from_numpy_dtype(self.dtype)
        return names, types


def _known(columns: Sequence[int | None]) -> list[int]:
    return [column for column in columns if column is not None]


def _numbers(batch: pa.RecordBatch, field: int) -> np.ndarray:
    return batch.column(batch.schema.get_field_index(f"field{field}")).to_numpy(zero_copy_only=False)


def _line(lines: pa.NativeFile, number: int) -> str:
    """The line after `number` others."""
    import io

    for at, line in enumerate(io.BufferedReader(lines)):
        if at == number:
            return line.decode(errors="replace")
    return ""
