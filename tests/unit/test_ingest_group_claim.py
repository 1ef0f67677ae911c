"""Of several writers of one group one gets it; what a dead one left is cleared, what a living one writes is not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from homeobox import _core
from homeobox.errors import ConflictError, HomeoboxError, InvalidArgumentError
from homeobox.ingest.group_claim import MARKER, GroupClaim, claim_group


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
