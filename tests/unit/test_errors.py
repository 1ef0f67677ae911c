"""Errors: their bases, and that the core raises these classes."""

import pickle

import pytest

from homeobox import _core, errors

BASES = {
    "InvalidArgumentError": ValueError,
    "OutOfRangeError": IndexError,
    "NotFoundError": LookupError,
    "CorruptDataError": ValueError,
    "UnsupportedError": NotImplementedError,
    "StoreError": OSError,
    "ConflictError": RuntimeError,
    "CancelledError": Exception,
    "InternalError": RuntimeError,
}


@pytest.mark.parametrize("name", BASES)
def test_bases(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, errors.HomeoboxError)
    assert issubclass(error, BASES[name])
    assert getattr(_core, name) is error
    assert name in errors.__all__


def test_the_core_names_the_base_class() -> None:
    assert _core.HoxError is errors.HomeoboxError


@pytest.mark.parametrize("name", BASES)
def test_errors_pickle(name: str) -> None:
    error = pickle.loads(pickle.dumps(getattr(errors, name)("shard c/0")))
    assert type(error) is getattr(errors, name)
    assert str(error) == "shard c/0"


@pytest.mark.parametrize("retryable", [True, False])
def test_store_errors_say_whether_to_retry(retryable: bool) -> None:
    error = pickle.loads(pickle.dumps(errors.StoreError("connection lost", retryable)))
    assert error.retryable is retryable
    assert str(error) == "connection lost"


def test_the_core_raises_our_classes() -> None:
    with pytest.raises(errors.InvalidArgumentError, match="key"):
        _core.MemoryStore().read("")
    store = _core.FailingStore(_core.MemoryStore(), fail_on=1, retryable=True)
    with pytest.raises(OSError, match="request 1") as caught:
        store.read("key")
    assert isinstance(caught.value, errors.StoreError)
    assert caught.value.retryable
