"""A claim: one small object that says who is at work on what lies beside it.

It is created only if there is none, so of two that ask at once one gets it. A thread renews what this process holds,
whatever the process is busy with: one call to a table may take longer than a claim lives without a sign of life. Who
nevertheless was taken for dead (its machine slept) finds another's token in the marker, and from then on touches
nothing.

Nobody replaces a marker that others may count as dead but under a second one, ``<key>.cleaning``, made in the same way:
neither who clears what a dead holder left, nor the holder itself where it was silent for minutes. Whichever of the two
gets the second marker looks at the first again, and the other gives way.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from homeobox import _core
from homeobox.errors import ConflictError, HomeoboxError
from homeobox.ingest.claim_marker import DEAD_AFTER_S, has_token, held_tokens, is_alive, marker

#: Keys of the claims on a whole array store: of whoever prunes or restores its atlas, and of whoever exports to it.
UPKEEP_CLAIM = ".hox-upkeep"
EXPORT_CLAIM = ".hox-export"

RENEW_EVERY_S = 60.0

# Who was silent for this long may be about to be taken for dead by a machine whose clock is ahead. Clocks may differ by
# DEAD_AFTER_S less twice this: once for the silence before a renewal begins, once for the time that it may take.
LATE_AFTER_S = 3 * 60.0


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
        self._is_over = False
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
            is_due = time.time() - self._renewed >= RENEW_EVERY_S
            self._is_over = not self.is_ours() or (is_due and not self._renew())
            if self._is_over:
                raise ConflictError(
                    f"{self._what} was taken over by another {self._by}, because this one showed no sign of life for "
                    f"more than {DEAD_AFTER_S // 60} minutes"
                )

    def is_ours(self) -> bool:
        """Whether the marker has our token, and had it always. One read."""
        return not self._is_over and has_token(self._store.read(self._key), self._token)

    def release(self) -> None:
        """Take the marker away if it is ours, and stop holding it. A failing store is no error: it marks a leftover."""
        self._stop_holding(lambda: self._store.remove(self._key))

    def abandon(self) -> None:
        """Stop holding it, and say so in the marker; what it left is removed by whoever asks for it next."""
        given_up = marker(self._token, self._started, time.time(), is_held=False)
        self._stop_holding(lambda: self._store.write(self._key, given_up))

    def _renew(self) -> bool:
        """Write the marker anew, unless it is another's or may be by now."""
        with ExitStack() as alone:
            began = time.time()
            if began - self._renewed >= LATE_AFTER_S:
                try:
                    cleaner = create_claim(self._store, cleaning_key(self._key), self._what, self._by)
                except ConflictError:
                    return False  # somebody clears it, or died at that
                alone.callback(cleaner.release)
            if not self.is_ours():
                return False
            self._store.write(self._key, marker(self._token, self._started, began))
            if time.time() - began >= LATE_AFTER_S:
                return False  # asleep since it was read: it may have been another's that was overwritten
        self._renewed = began
        return True

    def _stop_holding(self, change_marker: Callable[[], None]) -> None:
        try:
            if not self._is_over:
                with contextlib.suppress(HomeoboxError):
                    self.confirm()
                    with self._lock:
                        change_marker()
                        self._is_over = True  # nor does the thread bring the marker back
        finally:
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
        return Claim(store, key, token, started, what, by)
    except BaseException:
        held_tokens.discard(token)
        with contextlib.suppress(HomeoboxError):
            if has_token(store.read(key), token):  # no thread renews it, or it was made although the answer was lost
                store.remove(key)
        raise


def take_claim(
    store: _core.Store, key: str, what: str, by: str, remove: Callable[[Claim], object] = lambda cleaner: None
) -> Claim:
    """Claim `key`, from a dead holder too; `remove` clears what that one left, as in :func:`replace_dead`.

    Raises
    ------
    ConflictError
        Another holds it, or clears it at this moment.
    """
    existing = store.read(key)
    if existing is None:
        remove_dead_cleaners(store, key, what, by)
    elif is_alive(existing):
        raise ConflictError(f"{what} is held by another {by}: {existing.decode()}")
    else:
        replace_dead(store, key, existing, remove, what, by)
    return create_claim(store, key, what, by)


def replace_dead(
    store: _core.Store, key: str, dead_marker: bytes, remove: Callable[[Claim], object], what: str, by: str
) -> None:
    """Clear a claim whose writer died; of several that find it so, one does it and the others get ConflictError.

    `remove` clears what the dead one left, while nobody else can claim it. It gets the claim of the second marker, and
    renews it before each thing that it removes: without, a cleaner that slept could remove what another has written
    since. That is a claim like any other: of a cleaner which died it is taken over under a third marker, and so on.
    """
    try:
        cleaner = take_claim(store, cleaning_key(key), what, by)
    except ConflictError as error:
        raise ConflictError(f"leftovers in {what} are being removed by another {by}") from error
    try:
        if store.read(key) != dead_marker:
            raise ConflictError(f"{what} was claimed by another {by} at the same moment")
        remove(cleaner)
        cleaner.confirm()
        store.remove(key)  # last, so that a crash in between leaves it to be found
    finally:
        cleaner.release()


def cleaning_key(key: str) -> str:
    """Of the second marker."""
    return f"{key}.cleaning"


def is_marker(found: str, key: str) -> bool:
    """Whether `found` is the claim `key`, or the second marker of it, or the third and so on."""
    return found.startswith(key) and not found.removeprefix(key).replace(cleaning_key(""), "")


def remove_dead_cleaners(store: _core.Store, key: str, what: str, by: str) -> None:
    """Remove the second marker of a claim, the third and so on, each where its process died. One listing.

    Raises
    ------
    ConflictError
        One that lives is clearing the claim.
    """
    cleaners = [found for found, _ in store.list(cleaning_key(key)) if is_marker(found, key)]
    try:
        for cleaner in sorted(cleaners, key=len, reverse=True):
            take_claim(store, cleaner, what, by).release()
    except ConflictError as error:
        raise ConflictError(f"leftovers in {what} are being removed by another {by}") from error


class _Heart:
    """Renews the claims that this process holds, in a thread that lives while there are any."""

    def __init__(self) -> None:
        self._claims: set[Claim] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, claim: Claim) -> None:
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="hox-claims", daemon=True)
                thread.start()
                self._thread = thread
            self._claims.add(claim)
            self._changed.notify()

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
