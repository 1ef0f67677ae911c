"""Matrix Market files of coordinates, plain or gzip, as 10x writes them: features x cells."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homeobox.errors import InvalidArgumentError, UnsupportedError
from homeobox.ingest.sources.entries_as_rows import EntriesAsRows
from homeobox.ingest.sources.matrix import CsrSource
from homeobox.ingest.sources.reading import Reading
from homeobox.ingest.sources.text_entries import TextEntries

# Counts beyond this do not occur in practice, so integers take 4 bytes; the parser refuses larger ones.
_DTYPES: dict[str, np.dtype] = {
    "integer": np.dtype(np.int32),
    "real": np.dtype(np.float64),
    "pattern": np.dtype(np.int32),
}


@dataclass(frozen=True)
class _Header:
    field: str
    shape: tuple[int, int]
    n_entries: int
    n_lines: int


def transposed_matrix_market(path: Path, reading: Reading) -> CsrSource:
    """Columns of the file as rows; values as int32, or float64 for real ones.

    Raises
    ------
    UnsupportedError
        An array, complex or symmetric file.
    InvalidArgumentError
        The header or a line does not parse, or the number of entries is not what the header says.
    """
    header = _read_header(path)
    entries = TextEntries(
        path,
        columns=(1, 0, None if header.field == "pattern" else 2),
        dtype=_DTYPES[header.field],
        separator=" ",
        first_index=1,
        skip_lines=header.n_lines,
        memory_bytes=reading.memory_bytes,
    )
    n_features, n_cells = header.shape
    matrix = EntriesAsRows(entries.pieces, (n_cells, n_features), entries.dtype, path.name, reading)
    if matrix.n_entries != header.n_entries:
        raise InvalidArgumentError(
            f"{path}: the header says {header.n_entries} entries, found {matrix.n_entries}; is the file cut short?"
        )
    return matrix


def _read_header(path: Path) -> _Header:
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as lines:
            banner = lines.readline().lower().split()
            if banner[:2] != ["%%matrixmarket", "matrix"] or len(banner) != 5:
                raise InvalidArgumentError(f"{path} does not begin with the line of a Matrix Market file")
            n_lines, sizes = 1, list[str]()
            for line in lines:
                n_lines += 1
                sizes = line.split()
                if sizes and not sizes[0].startswith("%"):
                    break
    except (UnicodeDecodeError, EOFError, OSError) as error:
        raise InvalidArgumentError(f"{path} cannot be read as text: {error}") from error
    form, field, symmetry = banner[2:]
    if form != "coordinate" or field not in _DTYPES or symmetry != "general":
        raise UnsupportedError(
            f"{path} is a Matrix Market file of the kind '{form} {field} {symmetry}', expected coordinate, one of "
            f"{sorted(_DTYPES)}, general"
        )
    if len(sizes) != 3 or not all(size.isdigit() for size in sizes):
        raise InvalidArgumentError(f"{path}: line {n_lines} must hold three sizes, found {' '.join(sizes)!r}")
    n_rows, n_columns, n_entries = (int(size) for size in sizes)
    return _Header(field, (n_rows, n_columns), n_entries, n_lines)
