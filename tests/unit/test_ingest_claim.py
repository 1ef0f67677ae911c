"""A claim lives as long as its process does, whatever that is busy with; who lost one finds out before it writes."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from homeobox import _core
from homeobox.errors import ConflictError, StoreError
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


def held_claims() -> list[claims.Claim]:
    """Of tests before, too."""
    return [claim for claim in gc.get_objects() if isinstance(claim, claims.Claim)]


def seem_elsewhere(store: _core.Store) -> None:
    """The marker stays its holder's, but others here judge it as that of another machine."""
    store.write(KEY, json.dumps({**json.loads(store.read(KEY)), "host": "elsewhere"}).encode())


class Clock:
    """What everybody here takes for the time."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        patch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Interrupted:
    """A store that does something else once, before a call with the key of a marker."""

    def __init__(self, inner: _core.Store) -> None:
        self._inner = inner
        self._before: dict[tuple[str, str], Callable[[], object]] = {}

    def before(self, call: str, key: str, do: Callable[[], object]) -> None:
        self._before[call, key] = do

    def __getattr__(self, call: str) -> Any:
        def make(key: str, *arguments: object) -> object:
            self._before.pop((call, key), lambda: None)()
            return getattr(self._inner, call)(key, *arguments)

        return make


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
        claims.replace_dead(store, KEY, dead, lambda cleaner: pytest.fail("removed"), "it", "process")
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
    next_one = take_claim(store, KEY, "it", "process", remove=lambda cleaner: cleared.append(store.read(KEY)))
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


def test_of_a_holder_that_wakes_and_who_takes_over_one_goes_on(store: _core.Store, clock: Clock) -> None:
    """The other comes in when the holder has seen its own token and is about to write."""
    interrupted = Interrupted(store)
    held = create_claim(interrupted, KEY, "it", "process")
    seem_elsewhere(store)
    clock.now += 3600
    others = []

    def take_over() -> None:
        with contextlib.suppress(ConflictError):
            others.append(take_claim(store, KEY, "it", "process"))

    interrupted.before("write", KEY, take_over)
    with contextlib.suppress(ConflictError):
        held.confirm()
    assert held.is_ours() != any(other.is_ours() for other in others)
    assert held.is_ours() != bool(others)  # what it claimed was cleared
    for claim in (held, *others):
        claim.release()
    assert store.list("") == []


def test_a_holder_that_fell_asleep_before_its_write_stops(store: _core.Store, clock: Clock) -> None:
    interrupted = Interrupted(store)
    held = create_claim(interrupted, KEY, "it", "process")
    seem_elsewhere(store)
    clock.now += 61

    def sleep() -> None:
        clock.now += 3600
        take_claim(store, KEY, "it", "process").abandon()

    interrupted.before("write", KEY, sleep)
    with pytest.raises(ConflictError, match="taken over"):
        held.confirm()
    assert not held.is_ours()


@pytest.mark.parametrize("call", ["create", "size", "write"])
def test_a_renewal_that_failed_is_made_as_carefully_again(store: _core.Store, clock: Clock, call: str) -> None:
    interrupted = Interrupted(store)
    held = create_claim(interrupted, KEY, "it", "process")
    store.create(cleaning_key(KEY), of_another(store))
    clock.now += 3600

    def fail() -> None:
        raise StoreError("no connection")

    interrupted.before(call, KEY if call == "write" else cleaning_key(KEY), fail)
    with contextlib.suppress(StoreError, ConflictError):
        held.confirm()
    with pytest.raises(ConflictError, match="taken over"):
        held.confirm()


def test_clocks_may_differ_by_minutes(store: _core.Store, clock: Clock) -> None:
    """Ten minutes ahead, another found a holder dead that slept for six."""
    held = create_claim(store, KEY, "it", "process")
    store.create(cleaning_key(KEY), of_another(store))
    clock.now += 6 * 60
    with pytest.raises(ConflictError, match="taken over"):
        held.confirm()


def test_a_cleaner_that_slept_leaves_what_is_anothers(store: _core.Store, clock: Clock) -> None:
    create_claim(store, KEY, "it", "process").abandon()
    theirs = of_another(store)

    def sleep(cleaner: claims.Claim) -> None:
        clock.now += 3600
        for key in (KEY, cleaning_key(KEY)):
            store.write(key, theirs)
        cleaner.renew()
        pytest.fail("it goes on to remove")

    with pytest.raises(ConflictError, match="taken over"):
        take_claim(store, KEY, "it", "process", remove=sleep)
    assert [store.read(key) for key, _ in store.list("")] == [theirs, theirs]


def test_nobody_claims_what_is_being_cleared(store: _core.Store) -> None:
    """The dead holder woke, and took its marker away."""
    held = create_claim(store, KEY, "it", "process")
    store.create(cleaning_key(KEY), of_another(store))
    store.remove(KEY)
    with pytest.raises(ConflictError, match="leftovers in it are being removed by another process"):
        take_claim(store, KEY, "it", "process")
    held.release()


def test_a_given_up_claim_is_dead_for_every_process(store: _core.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    held = create_claim(store, KEY, "it", "process")
    held.abandon()
    given_up = store.read(KEY)
    monkeypatch.setattr(os, "getpid", lambda: 1)  # whoever asks is another
    assert not is_alive(given_up)
    assert time.time() - json.loads(given_up)["renewed"] < 60  # leftovers() tells it


def test_giving_up_leaves_the_marker_of_another(store: _core.Store) -> None:
    held = create_claim(store, KEY, "it", "process")
    theirs = of_another(store)
    store.write(KEY, theirs)
    held.abandon()
    assert store.read(KEY) == theirs


def test_a_thread_that_cannot_be_started_leaves_no_claim(store: _core.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RENEW_EVERY_S", 0.02)
    deadline = time.monotonic() + 10

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    for claim in held_claims():
        claim.release()
    while any(thread.name == "hox-claims" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            create_claim(store, KEY, "it", "process")
    assert store.list("") == []
    held = create_claim(store, KEY, "it", "process")
    began = renewed(store)
    while renewed(store) == began:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    held.release()


@pytest.mark.parametrize("age_s", [0, 3600])
def test_a_process_that_the_system_hides_is_known_by_its_renewals(
    store: _core.Store, monkeypatch: pytest.MonkeyPatch, age_s: float
) -> None:
    """As /proc does with those of other users, where it is mounted with hidepid."""
    held = create_claim(store, KEY, "it", "process")
    document = {**json.loads(store.read(KEY)), "pid": os.getppid(), "renewed": time.time() - age_s}
    held.release()
    opened = open

    def hide(path: Any, *arguments: Any, **options: Any) -> Any:
        if path == f"/proc/{os.getppid()}/stat":
            raise FileNotFoundError(path)
        return opened(path, *arguments, **options)

    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr("builtins.open", hide)
    if document["process_started"] is None:
        pytest.skip("this system does not say when a process started")
    assert is_alive(json.dumps(document).encode()) == (age_s == 0)
