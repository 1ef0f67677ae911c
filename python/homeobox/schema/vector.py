"""Vector columns: a fixed number of numbers per row, such as an embedding."""

from __future__ import annotations

from typing import Any

from pydantic_core import CoreSchema, core_schema

from homeobox.errors import InvalidArgumentError

_VALUE_TYPES = (
    "float32",
    "float64",
    "float16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
)


def Vector(dim: int, value_type: str = "float32", nullable: bool = True) -> Any:  # noqa: N802 (a type, as lancedb names it)
    """The type of a vector column, like lancedb's, without its two seconds of import.

    Parameters
    ----------
    dim : int
        Numbers per row, 1 or more.
    value_type : str
        NumPy name of their type.
    nullable : bool
        Whether a row may have no vector.

    Raises
    ------
    InvalidArgumentError
        No such type, or a width below 1.
    """
    if value_type not in _VALUE_TYPES:
        raise InvalidArgumentError(f"Vector: value_type must be one of {_VALUE_TYPES}, found {value_type!r}")
    if dim < 1:
        raise InvalidArgumentError(f"Vector: 1 or more numbers expected, found {dim}")
    number = core_schema.float_schema() if value_type.startswith("f") else core_schema.int_schema()

    class FixedVector(list):
        """Numbers of one row."""

        @staticmethod
        def nullable() -> bool:
            return nullable

        @staticmethod
        def dim() -> int:
            return dim

        @staticmethod
        def value_arrow_type() -> Any:
            import pyarrow as pa

            return pa.from_numpy_dtype(value_type)

        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> CoreSchema:
            return core_schema.list_schema(number, min_length=dim, max_length=dim)

    FixedVector.__name__ = FixedVector.__qualname__ = f"Vector({dim}, {value_type!r})"
    return FixedVector
