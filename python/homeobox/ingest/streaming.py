"""Writing a sparse group whose rows come one batch after another, and whose size is known only at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from homeobox import _core
from homeobox.catalog.array_store import adopt_store
from homeobox.errors import InvalidArgumentError, UnsupportedError
from homeobox.ingest.claim import is_marker
from homeobox.ingest.claim_marker import is_alive
from homeobox.ingest.dataset_plan import check_layer_name
from homeobox.ingest.encoding import Encoding, make_encoding
from homeobox.ingest.group_claim import MARKER, claim_group
from homeobox.ingest.group_name import check_group_name
from homeobox.ingest.scratch import scratch_beside
from homeobox.ingest.sources import CsrBlock, CsrSource, Reading, ScratchArray, matrix_in_memory, row_ranges
from homeobox.ingest.sparse_writer import plan_sparse, write_sparse
from homeobox.ingest.survey import survey_rows
from homeobox.schema import PointerKind, ZarrGroupSpec, get_spec


class SparseZarrWriter:
    """Writes one layer of a sparse group, batch by batch. Make it with :meth:`create`.

    Batches wait in a file without a name; :meth:`trim` writes the arrays from it, each shard once, in the order of the
    package's own ingest. A writer that is dropped before leaves nothing. Cells come with
    :func:`insert_cell_records`.

    Notes
    -----
    Stage: experimental. There is no way to go on with a group that was written: groups never change.
    """

    def __init__(
        self, store: _core.Store, path: str, spec: ZarrGroupSpec, zarr_layer: str, rows: _Rows, encoding: Encoding
    ) -> None:
        self._store = store
        self._path = path
        self._spec = spec
        self._layer = zarr_layer
        self._rows = rows
        self._encoding = encoding
        self._written = False

    @classmethod
    def create(
        cls,
        group: Any,
        zarr_layer: str,
        *,
        data_dtype: Any = np.float32,
        use_bitpacking: bool = False,
        feature_space: str = "gene_expression",
        chunk_elems: int | None = None,
        shard_elems: int | None = None,
        scratch_directory: str | os.PathLike[str] | None = None,
    ) -> SparseZarrWriter:
        """Begin with an empty group.

        Parameters
        ----------
        group : zarr.Group, or (store, str)
            The group, or the store of the atlas (an obstore store or a path) and the name of the group in it.
        zarr_layer : str
            Name of the layer, such as "counts".
        data_dtype : dtype
            Of the stored values; a batch that does not fit in it is refused.
        use_bitpacking : bool
            Write what homeobox 0.2.2 reads, instead of the codec of the package.
        feature_space : str
            A sparse one.
        chunk_elems, shard_elems : int, optional
            Elements; by default what suits the codec.
        scratch_directory : path, optional
            Where the batches wait; needs room for all of them. Default: beside the arrays of a local store, else the
            directory for temporary files.

        Raises
        ------
        InvalidArgumentError
            The group holds arrays, the feature space is not sparse, or the layer is not allowed.
        UnsupportedError
            The store of the group is not one that an atlas may have.
        StoreError
            The scratch directory cannot be written to.
        """
        spec = get_spec(feature_space)
        if not spec.is_matrix or spec.pointer_kind is not PointerKind.SPARSE:
            raise InvalidArgumentError(f"feature space '{feature_space}' is not sparse")
        check_layer_name(spec, zarr_layer)
        store, path, address = _place(group)
        check_group_name(path)
        _check_empty(store, path)
        shapes = (None if size is None else (size,) for size in (chunk_elems, shard_elems))
        encoding = make_encoding("bitpacking" if use_bitpacking else "bp128", 1, *shapes)
        scratch = os.fspath(scratch_directory or scratch_beside(address))
        return cls(store, path, spec, zarr_layer, _Rows(np.dtype(data_dtype), path, scratch), encoding)

    @property
    def n_written(self) -> int:
        """Entries so far."""
        return self._rows.n_entries

    def append_csr(self, csr: Any) -> tuple[np.ndarray, np.ndarray]:
        """Append rows.

        Parameters
        ----------
        csr : array or SciPy sparse matrix, shape (n_rows, n_features)
            All batches have the same features.

        Returns
        -------
        starts, ends : ndarray of int64, shape (n_rows,)
            Element range of each row in the arrays to be.

        Raises
        ------
        InvalidArgumentError
            Another number of features, values that the dtype does not hold, or the writer is done.
        """
        self._check_open()
        first = self._rows.n_entries
        bounds = first + self._rows.append(csr)
        return bounds[:-1], bounds[1:]

    def trim(self) -> None:
        """Write the arrays, as long as what was appended, and the manifest, which comes last.

        After an error nothing of it is left, and the call may be repeated.

        Raises
        ------
        InvalidArgumentError
            Nothing was appended, or entries are wrong: outside the matrix, or no counts in a layer of counts. Or
            somebody wrote to the group since :meth:`create`.
        ConflictError
            Another writer holds the group.
        """
        self._check_open()
        totals = survey_rows(self._rows, [self._layer], whole_counts=False)
        by_expression = self._encoding.codec == "bp128"
        plan = plan_sparse(self._spec, [self._layer], self._rows, self._encoding, totals if by_expression else None)
        inside = self._spec.layers.path.split("/")
        # The document of a group that zarr-python made is its user's; all else under it is removed after an error.
        document = self._store.read(f"{self._path}/zarr.json")
        try:
            with claim_group(
                self._store, self._path, lambda: _check_empty(self._store, self._path), replace_unclaimed=True
            ) as claim:
                objects = [_core.write_group(self._store, self._path, _attributes(document))]
                objects += [
                    _core.write_group(self._store, "/".join([self._path, *inside[: i + 1]])) for i in range(len(inside))
                ]
                objects += write_sparse(self._store, self._path, plan, self._rows, lambda n_rows: claim.renew())
                claim.confirm()
                _core.write_manifest(self._store, self._path, objects)
        except BaseException:
            if document is not None and not self._store.list(f"{self._path}/"):
                self._store.create(f"{self._path}/zarr.json", document)
            raise
        self._written = True

    def _check_open(self) -> None:
        if self._written:
            raise InvalidArgumentError(f"group '{self._path}' is written, and groups never change")


def _attributes(document: bytes | None) -> str:
    """Those that the group has, and the mark of the format."""
    attributes = {} if document is None else json.loads(document).get("attributes", {})
    return json.dumps({**attributes, "homeobox": {"format": 1}})


def _check_empty(store: _core.Store, path: str) -> None:
    """Refuse a group with anything but its document, or what a dead writer left unfinished."""
    marker = store.read(f"{path}/{MARKER}")
    if marker is not None and not is_alive(marker) and _core.read_manifest(store, path) is None:
        return
    own = f"{path}/zarr.json"
    present = [key for key, _ in store.list(f"{path}/") if key != own and not is_marker(key, f"{path}/{MARKER}")]
    if present:
        raise InvalidArgumentError(f"group '{path}' is not empty: it holds '{present[0]}'")


class _Rows(CsrSource):
    """Rows in scratch files, as they were appended."""

    def __init__(self, dtype: np.dtype, name: str, directory: str) -> None:
        self.name = f"group '{name}'"
        self.shape = (0, 0)
        self.dtypes = (dtype,)
        self.indptr = np.zeros(1, dtype=np.int64)
        self._indices = ScratchArray(np.dtype(np.uint32), directory)
        self._values = ScratchArray(dtype, directory)
        self._block_elements = Reading().block_elements

    def append(self, csr: Any) -> np.ndarray:
        """Row bounds of the batch, from 0."""
        import scipy.sparse

        matrix = scipy.sparse.csr_matrix(csr)
        n_rows, n_features = matrix.shape
        if self.shape[0] and n_features != self.shape[1]:
            raise InvalidArgumentError(
                f"{self.name}: the batch has {n_features} features, those before it {self.shape[1]}"
            )
        if not n_rows:
            return np.zeros(1, dtype=np.int64)
        batch = matrix_in_memory(matrix, self.name)
        assert isinstance(batch, CsrSource)
        first = self.n_entries
        for block in batch.blocks():
            values = block.layers[0][block.entries]
            stored = values.astype(self.dtype)
            if not np.array_equal(stored, values, equal_nan=values.dtype.kind == "f"):
                raise InvalidArgumentError(
                    f"{self.name}: {values.dtype} values of the batch do not fit in {self.dtype}"
                )
            self._indices.write(first + int(block.indptr[0]), block.indices[block.entries])
            self._values.write(first + int(block.indptr[0]), stored)
        self.indptr = np.concatenate([self.indptr, first + batch.indptr[1:]])
        self.shape = (self.shape[0] + n_rows, n_features)
        return batch.indptr

    def blocks(self) -> Iterator[CsrBlock]:
        for begin, end in row_ranges(self.indptr, self._block_elements):
            first, last = int(self.indptr[begin]), int(self.indptr[end])
            yield CsrBlock(
                self.indptr[begin : end + 1] - first,
                self._indices.read(first, last),
                (self._values.read(first, last),),
            )


def _place(group: Any) -> tuple[_core.Store, str, str]:
    """Store, path in it and address of the store of a group of zarr-python, or of what names both."""
    if isinstance(group, tuple) and len(group) == 2:
        store, address = adopt_store(group[0])
        return store, str(group[1]), address
    theirs: Any = getattr(group, "store", None)
    for attribute in ("root", "store"):  # of zarr's LocalStore, and of its ObjectStore, which holds one of obstore
        if hasattr(theirs, attribute):
            store, address = adopt_store(getattr(theirs, attribute))
            return store, str(group.path), address
    raise UnsupportedError(
        f"group must be a zarr.Group in a local or object store, or (store, name), found {type(group).__name__}"
    )
