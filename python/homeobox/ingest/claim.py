"""A claim: one small object that says who is at work on what lies beside it.

It is created only if there is none, so of two that ask at once one gets it. A thread renews what this process holds,
whatever the process is busy with: one call to a table may take longer than a claim lives without a sign of life. Who
nevertheless was taken for dead (its machine slept) finds another's token in the marker, or the mark of whoever is
about to clear it, and from then on touches nothing.

Nobody takes a dead claim over but under a second marker, ``<key>.cleaning``: it is made first and the claim looked at
again after, while a writer renews first and looks for the second marker after. Of the two at least one sees the other.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable

from homeobox import _core
from homeobox.errors import ConflictError, HomeoboxError
from homeobox.ingest.claim_marker import DEAD_AFTER_S, has_token, held_tokens, is_alive, marker

#: Keys of the claims on a whole array store: of whoever prunes or restores its atlas, and of whoever exports to it.
UPKEEP_CLAIM = ".hox-upkeep"
EXPORT_CLAIM = ".hox-export"

RENEW_EVERY_S = 60.0


class Claim:
    """A held claim; :func:`create_claim` and :func:`take_claim` make one.

    Parameters
    ----------
    key
        Of its marker.
    what, by
        For messages: what is claimed, and who claims such things.
    """

    def __init__(self, store: _core.Store, key: str, token: str, started: float, what: str, by: str) -> None:
        self._store = store
        self._key = key
        self._token = token
        self._started = started
        self._renewed = started
        self._what = what
        self._by = by
        self._is_lost = False
        self._lock = threading.Lock()
        _heart.add(self)

    def renew(self) -> None:
        """Tell others that the writer lives; call often, it writes once a minute. Errors as :meth:`confirm`."""
        if time.time() - self._renewed >= RENEW_EVERY_S:
            self.confirm()

    def confirm(self) -> None:
        """Ask whether the claim is still ours; to be called right before anything that cannot be taken back.

        Raises
        ------
        ConflictError
            Another took this writer for dead, and what it claimed over.
        """
        with self._lock:
            self._is_lost = not self.is_ours()
            now = time.time()
            if not self._is_lost and now - self._renewed >= RENEW_EVERY_S:
                may_be_taken = now - self._renewed >= DEAD_AFTER_S
                self._store.write(self._key, marker(self._token, self._started, now))
                self._renewed = now
                if may_be_taken:
                    self._is_lost = self._store.size(cleaning_key(self._key)) is not None or not self.is_ours()
            if self._is_lost:
                raise ConflictError(
                    f"{self._what} was taken over by another {self._by}, because this one showed no sign of life for "
                    f"more than {DEAD_AFTER_S // 60} minutes"
                )

    def is_ours(self) -> bool:
        """Whether the marker has our token, and had it always. One read."""
        return not self._is_lost and has_token(self._store.read(self._key), self._token)

    def release(self) -> None:
        """Take the marker away if it is ours, and stop holding it. A failing store is no error: it marks a leftover."""
        try:
            with self._lock, contextlib.suppress(HomeoboxError):
                if self.is_ours():
                    self._store.remove(self._key)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Stop holding it; what it left is removed by whoever asks for it next."""
        held_tokens.discard(self._token)
        _heart.drop(self)


def create_claim(store: _core.Store, key: str, what: str, by: str) -> Claim:
    """Claim `key`, where there is no marker. Raises ConflictError if another did at the same moment."""
    token = secrets.token_hex(8)
    started = time.time()
    held_tokens.add(token)  # before anybody can see the marker: other threads here ask whether we hold it
    try:
        if not store.create(key, marker(token, started, started)):
            raise ConflictError(f"{what} was claimed by another {by} at the same moment")
    except BaseException:
        held_tokens.discard(token)
        raise
    return Claim(store, key, token, started, what, by)


def take_claim(store: _core.Store, key: str, what: str, by: str, remove: Callable[[], object] = lambda: None) -> Claim:
    """Claim `key`, from a dead holder too; `remove` clears what that one left, while nobody else can claim it.

    Raises
    ------
    ConflictError
        Another holds it, or clears it at this moment.
    """
    existing = store.read(key)
    if existing is None:
        remove_dead_cleaner(store, key, what, by)
    elif is_alive(existing):
        raise ConflictError(f"{what} is held by another {by}: {existing.decode()}")
    else:

        def clear() -> None:
            remove()
            store.remove(key)

        replace_dead(store, key, existing, clear, what, by)
    return create_claim(store, key, what, by)


def replace_dead(
    store: _core.Store, key: str, dead_marker: bytes, remove: Callable[[], object], what: str, by: str
) -> None:
    """Clear a claim whose writer died; of several that find it so, one does it and the others get ConflictError.

    Without the second marker a slow cleaner could remove what a faster one has already begun to write. It is a claim
    like any other: that of a cleaner which died is taken over under a third marker, and so on.
    """
    try:
        cleaner = take_claim(store, cleaning_key(key), what, by)
    except ConflictError as error:
        raise ConflictError(f"leftovers in {what} are being removed by another {by}") from error
    try:
        if store.read(key) != dead_marker:
            raise ConflictError(f"{what} was claimed by another {by} at the same moment")
        remove()
    finally:
        cleaner.abandon()
        store.remove(cleaning_key(key))


def cleaning_key(key: str) -> str:
    """Of the second marker."""
    return f"{key}.cleaning"


def remove_dead_cleaner(store: _core.Store, key: str, what: str, by: str) -> bool:
    """Remove the second marker of a claim, where its process died; says whether there was one."""
    cleaner = store.read(cleaning_key(key))
    if cleaner is None or is_alive(cleaner):
        return False
    take_claim(store, cleaning_key(key), what, by).release()
    return True


class _Heart:
    """Renews the claims that this process holds, in a thread that lives while there are any."""

    def __init__(self) -> None:
        self._claims: set[Claim] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, claim: Claim) -> None:
        with self._changed:
            self._claims.add(claim)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hox-claims", daemon=True)
                self._thread.start()

    def drop(self, claim: Claim) -> None:
        with self._changed:
            self._claims.discard(claim)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(RENEW_EVERY_S / 4)
                if not self._claims:
                    self._thread = None
                    return
                claims = list(self._claims)
            for claim in claims:
                # A claim that is lost, or a store that fails, is for the writer to find out, at its next confirm().
                with contextlib.suppress(Exception):
                    claim.renew()


_heart = _Heart()


def _begin_anew() -> None:
    """A forked process holds nothing, has no such thread, and may have inherited a locked lock."""
    global _heart
    _heart = _Heart()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
