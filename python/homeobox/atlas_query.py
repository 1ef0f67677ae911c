"""The fluent query: remembers what was asked, delegates the rest to query/."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from homeobox.errors import InvalidArgumentError
from homeobox.loader import CsrLoader, make_csr_loader
from homeobox.query import QueryRequest, ReadSession
from homeobox.query.assemble import to_anndata
from homeobox.query.cells import check_columns, count_cells, read_obs
from homeobox.query.counting import count_by
from homeobox.query.fragments import FragmentResult, to_fragments
from homeobox.query.request import checked_count, checked_join, checked_texts

if TYPE_CHECKING:
    import anndata
    import polars as pl


class AtlasQuery:
    """A query on a checked-out atlas, made by `RaggedAtlas.query()`.

    Builders change the query and return it, in any order; nothing is read until `count`, `to_polars` or
    `to_anndata`. Rows of every answer are in *query order*: the order in which the cell table holds the cells.

    Stage: stable.

    Examples
    --------
    >>> adata = atlas.query().where("cell_type = 'B cells'").limit(100).to_anndata()  # doctest: +SKIP
    """

    def __init__(self, session: ReadSession) -> None:
        self._session = session
        self._request = QueryRequest()

    # Builders

    def where(self, condition: str) -> AtlasQuery:
        """Keep the cells that satisfy an SQL condition, such as ``"tissue = 'lung' AND n_counts > 500"``.

        A second call replaces the first; join conditions with AND. A mistake in the SQL shows when the query runs.

        Raises
        ------
        InvalidArgumentError
            `condition` is not text, or empty.
        """
        if not isinstance(condition, str) or not condition.strip():
            raise InvalidArgumentError(f"where needs an SQL condition, found {condition!r}")
        self._request.where = condition
        return self

    def select(self, columns: list[str]) -> AtlasQuery:
        """Restrict obs to these columns. Without `uid` among them, rows are named by their number.

        Raises
        ------
        InvalidArgumentError
            Not a list, or a column that the cell table does not have.
        """
        if not isinstance(columns, list | tuple):
            raise InvalidArgumentError(f"Columns must be a list, found {columns!r}")
        names = checked_texts("Columns", list(columns))
        check_columns(self._session.catalog, names)
        self._request.columns = names
        return self

    def limit(self, n: int) -> AtlasQuery:
        """Take the first `n` cells of those selected; 0 takes none.

        Raises
        ------
        InvalidArgumentError
            `n` is negative or not a whole number.
        """
        self._request.limit = checked_count("limit", n)
        return self

    def offset(self, n: int) -> AtlasQuery:
        """Skip the first `n` cells of those selected.

        Raises
        ------
        InvalidArgumentError
            `n` is negative or not a whole number.
        """
        self._request.offset = checked_count("offset", n)
        return self

    def feature_spaces(self, *spaces: str) -> AtlasQuery:
        """Read only these modalities.

        Raises
        ------
        InvalidArgumentError
            "Unknown feature space(s)": the cell table has no pointers for one of them.
        """
        names = checked_texts("feature spaces", list(spaces))
        for space in names:
            self._check_space(space)
        self._request.feature_spaces = tuple(names)
        return self

    def layers(self, feature_space: str, names: list[str]) -> AtlasQuery:
        """Read these layers of a feature space instead of its required ones; the first becomes `X`.

        Raises
        ------
        InvalidArgumentError
            Not a list of names, an empty one, or a feature space without pointers in the cell table.
        """
        self._check_space(feature_space)
        layers = list(dict.fromkeys(checked_texts("layers", names)))
        if not layers:
            raise InvalidArgumentError(f"layers of '{feature_space}': name at least one")
        self._request.layers[feature_space] = layers
        return self

    def features(self, uids: list[str], feature_space: str) -> AtlasQuery:
        """Make exactly these features the columns of the answer, measured or not.

        Columns follow ascending global index, whatever the order here; a uid given twice counts once. A filter
        overrules `feature_join`. Unknown uids show when the query runs.

        Raises
        ------
        InvalidArgumentError
            Not a list of uids; "No registry for feature space"; or no pointers for it in the cell table.
        """
        names = checked_texts("features", uids)
        self._check_space(feature_space)
        self._session.catalog.registry(feature_space)
        self._request.features[feature_space] = list(dict.fromkeys(names))
        return self

    def feature_join(self, how: str) -> AtlasQuery:
        """Which features become columns where several layouts meet: the "union" (default) or the "intersection".

        Raises
        ------
        InvalidArgumentError
            Neither of the two.
        """
        self._request.feature_join = checked_join(how)
        return self

    # Answers

    def count(self, group_by: str | list[str] | None = None) -> int | pl.DataFrame:
        """Number of selected cells, as a whole or by the values of columns.

        Parameters
        ----------
        group_by
            Column or columns of the cell table; only these are read.

        Returns
        -------
        int or polars.DataFrame
            With `group_by`: its columns and `count`, sorted by the columns, missing values first.

        Raises
        ------
        InvalidArgumentError
            SQL that does not parse, or a column that does not exist.
        """
        catalog = self._session.catalog
        if group_by is None:
            return count_cells(catalog, self._request)
        columns = [group_by] if isinstance(group_by, str) else checked_texts("group_by", group_by)
        return count_by(catalog, self._request, columns)

    def to_polars(self) -> pl.DataFrame:
        """Obs columns of the selected cells, `uid` included, pointers left out; rows in query order.

        Raises
        ------
        InvalidArgumentError
            SQL that does not parse.
        """
        import polars as pl

        frame = pl.from_arrow(read_obs(self._session.catalog, self._request))
        assert isinstance(frame, pl.DataFrame)  # from_arrow gives a Series for an array only
        return frame

    def to_anndata(self) -> anndata.AnnData:
        """The selected cells as AnnData, rows in query order.

        The first pointer field in schema order that any selected cell has data for is read; cells without it are
        left out, with a warning. Columns follow ascending global index.

        Returns
        -------
        anndata.AnnData
            `X` is CSR for sparse feature spaces (columns sorted inside rows; the dtype is NumPy's result type of the
            stored ones) and a float32 array for dense ones. In `obs` and `var` days, moments, lists and structs are
            text, which h5ad can hold; `to_polars` gives them as they are. `var` has the registry's columns. A feature
            that a dataset never measured reads as zero; ``varm["measured"]`` (features x layouts) tells, with the
            layout of each cell in ``obsm["layout"]`` and the layouts' uids in ``uns["layouts"]``.
            No selected cell, no data or no column at all: an AnnData with `obs` alone.

        Raises
        ------
        InvalidArgumentError
            SQL that does not parse, an unknown feature, a feature without global index, no layer to read.
        NotFoundError
            A group lacks a layer that was asked for.
        CorruptDataError
            Stored bytes or pointers are damaged; says which.
        """
        return to_anndata(self._session, self._request)

    def to_fragments(self, feature_space: str = "chromatin_accessibility") -> FragmentResult:
        """Fragments of the selected cells, cell after cell in query order.

        Returns
        -------
        FragmentResult
            Chromosomes are joined over the datasets. Cells that lack the modality are left out, with a warning; if all
            lack it, all are there and have no fragments.

        Raises
        ------
        NotFragmentsError
            A feature space that holds something else; also a TypeError.
        UnknownFeatureSpaceError
            Nobody registered the space; also a KeyError.
        InvalidArgumentError
            SQL that does not parse, no pointers for the space, a chromosome without global index.
        CorruptDataError
            Stored bytes or pointers are damaged; says which.

        Notes
        -----
        Stage: stable. Count them in peaks with `homeobox.FragmentCounter`.
        """
        return to_fragments(self._session, self._request, feature_space)

    def to_loader(
        self,
        batch_size: int = 512,
        *,
        shuffle: bool = True,
        seed: int = 0,
        feature_space: str = "gene_expression",
        layer: str = "counts",
        drop_last: bool = False,
        memory: int | str = "1GiB",
    ) -> CsrLoader:
        """Iterate over CSR batches of the selected cells in random order, as NumPy arrays without a copy.

        Parameters
        ----------
        batch_size
            Cells per batch; the last of an epoch may be shorter.
        shuffle
            Each epoch is a uniform random permutation of all selected cells that have the modality.
        seed
            With the number of the epoch it fixes the order, on every machine.
        feature_space, layer
            A sparse feature space and one of its layers.
        drop_last
            Leave out a last batch that is short.
        memory
            Bound of the memory of all batches in bytes or as text ("256MiB"), those still held by the caller included.

        Returns
        -------
        CsrLoader
            ``len(loader)`` batches per ``for``; each a `SparseBatch` whose `indices` are global feature indices. Obs
            columns named by `select` come along in its `metadata`.

        Raises
        ------
        InvalidArgumentError
            Bad sizes, an unknown feature space, SQL that does not parse.
        UnsupportedError
            A dense feature space, or a query with a feature filter or an intersection.
        NotFoundError
            A group lacks the layer.

        Notes
        -----
        Threads of this process decode ahead of the consumer, without the GIL; no worker processes. Stage: experimental.
        """
        return make_csr_loader(
            self._session,
            self._request,
            feature_space=feature_space,
            layer=layer,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            drop_last=drop_last,
            memory=memory,
        )

    def _check_space(self, feature_space: str) -> None:
        known = self._session.catalog.pointer_fields
        if feature_space not in known:
            raise InvalidArgumentError(
                f"Unknown feature space(s) ['{feature_space}']; the cell table has {list(known)}"
            )

    # Display

    def _described(self) -> list[tuple[str, str]]:
        request = self._request
        asked: list[tuple[str, str]] = []
        if request.where is not None:
            asked.append(("where", repr(request.where)))
        if request.columns is not None:
            asked.append(("select", repr(request.columns)))
        if request.limit is not None:
            asked.append(("limit", str(request.limit)))
        if request.offset is not None:
            asked.append(("offset", str(request.offset)))
        if request.feature_spaces is not None:
            asked.append(("feature_spaces", ", ".join(map(repr, request.feature_spaces))))
        asked += [("layers", f"{space!r}, {names!r}") for space, names in request.layers.items()]
        for space, uids in request.features.items():
            shown = repr(uids) if len(uids) <= 3 else f"[{', '.join(map(repr, uids[:3]))}, ... {len(uids)} in all]"
            asked.append(("features", f"{shown}, {space!r}"))
        if request.feature_join != "union":
            asked.append(("feature_join", repr(request.feature_join)))
        return asked

    def __repr__(self) -> str:
        calls = "".join(f".{name}({value})" for name, value in self._described())
        return f"AtlasQuery({self._session.catalog.location}){calls}"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td><code>{html.escape(value)}</code></td></tr>"
            for name, value in self._described()
        )
        title = html.escape(str(self._session.catalog.location))
        body = rows or "<tr><td>all cells</td></tr>"
        return f"<div><b>AtlasQuery</b> on <code>{title}</code><table>{body}</table></div>"
