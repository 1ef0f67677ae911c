"""What a column remembers about where its values come from, beyond their type.

Recorded in the metadata of the column's Arrow field (FORMAT.md, "Column metadata"), so that a query gives back what
an ingest took: categories in their order, matrices of obsm, names that a table cannot have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo

from homeobox.errors import InvalidArgumentError

_EXTRA = "homeobox"
_CATEGORIES, _OBSM, _SOURCE, _OBS_NAMES, _DTYPE = (
    f"homeobox.{key}" for key in ("categories", "obsm", "source", "obs_names", "dtype")
)

#: What a column of 64 bits may come back as.
DTYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64", "float32")

Category = str | int | float | bool


@dataclass(frozen=True)
class ColumnInfo:
    """The metadata of one column.

    Attributes
    ----------
    is_categorical : bool
        Whether its values come back as categories.
    categories : list or None
        The categories that are known, in their order; None: those that occur, sorted.
    ordered : bool
        Whether their order means something; then no other value may be stored.
    obsm : str or None
        Name in obsm (or varm) of the matrix whose rows these vectors are.
    source : str or None
        Name of the column in obs (or var), where it is not this one.
    obs_names : bool
        Whether the values are the names of the rows.
    dtype : str or None
        The NumPy type of its numbers in the source, where the table's is another (`DTYPES`).
    """

    is_categorical: bool = False
    categories: list[Category] | None = None
    ordered: bool = False
    obsm: str | None = None
    source: str | None = None
    obs_names: bool = False
    dtype: str | None = None

    @classmethod
    def of_field(cls, info: FieldInfo) -> ColumnInfo:
        """Of a field of a schema class."""
        extra = info.json_schema_extra
        known = extra.get(_EXTRA) if isinstance(extra, dict) else None
        return cls(**known) if isinstance(known, dict) else cls()  # type: ignore[arg-type]

    @classmethod
    def of_metadata(cls, metadata: Mapping[bytes, bytes] | None) -> ColumnInfo:
        """Of the metadata of an Arrow field; keys of others are not looked at."""
        known = {
            key.decode(): value.decode() for key, value in (metadata or {}).items() if key.startswith(b"homeobox.")
        }
        if not known:
            return _NOTHING
        categories = json.loads(known[_CATEGORIES]) if _CATEGORIES in known else None
        return cls(
            is_categorical=categories is not None,
            categories=categories["values"] if categories else None,
            ordered=bool(categories["ordered"]) if categories else False,
            obsm=known.get(_OBSM),
            source=known.get(_SOURCE),
            obs_names=_OBS_NAMES in known,
            dtype=known.get(_DTYPE),
        )

    def to_metadata(self) -> dict[str, str] | None:
        """As the metadata of an Arrow field; None where there is nothing to say."""
        metadata = {}
        if self.is_categorical:
            metadata[_CATEGORIES] = json.dumps({"values": self.categories, "ordered": self.ordered}, ensure_ascii=False)
        if self.obsm is not None:
            metadata[_OBSM] = self.obsm
        if self.source is not None:
            metadata[_SOURCE] = self.source
        if self.obs_names:
            metadata[_OBS_NAMES] = "true"
        if self.dtype is not None:
            metadata[_DTYPE] = self.dtype
        return metadata or None

    def to_extra(self) -> dict[str, Any]:
        """As the `json_schema_extra` of a field of a schema class."""
        said = {name: value for name, value in vars(self).items() if value != getattr(_NOTHING, name)}
        return {_EXTRA: said} if said else {}


_NOTHING = ColumnInfo()


def column(
    default: Any = None,
    *,
    categories: Sequence[Category] | bool | None = None,
    ordered: bool = False,
    obsm: str | None = None,
    source: str | None = None,
    obs_names: bool = False,
    dtype: str | None = None,
) -> Any:
    """A field of a schema class that says where its values come from and what they come back as.

    Parameters
    ----------
    default
        Value of cells that have none; ``...`` makes the field required.
    categories : sequence or bool, optional
        Values come back as pandas categories: these in this order, then others that occur, sorted. True: those that
        occur.
    ordered : bool
        The order of `categories` means something; an ingest refuses other values.
    obsm : str, optional
        For a `Vector`: which matrix of obsm the vectors are taken from, and come back to.
    source : str, optional
        For a column that obs calls otherwise.
    obs_names : bool
        The values are `obs_names`, unless obs has a column of this name.
    dtype : str, optional
        For numbers: the NumPy type as which they come back, such as "int32" or "float32", where it holds all of them
        exactly. The table has 64 bits.

    Raises
    ------
    InvalidArgumentError
        Repeated categories, an order without categories, an unknown dtype, or an obsm named "layout", which results use
        themselves.

    Examples
    --------
    >>> class CellSchema(HoxBaseSchema):  # doctest: +SKIP
    ...     gene_expression: SparseZarrPointer | None = None
    ...     stage: str | None = column(categories=["early", "late"], ordered=True)
    """
    values = None if categories is None or isinstance(categories, bool) else list(categories)
    if values is not None and len(set(values)) != len(values):
        raise InvalidArgumentError(f"categories must be distinct, found {values}")
    if ordered and values is None:
        raise InvalidArgumentError("ordered=True needs the categories in their order")
    if obsm == "layout":
        raise InvalidArgumentError("obsm 'layout' says which layout each cell has in results; choose another name")
    if dtype is not None and dtype not in DTYPES:
        raise InvalidArgumentError(f"dtype {dtype!r} is unknown, expected one of {DTYPES}")
    info = ColumnInfo(values is not None or categories is True, values, ordered, obsm, source, obs_names, dtype)
    return Field(default, json_schema_extra=info.to_extra() or None)
