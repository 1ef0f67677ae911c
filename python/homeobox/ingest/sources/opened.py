"""A source that is open: obs, var and its matrices by name, whatever kind of object or file it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources.matrix import CsrSource, DenseSource
from homeobox.ingest.sources.rows_as_dense import RowsAsDense
from homeobox.ingest.sources.stacked_layers import stack_layers

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SourceDataset:
    """What an ingest takes from a source.

    Attributes
    ----------
    name
        What the user calls the source, for messages.
    matrix
        One layer for each that is to be stored.
    obs, var
        One row per cell, one per feature of `matrix`.
    obsm
        Further matrices with a row per cell, or what gives them when NumPy asks for an array.
    """

    name: str
    matrix: CsrSource | DenseSource
    obs: pd.DataFrame
    var: pd.DataFrame
    obsm: Mapping[str, Any] = field(default_factory=dict)


class OpenedSource(ABC):
    """Places are the names of matrices: "X", "raw/X", "layers/<name>"."""

    name: str

    @abstractmethod
    def places(self) -> list[str]:
        """Every matrix that there is."""

    @abstractmethod
    def matrix(self, place: str) -> CsrSource | DenseSource:
        """The matrix of a place that exists."""

    @abstractmethod
    def obs(self) -> pd.DataFrame: ...

    def unnamed_obs(self) -> pd.DataFrame:
        """`obs` for those who need no names of cells, which some files give one by one; rows may be numbered."""
        return self.obs()

    @abstractmethod
    def var(self, place: str) -> pd.DataFrame:
        """The features of a matrix, which those of raw have of their own."""

    def obsm(self) -> Mapping[str, Any]:
        """Further matrices with a row per cell; none in most kinds of files."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Give files back."""

    def __enter__(self) -> OpenedSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_dataset(
    source: OpenedSource, places: Sequence[str], whole_rows: bool, cell_names: bool = True
) -> SourceDataset:
    """The matrices of `places` as the layers of one, with obs and var.

    Parameters
    ----------
    whole_rows
        What is sparse is given as dense, so that layers need not have their entries at the same places.
    cell_names
        Whether the names of cells, the index of obs, are needed.

    Raises
    ------
    InvalidArgumentError
        There is no such place, or the matrices do not fit together: in shape, in entries, or in the names of features
        and their order.
    """
    named = ["raw/X" if place == "raw" else place for place in places]
    found = source.places()
    for place in named:
        if place not in found:
            raise InvalidArgumentError(f"{source.name} has no matrix '{place}', it has {found}")
    obs = source.obs() if cell_names else source.unnamed_obs()
    var = source.var(named[0])  # cheaper to find wrong than a matrix
    for place in named[1:]:
        _check_same_features(source, named[0], var.index, place)
    matrices = [source.matrix(place) for place in named]
    if whole_rows:
        matrices = [RowsAsDense(matrix) if isinstance(matrix, CsrSource) else matrix for matrix in matrices]
    matrix = stack_layers(matrices)
    for axis, frame, size in (("obs", obs, matrix.shape[0]), ("var", var, matrix.shape[1])):
        if len(frame) != size:
            raise InvalidArgumentError(
                f"{matrix.name} is {matrix.shape[0]} x {matrix.shape[1]}, but {axis} of {source.name} has "
                f"{len(frame)} rows"
            )
    return SourceDataset(source.name, matrix, obs, var, source.obsm())


def _check_same_features(source: OpenedSource, first: str, names: pd.Index, place: str) -> None:
    """Layers are joined by position, so every position must be one feature."""
    others = source.var(place).index
    if names.equals(others):
        return
    same = f"layers of one group have the same features in the same order, but in {source.name} '{first}'"
    if len(names) != len(others):
        raise InvalidArgumentError(f"{same} has {len(names)} features and '{place}' has {len(others)}")
    differing = (at for at, (name, other) in enumerate(zip(names, others, strict=True)) if name != other)
    at = next(differing, None)
    if at is not None:
        raise InvalidArgumentError(f"{same} has {names[at]!r} as feature {at} and '{place}' has {others[at]!r}")
