"""The contract of a store, as in cpp/homeobox/io/testing/store_conformance.cc, on all stores that Python can make."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import obstore.store
import pytest

from homeobox import _core
from homeobox.errors import InvalidArgumentError, StoreError, UnsupportedError

FACTORIES: dict[str, Callable[[Path], _core.Store]] = {
    "memory": lambda path: _core.MemoryStore(),
    "file": lambda path: _core.FileStore(path / "made" / "by writing"),
    "obstore memory": lambda path: _core.ObstoreStore(obstore.store.MemoryStore()),
    "obstore local": lambda path: _core.ObstoreStore(obstore.store.LocalStore(path)),
    "counting": lambda path: _core.CountingStore(_core.FileStore(path)),
    "slow": lambda path: _core.SlowStore(_core.MemoryStore(), delay_s=1e-5),
    "retrying": lambda path: _core.RetryingStore(
        _core.FailingStore(_core.FileStore(path), fail_on=2, n_failures=2, retryable=True), first_wait_s=0.0
    ),
    "retrying obstore": lambda path: _core.RetryingStore(_core.ObstoreStore(obstore.store.LocalStore(path))),
}


@pytest.fixture(params=FACTORIES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> _core.Store:
    return FACTORIES[request.param](tmp_path)


def test_missing_objects_are_answers(store: _core.Store) -> None:
    assert store.read("a/missing") is None
    assert store.read_ranges("a/missing", [0], [1]) is None
    assert store.read_ranges("a/missing", [], []) is None
    assert store.read_ranges("a/missing", [1], [1]) is None
    assert store.read_suffix("a/missing", 4) is None
    assert store.read_suffix("a/missing", 0) is None
    assert store.size("a/missing") is None
    store.remove("a/missing")
    assert store.list("a/") == []


@pytest.mark.parametrize("size", [0, 1, 11, 12 << 20])
def test_reads_what_was_written(store: _core.Store, size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    store.write("group/csr/c/0", data)
    assert store.read("group/csr/c/0") == data
    assert store.size("group/csr/c/0") == size
    assert store.read_suffix("group/csr/c/0", 8) == (data[-8:], size)
    assert store.read("group/csr") is None
    assert store.size("group/csr") is None


def test_overwrites_with_longer_and_shorter(store: _core.Store) -> None:
    for data in (b"first", b"a longer second", b"3"):
        store.write("key", data)
        assert store.read("key") == data


@pytest.mark.parametrize(
    "data", [b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), np.frombuffer(b"abcd", dtype=np.uint16)]
)
def test_takes_any_contiguous_bytes(store: _core.Store, data: object) -> None:
    store.write("key", data)
    assert store.read("key") == b"abcd"
    assert store.create("other", data)
    assert store.read("other") == b"abcd"


@pytest.mark.parametrize("as_sequence", [list, tuple, np.array])
def test_answers_ranges_in_the_order_asked(store: _core.Store, as_sequence: Callable) -> None:
    store.write("key", b"0123456789")
    begins, ends = as_sequence([7, 0, 2, 4, 10, 0]), as_sequence([10, 3, 8, 4, 10, 10])
    assert store.read_ranges("key", begins, ends) == [b"789", b"012", b"234567", b"", b"", b"0123456789"]
    assert store.read_ranges("key", [], []) == []


@pytest.mark.parametrize(("begin", "end"), [(0, 11), (11, 11), (20, 30), (0, 2**62)])
def test_refuses_ranges_that_leave_the_object(store: _core.Store, begin: int, end: int) -> None:
    store.write("key", b"0123456789")
    with pytest.raises(StoreError, match=r"key.*the object has 10"):
        store.read_ranges("key", [begin], [end])


def test_refuses_ranges_without_sense(store: _core.Store) -> None:
    store.write("key", b"0123456789")
    with pytest.raises(InvalidArgumentError, match="range 1"):
        store.read_ranges("key", [0, 3], [1, 2])
    with pytest.raises(InvalidArgumentError, match="range 0"):
        store.read_ranges("key", [-1], [2])
    with pytest.raises(InvalidArgumentError, match="same length"):
        store.read_ranges("key", [0], [2, 3])


def test_reads_suffixes(store: _core.Store) -> None:
    store.write("key", b"0123456789")
    assert store.read_suffix("key", 4) == (b"6789", 10)
    assert store.read_suffix("key", 10) == (b"0123456789", 10)
    assert store.read_suffix("key", 2**63) == (b"0123456789", 10)
    assert store.read_suffix("key", 0) == (b"", 10)


def test_creates_only_once(store: _core.Store) -> None:
    assert store.create("a/marker", b"first")
    assert not store.create("a/marker", b"second")
    assert store.read("a/marker") == b"first"
    store.remove("a/marker")
    assert store.create("a/marker", b"")
    assert not store.create("a/marker", b"x")


def test_one_of_many_creators_wins(store: _core.Store) -> None:
    start = threading.Barrier(8)
    won: list[int] = []

    def create(writer: int) -> None:
        start.wait()
        if store.create("race/marker", b"%d" % writer):
            won.append(writer)

    writers = [threading.Thread(target=create, args=(i,)) for i in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(won) == 1
    assert store.read("race/marker") == b"%d" % won[0]


def test_lists_by_prefix_in_key_order(store: _core.Store) -> None:
    for key in ["b/c/1", "b/c/0", "a", "b/cd", "b.x", "b/c.z", "c/.hox-manifest"]:
        store.write(key, key.encode())

    def keys(prefix: str) -> list[str]:
        return [key for key, _ in store.list(prefix)]

    assert keys("") == ["a", "b.x", "b/c.z", "b/c/0", "b/c/1", "b/cd", "c/.hox-manifest"]
    assert store.list() == store.list("")
    assert keys("b/c") == ["b/c.z", "b/c/0", "b/c/1", "b/cd"]
    assert keys("b/c/") == ["b/c/0", "b/c/1"]
    assert keys("b/c/0") == ["b/c/0"]
    assert keys("b/c/0/") == []
    assert keys("nothing") == []
    assert store.list("b/cd") == [("b/cd", 4)]


@pytest.mark.parametrize("key", ["with space/and#hash", "prozent%41", "größe", "a?b=c&d", "-.~!$'()*+,;=:@"])
def test_keys_are_taken_literally(store: _core.Store, key: str) -> None:
    store.write(key, b"x")
    assert store.read(key) == b"x"
    assert store.list() == [(key, 1)]
    store.remove(key)
    assert store.list() == []


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "..", "a/../b", ".", "a/./b", "a\0b"])
def test_refuses_keys_that_are_no_names(store: _core.Store, key: str) -> None:
    for request in (store.read, store.size, store.remove, lambda k: store.read_suffix(k, 1)):
        with pytest.raises(InvalidArgumentError, match="key"):
            request(key)
    for request in (store.write, store.create):
        with pytest.raises(InvalidArgumentError, match="key"):
            request(key, b"x")
    assert store.list() == []


def test_many_threads_share_a_store(store: _core.Store) -> None:
    def work(thread: int) -> None:
        for i in range(10):
            store.write(f"{thread}/{i}", b"%d" % i)
            assert store.read(f"{thread}/{i}") == b"%d" % i

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.list()) == 40


def test_describes_itself(store: _core.Store) -> None:
    assert store.describe()
    assert store.describe() in repr(store)


def test_file_store_takes_paths(tmp_path: Path) -> None:
    _core.FileStore(tmp_path).write("a", b"1")
    assert _core.FileStore(str(tmp_path)).read("a") == b"1"
    assert (tmp_path / "a").read_bytes() == b"1"
    assert _core.FileStore(tmp_path).root == str(tmp_path)
    with pytest.raises(TypeError):
        _core.FileStore(3)


def test_file_store_names_the_path_of_what_failed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=f"{tmp_path}/file") as caught:
        _core.FileStore(tmp_path).write("file/below", b"x")
    assert not caught.value.retryable


def test_failing_store_fails_once() -> None:
    store = _core.FailingStore(_core.MemoryStore(), fail_on=2, retryable=True)
    store.write("key", b"x")
    with pytest.raises(StoreError, match="request 2") as caught:
        store.read("key")
    assert caught.value.retryable
    assert store.read("key") == b"x"
    assert store.requests == 3


def test_counting_store_counts() -> None:
    store = _core.CountingStore(_core.MemoryStore())
    store.write("key", b"0123456789")
    assert (store.requests, store.bytes_written, store.bytes_read) == (1, 10, 0)
    store.reset()
    store.read_ranges("key", [0, 5], [3, 6])
    assert (store.requests, store.bytes_written, store.bytes_read) == (2, 0, 4)


@pytest.mark.parametrize("delay_s", [-1.0, float("nan"), float("inf"), 1e300])
def test_refuses_delays_without_sense(delay_s: float) -> None:
    with pytest.raises(InvalidArgumentError, match="delay_s"):
        _core.SlowStore(_core.MemoryStore(), delay_s=delay_s)


def test_a_wrapper_keeps_the_inner_store(tmp_path: Path) -> None:
    store = _core.CountingStore(_core.RetryingStore(_core.ObstoreStore(obstore.store.LocalStore(tmp_path))))
    store.write("key", b"x")
    assert (tmp_path / "key").read_bytes() == b"x"


@pytest.mark.parametrize("other", [None, "s3://bucket", _core.MemoryStore()])
def test_obstore_store_wants_a_store_of_obstore(other: object) -> None:
    with pytest.raises((InvalidArgumentError, TypeError), match="store"):
        _core.ObstoreStore(other)


def test_obstore_errors_say_whether_to_retry(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    nowhere = obstore.store.HTTPStore(
        "http://127.0.0.1:9", client_options={"allow_http": True}, retry_config={"max_retries": 0}
    )
    with pytest.raises(StoreError, match="key") as caught:
        _core.ObstoreStore(nowhere).read("key")
    assert caught.value.retryable
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError) as caught:
        _core.ObstoreStore(nowhere).create("key", b"x")  # HTTP has no conditional writes
    assert not caught.value.retryable


def test_obstore_store_lets_go_of_the_python_object() -> None:
    import gc
    import weakref

    class Store(obstore.store.MemoryStore):
        pass

    inner = Store()
    alive = weakref.ref(inner)
    store = _core.ObstoreStore(inner)
    store.write("key", b"x")
    del inner, store
    probe = _core.ObstoreStore(obstore.store.MemoryStore())
    probe.size("x")  # served after the note that the store is gone
    gc.collect()
    assert alive() is None


def test_unsupported_is_an_error_of_ours() -> None:
    assert issubclass(UnsupportedError, _core.HoxError)
