"""A claim lives as long as its process does, whatever that is busy with; who lost one finds out before it writes."""

from __future__ import annotations

import json
import os
import time

import pytest

from homeobox import _core
from homeobox.errors import ConflictError
from homeobox.ingest import claim as claims
from homeobox.ingest.claim import cleaning_key, create_claim, take_claim
from homeobox.ingest.claim_marker import is_alive

KEY = "a/.hox-ingest"


@pytest.fixture
def store() -> _core.MemoryStore:
    return _core.MemoryStore()


def renewed(store: _core.Store) -> float:
    return json.loads(store.read(KEY))["renewed"]


def of_another(store: _core.Store, age_s: float = 0.0) -> bytes:
    """The marker as another machine would have written it."""
    document = json.loads(store.read(KEY))
    return json.dumps({**document, "host": "elsewhere", "token": "theirs", "renewed": time.time() - age_s}).encode()


def test_a_claim_is_renewed_while_its_process_is_busy(store: _core.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RENEW_EVERY_S", 0.02)
    held = create_claim(store, KEY, "it", "process")
    began = renewed(store)
    deadline = time.monotonic() + 10
    while renewed(store) == began:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    held.release()
    assert store.list("") == []


def test_a_renewal_brings_back_no_marker_that_was_taken_away(
    store: _core.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RENEW_EVERY_S", 0.0)
    for _ in range(200):
        create_claim(store, KEY, "it", "process").release()
        assert store.read(KEY) is None
    time.sleep(0.05)
    assert store.list("") == []


def test_a_writer_that_slept_goes_on_where_nobody_took_over(
    store: _core.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = create_claim(store, KEY, "it", "process")
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    held.confirm()
    assert renewed(store) == later
    held.release()


def test_a_writer_that_slept_stops_where_another_begins_to_clear(
    store: _core.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other has looked at the marker already, and will remove what it claims whatever is renewed now."""
    held = create_claim(store, KEY, "it", "process")
    store.create(cleaning_key(KEY), of_another(store))
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    for _ in range(2):
        with pytest.raises(ConflictError, match="it was taken over by another process"):
            held.confirm()
        assert not held.is_ours()
    held.abandon()


def test_who_renews_first_is_not_cleared(store: _core.Store) -> None:
    held = create_claim(store, KEY, "it", "process")
    dead = of_another(store, age_s=7200)  # as it was when the other looked
    with pytest.raises(ConflictError, match="claimed by another process at the same moment"):
        claims.replace_dead(store, KEY, dead, lambda: pytest.fail("removed"), "it", "process")
    held.confirm()
    held.release()


def test_a_living_holder_is_respected_and_a_dead_one_followed(store: _core.Store) -> None:
    held = take_claim(store, KEY, "it", "process")
    with pytest.raises(ConflictError, match=r"it is held by another process: \{.*\"pid\": " + str(os.getpid())):
        take_claim(store, KEY, "it", "process")
    store.write(KEY, of_another(store, age_s=60))
    with pytest.raises(ConflictError, match="elsewhere"):
        take_claim(store, KEY, "it", "process")
    store.write(KEY, of_another(store, age_s=3600))
    cleared = []
    next_one = take_claim(store, KEY, "it", "process", remove=lambda: cleared.append(store.read(KEY)))
    assert len(cleared) == 1
    with pytest.raises(ConflictError, match="taken over"):
        held.confirm()
    held.release()
    assert next_one.is_ours()
    next_one.release()
    assert store.list("") == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:lance is not fork-safe")
def test_a_forked_process_claims_on_its_own(tmp_path) -> None:
    store = _core.FileStore(str(tmp_path))
    held = create_claim(store, KEY, "it", "process")
    child = os.fork()
    if child == 0:
        try:
            (tmp_path / "answer").write_text(str(is_alive((tmp_path / KEY).read_bytes())))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "answer").read_text() == "True"
    held.release()


def test_cleaners_that_died_one_after_another_are_followed(store: _core.Store) -> None:
    held = create_claim(store, KEY, "it", "process")
    dead = of_another(store, age_s=3600)
    held.release()
    for key in (KEY, cleaning_key(KEY), cleaning_key(cleaning_key(KEY))):
        store.write(key, dead)
    next_one = take_claim(store, KEY, "it", "process")
    assert [key for key, _ in store.list("")] == [KEY]
    next_one.release()
