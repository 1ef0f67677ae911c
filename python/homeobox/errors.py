"""Errors that homeobox raises.

Every error derives from `HomeoboxError` and from the built-in exception that a caller
would expect for it, so ``except IndexError`` works as well as ``except OutOfRangeError``.
The C++ core raises the same classes. This module imports nothing.
"""

__all__ = [
    "CancelledError",
    "ConflictError",
    "CorruptDataError",
    "HomeoboxError",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OutOfRangeError",
    "StoreError",
    "UnsupportedError",
]


class HomeoboxError(Exception):
    """Base of all errors of this package."""


class InvalidArgumentError(HomeoboxError, ValueError):
    """The caller passed something that cannot be right."""


class OutOfRangeError(HomeoboxError, IndexError):
    """An index or range leaves the array."""


class NotFoundError(HomeoboxError, LookupError):
    """An array, group, snapshot or table that was named does not exist."""


class CorruptDataError(HomeoboxError, ValueError):
    """Stored bytes break FORMAT.md or a codec's own format."""


class UnsupportedError(HomeoboxError, NotImplementedError):
    """The data or the request is valid, but this package does not handle it."""


class StoreError(HomeoboxError, OSError):
    """Network, disk or access rights failed, after the store's own retries.

    Parameters
    ----------
    message : str
        What failed, naming the store and the key.
    retryable : bool, default False
        Whether the same call may succeed later.

    Attributes
    ----------
    retryable : bool
    """

    def __init__(self, message: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class ConflictError(HomeoboxError, RuntimeError):
    """A commit lost a race against another writer."""


class CancelledError(HomeoboxError):
    """The call was stopped before it finished. Ctrl-C raises ``KeyboardInterrupt`` instead."""


class InternalError(HomeoboxError, RuntimeError):
    """A defect of this package; please report it with the message."""
