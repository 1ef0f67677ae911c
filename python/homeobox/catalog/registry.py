"""Registries: the features of one space, each with a uid and, once indexed, a global index.

Global indices are consecutive from 0 and never change once assigned; every dataset of the space is joined by them.
A pinned registry is read once and kept.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from homeobox.catalog import arrow_schema
from homeobox.catalog.location import registry_table_name
from homeobox.catalog.tables import Table, as_table
from homeobox.errors import InvalidArgumentError, NotFoundError
from homeobox.schema import FeatureBaseSchema

if TYPE_CHECKING:
    import polars as pl


class UnknownRegistryError(NotFoundError, KeyError, ValueError):
    """The atlas has no registry for a feature space."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes


class UnknownFeatureError(NotFoundError, ValueError):
    """A feature uid is not in the registry."""


class Registry:
    """The registry of one feature space.

    Parameters
    ----------
    feature_space : str
        Its space.
    table : Table
        Columns ``uid``, ``global_index`` and the user's.
    """

    def __init__(self, feature_space: str, table: Table) -> None:
        self.feature_space = feature_space
        self.table = table
        self._kept: pa.Table | None = None

    @property
    def n_features(self) -> int:
        """Number of registered features."""
        return self.table.count()

    def arrow(self) -> pa.Table:
        """The whole registry by ascending global index; features without one come last, by uid."""
        if self._kept is not None:
            return self._kept
        rows = self.table.scan()
        indices = rows["global_index"]
        if indices.null_count or not _is_ascending(indices.to_numpy()):
            rows = rows.sort_by([("global_index", "ascending"), ("uid", "ascending")])
        if self.table.pinned:
            self._kept = rows = rows.combine_chunks()
        return rows

    def frame(self) -> "pl.DataFrame":
        """The same as a polars frame."""
        import polars as pl

        return pl.DataFrame(self.arrow())

    def positions(self, uids: Sequence[str] | pa.Array) -> tuple[np.ndarray, pa.Table]:
        """Row of each uid in :meth:`arrow`, and that table, so that further columns can be taken from it.

        Raises
        ------
        UnknownFeatureError
            Some uids are not registered; counts them and names the first five.
        """
        registered = self.arrow()
        wanted = uids if isinstance(uids, pa.Array) else pa.array(uids, pa.string())
        found = pc.index_in(wanted, value_set=registered["uid"].combine_chunks())
        if found.null_count:
            missing = pc.unique(wanted.filter(pc.is_null(found))).to_pylist()
            raise UnknownFeatureError(
                f"{len(missing)} feature uid(s) not found in registry '{self.table.name}'. First 5: {missing[:5]}"
            )
        return found.to_numpy(), registered

    def has_all(self, uids: pa.Array) -> bool:
        """Whether every one of the uids is registered."""
        return bool(pc.all(pc.is_in(uids, value_set=self.arrow()["uid"].combine_chunks())).as_py())

    def resolve(self, uids: Sequence[str] | pa.Array) -> np.ndarray:
        """Global indices of feature uids, in the order asked, duplicates kept.

        Parameters
        ----------
        uids : sequence of str, shape (n,)
            Registered uids.

        Returns
        -------
        ndarray of int32, shape (n,)

        Raises
        ------
        UnknownFeatureError
            A uid is not registered.
        InvalidArgumentError
            A feature has no global index yet.
        """
        positions, registered = self.positions(uids)
        indices = registered["global_index"].combine_chunks().take(pa.array(positions))
        if indices.null_count:
            names = registered["uid"].combine_chunks().take(pa.array(positions)).filter(pc.is_null(indices))
            raise InvalidArgumentError(
                f"{indices.null_count} feature(s) of registry '{self.table.name}' have global_index = None; "
                f"run optimize() first. First 5: {names[:5].to_pylist()}"
            )
        return indices.to_numpy().astype(np.int32)

    def join_to(self, df: "pl.DataFrame", columns: str | Sequence[str], on: str) -> "pl.DataFrame":
        """`df` with columns of the registry beside it, joined by the uids in its column `on`; rows and order stay.

        Raises
        ------
        InvalidArgumentError
            Unknown columns; ``uid`` and ``global_index`` cannot be asked for.
        """
        columns = [columns] if isinstance(columns, str) else list(columns)
        selectable = [name for name in self.table.schema.names if name not in ("uid", "global_index")]
        unknown = [name for name in columns if name not in selectable]
        if unknown:
            raise InvalidArgumentError(f"Unknown registry columns {unknown}; '{self.table.name}' has {selectable}")
        if on not in df.columns:
            raise InvalidArgumentError(f"the frame has no column '{on}' of feature uids, found {df.columns}")
        annotation = self.frame().select("uid", *columns)
        return df.join(annotation, left_on=on, right_on="uid", how="left", maintain_order="left")

    def register(self, features: "Sequence[FeatureBaseSchema] | pl.DataFrame | pl.LazyFrame") -> int:
        """Add the features that are not registered yet; rows of known uids stay as they are.

        Parameters
        ----------
        features : sequence of FeatureBaseSchema, or polars.DataFrame or LazyFrame with a ``uid`` column
            Equal uids collapse to the first.

        Returns
        -------
        int
            How many were added. They get a global index from :meth:`reindex`, not here.

        Raises
        ------
        InvalidArgumentError
            Unknown or missing column, a value of the wrong type, an empty uid; nothing is written then.
        """
        rows = self._rows_of(features)
        uids = rows["uid"].combine_chunks()
        if pc.any(pc.equal(uids, "")).as_py():
            raise InvalidArgumentError(f"registry '{self.table.name}': a feature has an empty uid")
        if pc.any(pc.match_substring(uids, "\0")).as_py():
            # Layout uids are digests of uids with a NUL after each: two layouts could become one.
            raise InvalidArgumentError(f"registry '{self.table.name}': a feature has a uid with a NUL character")
        rows = rows.filter(pa.array(_first_occurrences(uids)))
        n_added = 0

        def missing(present: pa.Table) -> pa.Table:
            nonlocal n_added
            known = present["uid"].combine_chunks()
            fresh = rows.filter(pc.invert(pc.is_in(rows["uid"], value_set=known)))
            self._check_given_indices(fresh, present)
            n_added = fresh.num_rows
            return fresh

        # Nothing may come between looking which uids are known and adding the others: two processes that register
        # the same features would add them twice.
        self.table.append_computed(missing)
        return n_added

    def _rows_of(self, features: Any) -> pa.Table:
        schema, where = self.table.schema, f"registry '{self.table.name}'"
        if hasattr(features, "collect"):  # a lazy polars frame
            features = features.collect()
        if hasattr(features, "to_arrow"):  # a polars frame, recognised without importing polars
            columns = {name: features[name].to_arrow() for name in features.columns}
            if "uid" not in columns:
                raise InvalidArgumentError(f"{where}: the frame has no 'uid' column, found {list(columns)}")
            return arrow_schema.columns_to_arrow(columns, schema, where)
        if hasattr(features, "columns"):  # a pandas frame would be taken for a list of the names of its columns
            raise InvalidArgumentError(
                f"{where}: features are FeatureBaseSchema objects or a polars frame, found a "
                f"{type(features).__module__.split('.')[0]}.{type(features).__name__}; features_from_var of a schema "
                "class or polars.from_pandas convert it"
            )
        features = list(features)
        for feature in features:
            if not isinstance(feature, FeatureBaseSchema):
                raise InvalidArgumentError(
                    f"{where}: features are FeatureBaseSchema objects or a polars frame, found {type(feature).__name__}"
                )
        return arrow_schema.rows_to_arrow(features, schema, where)

    def _check_given_indices(self, rows: pa.Table, present: pa.Table) -> None:
        given = np.sort(rows["global_index"].drop_null().to_numpy())
        if not len(given):
            return
        first = _first_free(present)
        if not np.array_equal(given, np.arange(first, first + len(given))):
            raise InvalidArgumentError(
                f"registry '{self.table.name}': a given global_index must continue those there are, from {first} "
                f"without gaps and repeats, found {given[:5].tolist()}; leave it None and optimize() assigns it"
            )

    def reindex(self) -> int:
        """Give every feature without a global index the next free ones, in uid order, in one commit.

        Assigned indices never change, whoever else does this at the same time. Rows that repeat a uid are removed
        first, since all copies would get the index.

        Returns
        -------
        int
            How many were assigned.
        """
        self.remove_duplicates()
        return self.table.update_computed(["uid"], ["uid", "global_index"], _next_indices)

    def remove_duplicates(self) -> int:
        """Remove rows that repeat a uid, as two processes that registered it at once leave them; one commit.

        The first row with a global index stays, or the first of all; and every row with an index of its own, since
        layouts may have it. Returns how many rows were removed.
        """
        return self.table.delete_chosen(["uid", "global_index"], _repeated_rows)

    def __repr__(self) -> str:
        return f"Registry('{self.feature_space}', {self.n_features} features)"


def _first_occurrences(values: pa.Array) -> np.ndarray:
    """Mask of the first occurrence of each value."""
    codes = values.dictionary_encode().indices.to_numpy()
    mask = np.zeros(len(codes), dtype=bool)
    mask[np.unique(codes, return_index=True)[1]] = True
    return mask


def _first_free(rows: pa.Table) -> int:
    highest = pc.max(rows["global_index"]).as_py()
    return 0 if highest is None else highest + 1


def _next_indices(rows: pa.Table) -> pa.Table:
    """The features without a global index, in uid order, with the next free ones."""
    waiting = rows.filter(pc.is_null(rows["global_index"]))["uid"].unique()
    # A copy of an indexed row, added since duplicates were removed: an update by uid would change both.
    indexed = rows.filter(pc.is_valid(rows["global_index"]))["uid"].combine_chunks()
    waiting = waiting.filter(pc.invert(pc.is_in(waiting, value_set=indexed))).sort()
    first = _first_free(rows)
    indices = np.arange(first, first + len(waiting), dtype=np.int64)
    return pa.table({"uid": waiting, "global_index": pa.array(indices)})


def _repeated_rows(rows: pa.Table) -> np.ndarray:
    """Positions of the rows that only repeat a uid: those with the index of the row that stays, or with none."""
    uids = rows["uid"].combine_chunks().dictionary_encode().indices.to_numpy()
    indexed = pc.is_valid(rows["global_index"]).to_numpy(zero_copy_only=False)
    indices = pc.fill_null(rows["global_index"], -1).to_numpy()
    by_preference = np.argsort(~indexed, kind="stable")
    _, place = np.unique(uids[by_preference], return_index=True)
    kept = by_preference[place]  # by code of the uid: codes are 0, 1, 2...
    stays = np.zeros(len(uids), dtype=bool)
    stays[kept] = True
    return np.flatnonzero(~stays & (~indexed | (indices == indices[kept[uids]])))


def _is_ascending(values: np.ndarray) -> bool:
    return bool(np.all(values[1:] > values[:-1]))


def as_registry(source: Any) -> Registry:
    """A Registry of what a user may hold: ours, or a table of lancedb or ours."""
    if isinstance(source, Registry):
        return source
    table = as_table(source)
    return Registry(table.name.removesuffix(registry_table_name("")), table)


def reindex_registry(table: Any) -> int:
    """Assign global indices to the features of a registry that have none. See :meth:`Registry.reindex`."""
    return as_registry(table).reindex()


def resolve_feature_uids_to_global_indices(registry_table: Any, feature_uids: Sequence[str]) -> np.ndarray:
    """Global indices of features, ascending, duplicates kept. Errors as :meth:`Registry.resolve`."""
    if not len(feature_uids):
        return np.empty(0, dtype=np.int32)
    return np.sort(as_registry(registry_table).resolve(feature_uids))
