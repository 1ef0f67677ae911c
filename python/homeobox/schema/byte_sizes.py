"""Sizes in bytes as users write them."""

import operator
import re

from homeobox.errors import InvalidArgumentError

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_bytes(size: int | str, name: str = "memory") -> int:
    """A number of bytes, or text such as "256MiB" or "1.5 GB"; `name` is the argument, for messages.

    Raises
    ------
    InvalidArgumentError
        Not a size, or less than one byte.
    """
    if isinstance(size, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", size.lower())
        if match is None or match[2] not in _UNITS:
            raise InvalidArgumentError(f"{name}: a size such as '256MiB' or '1GB' expected, found {size!r}")
        size = int(float(match[1]) * _UNITS[match[2]])
    try:
        n_bytes = operator.index(size)
    except TypeError:
        raise InvalidArgumentError(f"{name}: a size such as '256MiB' or a number expected, found {size!r}") from None
    if n_bytes < 1:
        raise InvalidArgumentError(f"{name}: 1 or more expected, found {n_bytes}")
    return n_bytes
