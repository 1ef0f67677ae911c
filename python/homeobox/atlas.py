"""The facade: opens an atlas and delegates. What is done lives in catalog/, query/ and ingest/."""

import dataclasses
import datetime
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from homeobox import catalog as _catalog
from homeobox.atlas_query import AtlasQuery
from homeobox.catalog import VERSIONS_TABLE, AtlasLocation, AtlasTables, Catalog, WhichSnapshot, summary
from homeobox.errors import InvalidArgumentError
from homeobox.query import ReadSession
from homeobox.schema import DatasetRecord, FeatureBaseSchema, HoxBaseSchema, PointerField

if TYPE_CHECKING:
    import anndata
    import polars as pl

    from homeobox.ingest.encoding import Codec
    from homeobox.upkeep import Leftover, PruneReport
    from homeobox.upkeep.prune import Confirm
    from homeobox.upkeep.prune_plan import Keep

_Uri = str | os.PathLike[str]
_StoreKwargs = dict[str, Any] | None


class NotCheckedOutError(InvalidArgumentError, RuntimeError):
    """Queries need an atlas that is checked out at a snapshot."""


def create_or_open_atlas(
    atlas_path: _Uri,
    cell_table_name: str,
    cell_schema: type[HoxBaseSchema],
    dataset_table_name: str,
    dataset_schema: type[DatasetRecord],
    *,
    registry_schemas: dict[str, type[FeatureBaseSchema]] | None,
    version_table_name: str = VERSIONS_TABLE,
    store_kwargs: _StoreKwargs = None,
) -> "RaggedAtlas":
    """Open the atlas at a place, or create it there if the place is empty.

    Stage: stable.

    Parameters
    ----------
    atlas_path : str or Path
        A directory (made if it does not exist) or a URL (``s3://``, ``gs://``, ``az://``). Tables go into
        ``lance_db``, arrays into ``zarr_store`` below it.
    cell_table_name, dataset_table_name : str
        Names of the two tables.
    cell_schema : type of HoxBaseSchema
        One cell: pointers and obs columns.
    dataset_schema : type of DatasetRecord
        One dataset.
    registry_schemas : dict
        Feature space -> class of a feature; None for an atlas without features.
    version_table_name : str
        Name of the table of snapshots.
    store_kwargs : dict, optional
        Credentials and configuration, as for ``obstore.store.from_url``.

    Returns
    -------
    RaggedAtlas
        A writable handle.

    Raises
    ------
    TypeError
        A class cannot be a table, or does not fit the tables that exist; names the column.
    AtlasExistsError
        The place holds something else. Nothing is ever overwritten.
    StoreError
        The place cannot be reached, read or written.

    Notes
    -----
    An existing atlas opens with all registries that it has, named in `registry_schemas` or not.
    """
    location = AtlasLocation.parse(atlas_path, store_kwargs)
    tables = AtlasTables(
        cell_table_name, cell_schema, dataset_table_name, dataset_schema, registry_schemas or {}, version_table_name
    )
    return RaggedAtlas(_catalog.create_or_open(location, tables))


class RaggedAtlas:
    """An atlas: datasets with features of their own, joined when they are queried.

    Made by :func:`create_or_open_atlas`, :meth:`open` and :meth:`restore` (writable, shows the latest state), or by
    :meth:`checkout` and :meth:`checkout_latest` (read-only, frozen at a snapshot, can be queried).

    Stage: stable.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._opened = catalog
        self._session = ReadSession(catalog)

    # --- ways to an atlas ---

    @classmethod
    def create(
        cls,
        db_uri: _Uri,
        cell_table_name: str,
        cell_schema: type[HoxBaseSchema],
        dataset_table_name: str,
        dataset_schema: type[DatasetRecord],
        *,
        store: Any = None,
        registry_schemas: dict[str, type[FeatureBaseSchema]] | None,
        version_table_name: str = VERSIONS_TABLE,
        store_kwargs: _StoreKwargs = None,
    ) -> "RaggedAtlas":
        """A new, empty atlas at an empty place. `store` (obstore store or path) says where the arrays go.

        Raises
        ------
        AtlasExistsError
            Tables or arrays are there already; nothing is overwritten.
        TypeError
            A class cannot be a table.
        """
        tables = AtlasTables(
            cell_table_name, cell_schema, dataset_table_name, dataset_schema, registry_schemas or {}, version_table_name
        )
        return cls(_catalog.create(AtlasLocation.parse(db_uri, store_kwargs), tables, store))

    @classmethod
    def open(
        cls,
        db_uri: _Uri,
        cell_table_name: str,
        cell_schema: type[HoxBaseSchema] | None = None,
        dataset_table_name: str = "datasets",
        *,
        store: Any = None,
        registry_tables: dict[str, str] | None = None,
        version_table_name: str = VERSIONS_TABLE,
        store_kwargs: _StoreKwargs = None,
    ) -> "RaggedAtlas":
        """A writable handle on an existing atlas. Without `cell_schema` it cannot ingest.

        Raises
        ------
        AtlasNotFoundError
            No atlas there; also a FileNotFoundError.
        TableNotFoundError
            A named table was not found; also a ValueError.
        TypeError
            `cell_schema` does not fit the cell table; names the column.
        """
        return cls(
            _catalog.open_writable(
                AtlasLocation.parse(db_uri, store_kwargs),
                cell_table_name,
                cell_schema,
                dataset_table_name,
                registry_tables=registry_tables,
                version_table=version_table_name,
                store=store,
            )
        )

    @classmethod
    def checkout(
        cls,
        db_uri: _Uri,
        version: WhichSnapshot,
        cell_schema: type[HoxBaseSchema] | None = None,
        store: Any = None,
        *,
        store_kwargs: _StoreKwargs = None,
        version_table_name: str = VERSIONS_TABLE,
    ) -> "RaggedAtlas":
        """A read-only atlas frozen at a snapshot. A moved or copied atlas finds its arrays beside its tables.

        Parameters
        ----------
        version : int, str, datetime or date
            The number of a snapshot (``3`` or ``"3"``), its name, or a time, as an object or as ISO 8601 text: the
            newest snapshot taken at that moment or before. A time without a zone is in UTC, as in
            :meth:`list_versions`; a date without a time is the end of that day.

        Raises
        ------
        AtlasNotFoundError
            No atlas there; also a FileNotFoundError.
        VersionNotFoundError
            No such snapshot; also a ValueError.
        TypeError
            `cell_schema` does not fit the cell table; names the column.
        """
        location = AtlasLocation.parse(db_uri, store_kwargs)
        return cls(_catalog.checkout(location, version, cell_schema, version_table=version_table_name, store=store))

    @classmethod
    def checkout_latest(
        cls,
        db_uri: _Uri,
        cell_schema: type[HoxBaseSchema] | None = None,
        store: Any = None,
        *,
        store_kwargs: _StoreKwargs = None,
        version_table_name: str = VERSIONS_TABLE,
    ) -> "RaggedAtlas":
        """A read-only atlas frozen at its highest snapshot. Errors as :meth:`checkout`."""
        location = AtlasLocation.parse(db_uri, store_kwargs)
        return cls(_catalog.checkout_latest(location, cell_schema, version_table=version_table_name, store=store))

    @classmethod
    def restore(
        cls,
        db_uri: _Uri,
        version: WhichSnapshot,
        cell_schema: type[HoxBaseSchema] | None = None,
        store: Any = None,
        *,
        store_kwargs: _StoreKwargs = None,
        version_table_name: str = VERSIONS_TABLE,
    ) -> "RaggedAtlas":
        """Make a snapshot the latest state again; a writable handle. Snapshots and arrays stay as they are.

        `version` as for :meth:`checkout`. What was added since the last snapshot, and is in none, is dropped: its cells
        are gone, and its arrays give way to the next ingest of the name or to :meth:`prune`. Take a snapshot first to
        keep it.

        Raises
        ------
        VersionNotFoundError
            No such snapshot.
        ConflictError
            Somebody is writing to the atlas, prunes or restores it. Nothing was changed.

        Warns
        -----
        UserWarning
            Datasets that no snapshot has are dropped; names them.

        Notes
        -----
        Stage: works. Lists the array store once. An ingest or a deletion that begins while this runs is refused.
        """
        from homeobox import upkeep

        location = AtlasLocation.parse(db_uri, store_kwargs)
        return cls(upkeep.restore(location, version, cell_schema, version_table=version_table_name, store=store))

    @classmethod
    def list_versions(
        cls, db_uri: _Uri, *, store_kwargs: _StoreKwargs = None, version_table_name: str = VERSIONS_TABLE
    ) -> "pl.DataFrame":
        """All snapshots of an atlas by ascending number: ``version``, ``name`` if any has one (else null), what
        they recorded, ``total_cells`` and ``created_at``. AtlasNotFoundError if there is no atlas.
        """
        return _catalog.open_versions(AtlasLocation.parse(db_uri, store_kwargs), version_table_name).frame()

    # --- what it is ---

    @property
    def catalog(self) -> Catalog:
        """The tables and the array store underneath."""
        return self._opened

    @property
    def version(self) -> int | None:
        """Number of the snapshot it is frozen at; None for a writable handle."""
        return self._opened.version

    @property
    def cell_schema(self) -> type[HoxBaseSchema] | None:
        """The class of a cell that it was opened with."""
        return self._opened.cell_schema

    @property
    def pointer_fields(self) -> dict[str, PointerField]:
        """Its pointer columns by name."""
        return self._opened.pointer_fields

    @property
    def db(self) -> Any:
        """The database as a lancedb connection (loads lancedb)."""
        return self._opened.lancedb_connection()

    @property
    def cell_table(self) -> Any:
        """The cell table as a lancedb table, at the version of this handle (loads lancedb)."""
        return self._opened.lancedb_cell_table()

    @property
    def schemas(self) -> str:
        """Tables with row counts and columns, as text; also printed."""
        text = summary.schemas_text(self._opened)
        print(text)
        return text

    # --- reading ---

    def query(self) -> AtlasQuery:
        """A new query. NotCheckedOutError (a RuntimeError) unless the atlas is checked out."""
        if not self._opened.read_only:
            raise NotCheckedOutError(
                "query() is only available on a versioned atlas: take a snapshot(), then open it with "
                "RaggedAtlas.checkout_latest(...)"
            )
        return AtlasQuery(self._session)

    def list_datasets(self) -> "pl.DataFrame":
        """The datasets: rows of the dataset table whose cells are there."""
        import polars as pl

        return pl.DataFrame(self._opened.committed_datasets())

    def feature_registry(self, feature_space: str) -> "pl.DataFrame":
        """The registry of a space by ascending global index. UnknownRegistryError (a KeyError) without one."""
        return self._opened.registry(feature_space).frame()

    def join_feature_metadata(
        self, df: "pl.DataFrame", feature_space: str, columns: str | list[str], on: str = "feature"
    ) -> "pl.DataFrame":
        """`df` with columns of the registry, joined by the feature uids in column `on`."""
        return self._opened.registry(feature_space).join_to(df, columns, on)

    def find_datasets_with_features(self, feature_uids: str | list[str], feature_space: str) -> "pl.DataFrame":
        """One row per (dataset, feature) that was measured: ``zarr_group``, ``global_feature_uid``, dataset columns."""
        opened = self._opened
        return _catalog.datasets_with_features(opened.committed_datasets(), feature_uids, feature_space, opened.layouts)

    def validate(
        self,
        *,
        check_zarr: bool = True,
        check_var_dfs: bool = True,
        check_registries: bool = True,
        deep: bool = False,
    ) -> list[str]:
        """Everything that is wrong with the atlas, one message per fault; never raises for a fault.

        Parameters
        ----------
        check_zarr, check_var_dfs, check_registries : bool
            Groups against their feature spaces, layouts against registries, global indices: metadata only.
        deep : bool
            Also pointers against arrays, numbers of cells, every manifest and checksum, and the files of the tables
            against the digests that snapshots recorded. Takes as long as reading the atlas once.
        """
        return _catalog.validate(
            self._opened,
            check_zarr=check_zarr,
            check_var_dfs=check_var_dfs,
            check_registries=check_registries,
            deep=deep,
        )

    # --- out again ---

    def export(self, path: _Uri, codec: "Codec" = "bitpacking", *, store_kwargs: _StoreKwargs = None) -> None:
        """Write the state of this checked-out atlas as a new atlas at an empty place, with one snapshot of it.

        Parameters
        ----------
        path : str or Path
            Directory or URL of the new atlas.
        codec : {"bitpacking", "bp128"}
            "bitpacking" gives an atlas that homeobox 0.2.2 reads in full; "bp128" a compact copy.
        store_kwargs : dict, optional
            Credentials for `path`, as for :func:`create_or_open_atlas`.

        Raises
        ------
        NotCheckedOutError
            The handle is writable; check out a snapshot first.
        AtlasExistsError
            The place is not empty, or another export writes there. Nothing is ever overwritten; only what a dead export
            of the same snapshot left is cleared.
        ValidationFailedError
            The atlas has faults; nothing was written.
        ConflictError
            The snapshot was forgotten while it was read, as by :meth:`prune`; nothing is left.

        Notes
        -----
        Every group is read and encoded anew in blocks, all its arrays and feature-major copies included; 1.2e8 counts
        took 440 MB. The cell table is written last, in one commit: a copy that was interrupted does not open, and the
        same call, once more, begins anew. Truth values and half-precision floats, which 0.2.2 cannot read, become uint8
        and float32 under "bitpacking". Indexes of the tables are not copied. Stage: stable.
        """
        if not self._opened.read_only:
            raise NotCheckedOutError(
                "export() writes a recorded state: take a snapshot(), then open it with "
                "RaggedAtlas.checkout_latest(...)"
            )
        from homeobox.export import export_atlas  # loads the ingest, which a query does without

        export_atlas(self._opened, path, codec, store_kwargs)

    def export_h5ad(
        self, dataset: str, path: str | os.PathLike[str] | None = None, *, compression: str | None = None
    ) -> "anndata.AnnData | None":
        """One dataset as it was: its own cells and features, in their order, in the stored dtype.

        Parameters
        ----------
        dataset : str
            Its ``zarr_group`` or its uid.
        path : str or Path, optional
            Writes an h5ad file there in pieces; without one the dataset is returned as an AnnData.
        compression : {"gzip", "lzf"}, optional
            Of the matrices in the file.

        Returns
        -------
        AnnData or None
            `X` is the required layer, the others are in `layers`. obs has the columns in which the dataset has values,
            called as in its source; its index is the column that keeps the obs_names, else the cells' uids. var has
            the registry's columns and ``global_feature_uid``, its index is the column that keeps the var_names, else
            the uids; ``uns["homeobox"]`` the dataset's row.

        Raises
        ------
        NotCheckedOutError
            The handle is writable; check out a snapshot first.
        NotFoundError
            No such dataset.
        InvalidArgumentError
            The file exists.
        StoreError
            The file cannot be written, or the atlas not be read; no file is left.
        UnsupportedError
            Fragments and images have no AnnData form.
        ConflictError
            The snapshot was forgotten while it was read, as by :meth:`prune`; no file is left.

        Notes
        -----
        With `path` the matrix goes through memory in blocks of a million entries (1.2e8 counts took 390 MB); obs and
        var are whole. The file appears when it is whole. Days, moments, lists and structs are text, as in
        :meth:`AtlasQuery.to_anndata`. Stage: stable.
        """
        if not self._opened.read_only:
            raise NotCheckedOutError(
                "export_h5ad() reads a recorded state: take a snapshot(), then open it with "
                "RaggedAtlas.checkout_latest(...)"
            )
        from homeobox.export import export_dataset

        return export_dataset(self._opened, dataset, path, compression)

    # --- writing ---

    def register_features(
        self, feature_space: str, features: "Sequence[FeatureBaseSchema] | pl.DataFrame | pl.LazyFrame"
    ) -> int:
        """Add features that are not registered yet; returns how many. Known uids stay as they are.

        Raises
        ------
        UnknownRegistryError
            No registry for that space; also a ValueError.
        InvalidArgumentError
            Unknown or missing column, wrong type, empty uid. Nothing is written then.
        """
        return self._opened.registry(feature_space).register(features)

    def add_or_reuse_layout(self, var_df: "pl.DataFrame", dataset_uid: str, feature_space: str) -> str:
        """Store the layout of a var table unless it is known, name it in the dataset's row, return its uid.

        The uid is that of :func:`build_feature_layout_df` unless another registry of the atlas has all of the features
        too: registries number features independently, so it then depends on the feature space.
        """
        return _catalog.add_or_reuse_layout(self._opened, var_df, dataset_uid, feature_space)

    def optimize(self) -> None:
        """Compact the tables and give new features their global index. Keeps every recorded version."""
        _catalog.optimize(self._opened)

    def snapshot(self, name: str | None = None) -> int:
        """Check the atlas and record the present state of every table; returns the number: 0, 1, ...

        Datasets that an ingest has not finished are no part of it. The files of the tables are recorded with their
        digests, for ``validate(deep=True)``.

        Parameters
        ----------
        name : str, optional
            What :meth:`checkout` and :meth:`restore` may call it; no other snapshot has it, and it must not read as a
            number or a time.

        Raises
        ------
        SnapshotNameTakenError
            Another snapshot has the name; also a ValueError.
        InvalidArgumentError
            The name is none.
        ValidationFailedError
            The atlas has faults; lists all. Also a ValueError.
        ConflictError
            Others took snapshots or pruned for ten minutes, or datasets were deleted during each of several tries.
        """
        from homeobox import upkeep

        return upkeep.snapshot(self._opened, name)

    def delete_dataset(self, dataset: str | list[str]) -> int:
        """Make a new state without the cells and the row of a dataset; returns the number of cells.

        Snapshots still show it, and its arrays stay until :meth:`prune` finds that nothing needs them.

        Parameters
        ----------
        dataset : str or list of str
            Zarr group or uid. Datasets that share cells are deleted together.

        Raises
        ------
        UnknownDatasetError
            No such dataset; also a ValueError.
        InvalidArgumentError
            Cells of it also point to a dataset that is not named.
        ConflictError
            Somebody is writing its group.

        Notes
        -----
        Stage: experimental. One commit removes the cells, another the row; between them the row is hidden.
        """
        from homeobox import upkeep

        return upkeep.delete_dataset(self._opened, dataset)

    def prune(
        self,
        keep: "Keep",
        *,
        confirm: "Confirm" = None,
        min_age: datetime.timedelta = datetime.timedelta(hours=1),
    ) -> "PruneReport":
        """Forget snapshots, and remove arrays and table versions that nothing needs any more, for good.

        Parameters
        ----------
        keep : int, list of int and str, or "all"
            How many of the newest snapshots to keep, or which (numbers or names). The newest always stays.
        confirm : bool or callable, optional
            True removes; a function gets the report of what would go and decides. By default the report is printed and
            the user is asked, where there is a terminal.
        min_age : timedelta
            Table versions that were the latest more recently than this stay, with the arrays that they need: an ingest
            or a snapshot may be at work on them. Zero only where nobody else uses the atlas.

        Returns
        -------
        PruneReport
            What went, or would go; ``removed`` says which.

        Raises
        ------
        InvalidArgumentError
            `keep` is no such thing, or nobody can be asked. Nothing was removed.
        VersionNotFoundError
            A snapshot to keep does not exist. Nothing was removed.
        ConflictError
            Another process prunes or restores the atlas. Nothing was removed.

        Notes
        -----
        Stage: experimental. The latest state and everything that a kept snapshot needs stay as they are, also what is
        committed while this runs. May be stopped and repeated. Each group is claimed while it is removed.
        """
        from homeobox import upkeep

        return upkeep.prune(self._opened, keep, confirm, min_age)

    def leftovers(self) -> "pl.DataFrame":
        """What writers have not finished: ``path``, ``kind``, ``bytes``, ``age_s``, ``alive``.

        The kinds are "ingest", "claim" (on what is whole), "feature-major copy", "layer", "dataset row", "temporary
        file" and "table file" (of a commit that never was, also of one that lost a race and was made anew); ``alive``
        says whether the writer may still be at work. Stage: experimental.
        """
        from homeobox import upkeep

        return _leftovers_frame(upkeep.find_leftovers(self._opened))

    def clean(self) -> "pl.DataFrame":
        """Remove the leftovers of dead writers; returns them as :meth:`leftovers` does.

        Nothing that is alive and nothing that cells point to, now or in a snapshot, is touched. Stage: experimental.
        """
        from homeobox import upkeep

        return _leftovers_frame(upkeep.clean(self._opened))

    def __repr__(self) -> str:
        return summary.text(self._opened)

    def _repr_html_(self) -> str:
        return summary.html(self._opened)


def _leftovers_frame(leftovers: "list[Leftover]") -> "pl.DataFrame":
    import polars as pl

    schema = {"path": pl.String, "kind": pl.String, "bytes": pl.Int64, "age_s": pl.Float64, "alive": pl.Boolean}
    return pl.DataFrame([dataclasses.asdict(leftover) for leftover in leftovers], schema=schema)
