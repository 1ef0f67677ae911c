"""Of several writers of one group one gets it; what a dead one left is cleared, what a living one writes is not."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from homeobox import _core
from homeobox.errors import ConflictError, HomeoboxError, InvalidArgumentError, StoreError
from homeobox.ingest.group_claim import MARKER, GroupClaim, claim_group, hold_group


@pytest.fixture
def store():
    return _core.MemoryStore()


def claim(store: _core.Store, group: str) -> GroupClaim:
    """Of a group that no cell points to."""
    return claim_group(store, group, lambda: None)


def keys(store: _core.Store) -> list[str]:
    return [key for key, _ in store.list("")]


def test_a_finished_claim_leaves_what_was_written(store):
    with claim(store, "a/b"):
        assert keys(store) == [f"a/b/{MARKER}"]
        store.write("a/b/zarr.json", b"{}")
    assert keys(store) == ["a/b/zarr.json"]


def test_a_failed_claim_leaves_nothing_and_can_be_repeated(store):
    store.write("ab/zarr.json", b"neighbour")
    with pytest.raises(KeyboardInterrupt), claim(store, "a"):
        store.write("a/c/0", b"x")
        raise KeyboardInterrupt
    assert keys(store) == ["ab/zarr.json"]
    with claim(store, "a"):
        pass


def test_after_the_commit_began_nothing_is_removed(store):
    with pytest.raises(ValueError), claim(store, "a") as held:
        store.write("a/c/0", b"x")
        held.keep_objects()
        raise ValueError
    assert keys(store) == [f"a/{MARKER}", "a/c/0"]
    with claim(store, "a"):  # who asks again has made sure that no cell points there
        assert keys(store) == [f"a/{MARKER}"]


def test_a_held_claim_is_respected(store):
    with claim(store, "a"):
        with pytest.raises(ConflictError, match="zarr group 'a' is being written by another ingest"):
            claim(store, "a")
        with claim(store, "b"):
            pass
    assert keys(store) == []


def test_foreign_objects_are_never_touched(store):
    store.write("a/zarr.json", b"{}")
    with pytest.raises(InvalidArgumentError, match=r"with 1 object.* no finished ingest left"):
        claim(store, "a")
    assert keys(store) == ["a/zarr.json"]


def leave_a_claim_of_a_dead_process(root: str) -> None:
    script = (
        "import os, sys; from homeobox import _core; from homeobox.ingest.group_claim import claim_group\n"
        "store = _core.FileStore(sys.argv[1]); claim = claim_group(store, 'a', lambda: None)\n"
        "store.write('a/c/0', b'x'); os._exit(1)"
    )
    assert subprocess.run([sys.executable, "-c", script, root], check=False).returncode == 1


def test_leftovers_of_a_dead_process_are_cleared(tmp_path):
    leave_a_claim_of_a_dead_process(str(tmp_path))
    store = _core.FileStore(str(tmp_path))
    assert keys(store) == [f"a/{MARKER}", "a/c/0"]
    with claim(store, "a"):
        assert keys(store) == [f"a/{MARKER}"]
    assert keys(store) == []


def test_what_a_dead_process_committed_is_not_cleared(tmp_path):
    leave_a_claim_of_a_dead_process(str(tmp_path))
    store = _core.FileStore(str(tmp_path))

    def cells_point_there() -> None:
        raise InvalidArgumentError("taken")

    with pytest.raises(InvalidArgumentError, match="taken"):
        claim_group(store, "a", cells_point_there)
    assert keys(store) == ["a/c/0"]


def test_one_of_many_clears_leftovers(tmp_path):
    leave_a_claim_of_a_dead_process(str(tmp_path))
    outcomes = []

    def take() -> None:
        store = _core.FileStore(str(tmp_path))
        try:
            outcomes.append(claim(store, "a"))
        except HomeoboxError as error:
            assert isinstance(error, ConflictError)
            outcomes.append(None)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [claim for claim in outcomes if claim is not None]
    assert len(held) == 1
    assert keys(_core.FileStore(str(tmp_path))) == [f"a/{MARKER}"]
    with held[0]:
        pass


def test_who_lost_the_claim_touches_nothing(store):
    with pytest.raises(ConflictError, match="'a' was taken over by another ingest"), claim(store, "a") as held:
        theirs = json.dumps({**json.loads(store.read(f"a/{MARKER}")), "token": "theirs"}).encode()
        store.write(f"a/{MARKER}", theirs)
        store.write("a/c/0", b"theirs")
        held.confirm()
    assert store.read("a/c/0") == b"theirs"
    assert store.read(f"a/{MARKER}") == theirs


def test_renewing_asks_first(store, monkeypatch):
    with pytest.raises(ConflictError), claim(store, "a") as held:
        theirs = json.dumps({**json.loads(store.read(f"a/{MARKER}")), "token": "theirs"}).encode()
        store.write(f"a/{MARKER}", theirs)
        later = time.time() + 3600
        monkeypatch.setattr(time, "time", lambda: later)
        held.renew()
    assert store.read(f"a/{MARKER}") == theirs


@pytest.mark.parametrize("key", ["boot", "pid_namespace"])
@pytest.mark.parametrize(("age_s", "alive"), [(0, True), (3600, False)])
def test_process_numbers_of_another_container_mean_nothing(store, key, age_s, alive):
    with claim(store, "b"):
        here = json.loads(store.read(f"b/{MARKER}"))
    marker = {**here, key: "other", "pid": 2**22 + 1, "renewed": time.time() - age_s}
    store.write(f"a/{MARKER}", json.dumps(marker).encode())
    if alive:
        with pytest.raises(ConflictError):
            claim(store, "a")
    else:
        with claim(store, "a"):
            pass


def test_a_finished_group_that_nothing_records_is_cleared(store):
    store.write("a/.hox-manifest", b"")
    store.write("a/c/0", b"x")

    def recorded() -> None:
        raise InvalidArgumentError("snapshot(s) [1]")

    with pytest.raises(InvalidArgumentError, match="snapshot"):
        claim_group(store, "a", recorded)
    assert keys(store) == ["a/.hox-manifest", "a/c/0"]
    with claim(store, "a"):
        assert keys(store) == [f"a/{MARKER}"]


@pytest.mark.parametrize(("age_s", "alive"), [(0, True), (3600, False)])
def test_writers_on_other_machines_are_known_by_their_renewals(store, age_s, alive):
    marker = {"token": "t", "host": "elsewhere", "pid": os.getpid(), "renewed": time.time() - age_s}
    store.write(f"a/{MARKER}", json.dumps(marker).encode())
    if alive:
        with pytest.raises(ConflictError):
            claim(store, "a")
    else:
        with claim(store, "a"):
            pass


def test_a_cleaner_that_died_at_the_very_end_is_no_obstacle(store):
    marker = {"token": "t", "host": socket.gethostname(), "pid": os.getpid(), "renewed": 0}
    store.write(f"a/{MARKER}.cleaning", json.dumps(marker).encode())
    with claim(store, "a"):
        pass
    assert keys(store) == []


def test_a_marker_that_was_cut_short_belongs_to_nobody(store):
    store.write(f"a/{MARKER}", b'{"token": "t", "ho')
    with claim(store, "a"):
        pass


OBJECTS = ["a/zarr.json", "a/csr/indices/c/0", "a/csr/indices/c/1", "a/.hox-manifest"]


class Removing:
    """A store that does something else once, after its first removal of an object."""

    def __init__(self, inner: _core.Store, do: object) -> None:
        self._inner = inner
        self._do = do
        self.removed: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def remove(self, key: str) -> None:
        self._inner.remove(key)
        if MARKER not in key:
            self.removed.append(key)
            if len(self.removed) == 1:
                self._do()


def fill(store: _core.Store, content: bytes) -> None:
    for key in OBJECTS:
        store.write(key, content)


def remove_leftovers(store: _core.Store, raw: _core.Store) -> None:
    claim(raw, "a").abandon()
    fill(raw, b"mine")
    claim(store, "a")


def remove_what_nobody_needs(store: _core.Store, raw: _core.Store) -> None:
    fill(raw, b"mine")
    claim(store, "a")


def remove_after_an_error(store: _core.Store, raw: _core.Store) -> None:
    with claim(store, "a"):
        fill(raw, b"mine")
        raise ConflictError("the error")


def prune_it(store: _core.Store, raw: _core.Store) -> None:
    fill(raw, b"mine")
    with hold_group(store, "a") as held:
        held.remove_objects()


REMOVALS = [remove_leftovers, remove_what_nobody_needs, remove_after_an_error, prune_it]


@pytest.mark.parametrize("remove", REMOVALS)
def test_who_falls_asleep_while_it_removes_stops(store, monkeypatch, remove):
    """Another took over meanwhile, cleared the group, and wrote it under the same names."""

    def sleep() -> None:
        later = time.time() + 3600
        monkeypatch.setattr(time, "time", lambda: later)
        theirs = [key for key in keys(store) if MARKER in key]
        for key in theirs:
            store.write(key, json.dumps({**json.loads(store.read(key)), "host": "elsewhere", "token": "t"}).encode())
        fill(store, b"theirs")

    with pytest.raises(ConflictError):
        remove(Removing(store, sleep), store)
    assert [store.read(key) for key in OBJECTS] == [b"theirs"] * len(OBJECTS)


@pytest.mark.parametrize("remove", REMOVALS)
def test_a_removal_that_failed_leaves_a_marker_on_the_rest(store, remove):
    """Without it what is left of a group without a manifest, as 0.2.2 wrote them, would be nobody's."""

    def fail() -> None:
        raise StoreError("no connection")

    with pytest.raises(HomeoboxError):
        remove(Removing(store, fail), store)
    assert f"a/{MARKER}" in keys(store)
    store.remove("a/.hox-manifest")
    with claim(store, "a"):
        assert keys(store) == [f"a/{MARKER}"]


def test_metadata_goes_first_and_the_manifest_last(store):
    """A shard that is missing reads as zeros, an array without metadata cannot be opened."""
    arrays = ["csc/indices", "csc/indptr", "csc/layers/counts", "csr/feature_order", "csr/indices", "csr/layers/counts"]
    groups = ["a", "a/csc", "a/csc/layers", "a/csr", "a/csr/layers"]
    documents = [f"{path}/zarr.json" for path in [*groups, *(f"a/{array}" for array in arrays)]]
    for key in [*documents, *(f"a/{array}/c/0" for array in arrays), "a/.hox-manifest"]:
        store.write(key, b"x")
    removing = Removing(store, lambda: None)
    with hold_group(removing, "a") as held:
        held.remove_objects()
    assert set(removing.removed[: len(documents)]) == set(documents)
    assert removing.removed[-1] == "a/.hox-manifest"
    order = [removing.removed.index(f"a/{array}/zarr.json") for array in arrays]
    assert order[4] < order[3]  # indices would be read with wrong names
    assert order[1] < min(order[0], order[2])  # a copy shows by its indptr
    assert keys(store) == []


def test_a_dead_marker_on_what_is_whole_goes_only_while_it_is_the_dead_one(store):
    """Whether it is whole takes a while to find out: another may hold it by then."""
    claim(store, "a").abandon()
    store.write("a/c/0", b"whole")
    held = []

    def whole() -> None:
        with contextlib.suppress(ConflictError):
            held.append(hold_group(store, "a"))
        raise InvalidArgumentError("whole")

    with pytest.raises(InvalidArgumentError, match="whole"):
        claim_group(store, "a", whole)
    for other in held:
        other.confirm()
    assert keys(store) == (["a/.hox-ingest", "a/c/0"] if held else ["a/c/0"])


@pytest.mark.parametrize("claim_it", [claim, hold_group])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_cleaners_of_cleaners_that_died_are_no_obstacle(store, n, claim_it):
    claim(store, "b").abandon()
    marker = store.read(f"b/{MARKER}")
    store.write(f"a/{MARKER}{'.cleaning' * n}", marker)
    with claim_it(store, "a"):
        assert keys(store) == [f"a/{MARKER}", f"b/{MARKER}"]
    store.write(f"a/{MARKER}{'.cleaning' * n}", marker)
    claim(store, "a").abandon()
    with claim_it(store, "a"):
        pass
    assert keys(store) in ([f"b/{MARKER}"], [f"a/{MARKER}{'.cleaning' * n}", f"b/{MARKER}"])


def test_what_was_given_up_after_its_commit_began_locks_out_no_other_process(tmp_path):
    store = _core.FileStore(str(tmp_path))
    with pytest.raises(KeyboardInterrupt), claim(store, "a") as held:
        store.write("a/c/0", b"x")
        held.keep_objects()
        raise KeyboardInterrupt
    leave_a_claim_of_a_dead_process(str(tmp_path))  # it could claim it, although this one lives
    assert json.loads(store.read(f"a/{MARKER}"))["pid"] not in (None, os.getpid())
