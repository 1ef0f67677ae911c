"""What a query asks for: plain data that the fluent builder fills and the rest of this folder reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from homeobox.errors import InvalidArgumentError

FeatureJoin = Literal["union", "intersection"]


@dataclass
class QueryRequest:
    """One query.

    Attributes
    ----------
    where
        SQL condition on the cell table.
    columns
        Obs columns of the answer; None: all of them.
    limit, offset
        Rows to give and to skip, in scan order and after the condition.
    feature_spaces
        Modalities that may be read; None: all that the cell table has.
    layers
        Layers to read per feature space, where they are not the required ones.
    features
        Feature uids wanted per feature space.
    feature_join
        Which features of several layouts make the columns, where no `features` are given.
    """

    where: str | None = None
    columns: list[str] | None = None
    limit: int | None = None
    offset: int | None = None
    feature_spaces: tuple[str, ...] | None = None
    layers: dict[str, list[str]] = field(default_factory=dict)
    features: dict[str, list[str]] = field(default_factory=dict)
    feature_join: FeatureJoin = "union"


def checked_count(name: str, value: int) -> int:
    """A row count of a caller.

    Raises
    ------
    InvalidArgumentError
        Not a whole number, or negative.
    """
    try:
        count = value.__index__()
    except AttributeError:
        raise InvalidArgumentError(f"{name} must be a whole number, found {value!r}") from None
    if count < 0:
        raise InvalidArgumentError(f"{name} must not be negative, found {count}")
    return count


def checked_join(how: str) -> FeatureJoin:
    if how not in get_args(FeatureJoin):
        raise InvalidArgumentError(f"feature_join must be one of {list(get_args(FeatureJoin))}, found {how!r}")
    return how  # type: ignore[return-value]


def checked_texts(name: str, values: list[str]) -> list[str]:
    """A list of names; a single string is refused, since it would be taken apart into letters.

    Raises
    ------
    InvalidArgumentError
        Not a list (or tuple, or array) of strings.
    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise InvalidArgumentError(f"{name} must be a list, found {values!r}")
    texts = list(values)
    other = next((value for value in texts if not isinstance(value, str)), None)
    if other is not None:
        raise InvalidArgumentError(f"{name} must be a list of strings, found {other!r} in it")
    return texts
