"""The claim on a group: one small object that says who is writing there.

A fresh group is claimed by a conditional create of ``<group>/.hox-ingest``, so of two writers one gets it. A group
that has cells, now or in a snapshot, is taken for good; a claim whose writer is alive is respected; a claim whose
writer died is leftovers, and so is a finished group that nothing records any more: the next ingest of that name
removes them and starts again. A writer that was taken for dead (its machine slept) finds another's token in the
marker, and from then on touches nothing.

Groups of datasets do not lie inside one another: a claim is refused beside one above or below it (nesting.py), and what
removes a group leaves alone what is another's all the same.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from homeobox import _core
from homeobox.errors import ConflictError, HomeoboxError, InvalidArgumentError
from homeobox.ingest.nesting import MANIFEST, groups_above, groups_below, is_part
from homeobox.ingest.nesting import MARKER as MARKER

_CLEANING = f"{MARKER}.cleaning"

# A writer whose process cannot be looked up from here (another machine or container, or before a restart) counts as
# dead when it has not renewed its claim for this long.
_DEAD_AFTER_S = 15 * 60
_RENEW_EVERY_S = 60

# Tokens of the claims that this process holds now.
_held: set[str] = set()


class GroupClaim:
    """A held claim. Use as a context manager: leaving it by an error removes everything written to the group."""

    def __init__(
        self, store: _core.Store, group: str, token: str, started: float, *, holds_whole_group: bool = False
    ) -> None:
        self._store = store
        self._group = group
        self._token = token
        self._started = started
        self._renewed = started
        self._keep = False
        self._holds_whole_group = holds_whole_group
        _held.add(token)

    def renew(self) -> None:
        """Tell others that the writer lives; call often, it writes once a minute. Errors as :meth:`confirm`."""
        now = time.time()
        if now - self._renewed >= _RENEW_EVERY_S:
            self.confirm()
            self._renewed = now
            self._store.write(_marker_key(self._group), _marker(self._token, self._started, now))

    def confirm(self) -> None:
        """Ask whether the group is still ours.

        Raises
        ------
        ConflictError
            Another ingest took this writer for dead, and the group over.
        """
        if not self._is_ours():
            raise ConflictError(
                f"zarr group '{self._group}' was taken over by another ingest, because this one showed no sign of "
                f"life for more than {_DEAD_AFTER_S // 60} minutes"
            )

    def keep_objects(self) -> None:
        """From here on an error removes nothing: cells may point to it. If none do, the next ingest clears it."""
        self._keep = True

    def remove_objects(self) -> None:
        """Remove everything below the group but the claim. Errors as :meth:`confirm`."""
        self.confirm()
        _remove_objects(self._store, self._group, keep=_marker_key(self._group))

    def abandon(self) -> None:
        """Stop holding it; what it left is removed by whoever asks for the name next."""
        _held.discard(self._token)

    def __enter__(self) -> GroupClaim:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        try:
            if exc_type is not None and self._keep:
                return
            # What lies there may have become another's.
            if self._is_ours():
                if exc_type is None or self._holds_whole_group:
                    self._store.remove(_marker_key(self._group))
                else:
                    _remove_objects(self._store, self._group)
        except HomeoboxError:
            # After a success the dataset is there and its marker means nothing any more. After an error the first
            # error is the one to see, and what stays is leftovers, which the next ingest of the name removes.
            pass
        finally:
            self.abandon()

    def _is_ours(self) -> bool:
        marker = self._store.read(_marker_key(self._group))
        try:
            return marker is not None and json.loads(marker)["token"] == self._token
        except (ValueError, KeyError, TypeError):
            return False


def claim_group(
    store: _core.Store,
    group: str,
    check_free: Callable[[], object],
    *,
    replace_unclaimed: bool = False,
    forget_dead: Callable[[], object] = lambda: None,
    may_be_nested: bool = False,
) -> GroupClaim:
    """Claim `group`, which is a dataset's, or a part of one such as its feature-major copy or a layer.

    Parameters
    ----------
    check_free
        Raises if the group is whole, as when cells point to it, now or in a snapshot. Asked when its writer is known
        to be dead, right before what it left is removed: asked any earlier, the writer could still commit in between,
        and whole data would be removed.
    replace_unclaimed
        Objects that nobody claims are leftovers as well, unless `check_free` raises.
    forget_dead
        Removes what else a dead writer left, such as its dataset row. Called while nobody can claim the group, before
        its objects and its claim go, which are what says that the rest is leftovers.
    may_be_nested
        For those who only clear what is there: a finished or dead group above or below is no obstacle, and stays.

    Raises
    ------
    ConflictError
        Another writer holds it, or a group above or below it, or died there.
    InvalidArgumentError
        Objects lie there that no ingest of ours left, or a finished group lies above or below.
    """
    key = _marker_key(group)
    existing = store.read(key)
    _refuse_nested(store, group, may_be_nested=may_be_nested)
    if existing is None:
        remove_dead_cleaner(store, group)
        objects = store.list(f"{group}/")
        if _cleaning_key(group) in (found for found, _ in objects):
            raise ConflictError(f"leftovers in zarr group '{group}' are being removed by another ingest")
        if objects and not replace_unclaimed:
            check_free()
            _refuse_foreign(store, group, objects)
            replace_unclaimed = True  # a finished ingest left it, and nothing records its cells since a restore
    elif is_alive(existing):
        raise ConflictError(f"zarr group '{group}' is being written by another ingest: {existing.decode()}")
    else:
        try:
            check_free()
        except InvalidArgumentError:
            store.remove(key)  # the writer died between its commit and taking its marker away
            raise

        def remove() -> None:
            forget_dead()
            _remove_objects(store, group, keep=_cleaning_key(group))

        _replace_dead(store, group, existing, remove)
    claim = _new_claim(store, group, may_be_nested=may_be_nested)
    if replace_unclaimed:
        _remove_unclaimed(store, group, check_free, claim)
    return claim


def hold_group(store: _core.Store, group: str) -> GroupClaim:
    """Claim a group as it is, so that nobody writes there while its rows or its objects are removed.

    Leaving the claim removes nothing but the marker, after an error too.

    Raises
    ------
    ConflictError
        A living writer holds it, or a part of it.
    """
    dead = None
    for marker in markers_among(store, (key for key, _ in store.list(f"{group}/"))):
        if is_alive(marker.content):
            raise ConflictError(
                f"zarr group '{marker.path}' is being written by another process: {marker.content.decode()}"
            )
        if marker.key == _marker_key(group):
            dead = marker.content
    if dead is not None:
        _replace_dead(store, group, dead, lambda: store.remove(_marker_key(group)))
    return _new_claim(store, group, holds_whole_group=True, may_be_nested=True)


@dataclass(frozen=True)
class Marker:
    """A stored marker: who claims a path, or clears it of what a dead writer left."""

    path: str
    content: bytes
    is_cleaner: bool

    @property
    def key(self) -> str:
        return _cleaning_key(self.path) if self.is_cleaner else _marker_key(self.path)


def markers_among(store: _core.Store, keys: Iterable[str]) -> list[Marker]:
    """The markers among the keys of a listing, read."""
    found = []
    for key in keys:
        path, _, name = key.rpartition("/")
        if name in (MARKER, _CLEANING) and (content := store.read(key)) is not None:
            found.append(Marker(path, content, name == _CLEANING))
    return found


def _new_claim(
    store: _core.Store, group: str, *, holds_whole_group: bool = False, may_be_nested: bool = False
) -> GroupClaim:
    token = secrets.token_hex(8)
    started = time.time()
    if not store.create(_marker_key(group), _marker(token, started, started)):
        raise ConflictError(f"zarr group '{group}' was claimed by another ingest at the same moment")
    claim = GroupClaim(store, group, token, started, holds_whole_group=holds_whole_group)
    try:
        # Once more, now that whoever asks for a group above or below sees this marker: of two at least one gives way.
        _refuse_nested(store, group, may_be_nested=may_be_nested)
    except BaseException:
        claim.abandon()
        store.remove(_marker_key(group))
        raise
    return claim


def _refuse_nested(store: _core.Store, group: str, *, may_be_nested: bool) -> None:
    above = groups_above(group)
    below = groups_below(group, [key for key, _ in store.list(f"{group}/")])
    for other in [*above, *below]:
        marker = store.read(_marker_key(other))
        if marker is not None and is_alive(marker):
            raise ConflictError(
                f"zarr group '{other}', which '{group}' would lie {'inside' if other in above else 'around'}, is being "
                f"written by another process: {marker.decode()}"
            )
        ours = is_part(group, other) if other in above else is_part(other, group)
        whole = store.size(f"{other}/{MANIFEST}") is not None
        if may_be_nested or (ours and (other in above or not whole)):
            continue
        where = f"zarr_group '{group}' would lie {'inside' if other in above else 'around'} the group '{other}'"
        if whole:
            raise InvalidArgumentError(f"{where} of another dataset; choose another zarr_group")
        if marker is not None:
            raise ConflictError(f"{where}, which an ingest that died has left; clean() removes it")


def _refuse_foreign(store: _core.Store, group: str, objects: list[tuple[str, int]]) -> None:
    """A manifest says that an ingest of ours finished there; anything else may be somebody's only copy."""
    if f"{group}/{MANIFEST}" not in (key for key, _ in objects):
        raise InvalidArgumentError(
            f"zarr group '{group}' already exists in {store.describe()} with {len(objects)} object(s), "
            f"such as '{objects[0][0]}', which no finished ingest left; choose another zarr_group"
        )


def _remove_unclaimed(store: _core.Store, group: str, check_free: Callable[[], object], claim: GroupClaim) -> None:
    """Clear a group that was claimed just now over what lay there; gives the claim back if it is whole."""
    try:
        check_free()
    except BaseException:
        claim.abandon()
        store.remove(_marker_key(group))
        raise
    try:
        _remove_objects(store, group, keep=_marker_key(group))
    except BaseException:
        claim.abandon()  # its marker stays, so that the rest is known to be leftovers
        raise


def remove_dead_cleaner(store: _core.Store, group: str) -> bool:
    """Remove the second marker of those who clear a group, where its process died; says whether there was one."""
    key = _cleaning_key(group)
    cleaner = store.read(key)
    if cleaner is not None and not is_alive(cleaner):
        store.remove(key)
        return True
    return False


def _replace_dead(store: _core.Store, group: str, dead_marker: bytes, remove: Callable[[], object]) -> None:
    """Clear a claim whose writer died; of several that find it so, one does it and the others get ConflictError.

    Without the second marker a slow cleaner could remove what a faster one has already begun to write.
    """
    key = _cleaning_key(group)
    remove_dead_cleaner(store, group)
    now = time.time()
    token = secrets.token_hex(8)
    if not store.create(key, _marker(token, now, now)):
        raise ConflictError(f"leftovers in zarr group '{group}' are being removed by another ingest")
    _held.add(token)
    try:
        if store.read(_marker_key(group)) != dead_marker:
            raise ConflictError(f"zarr group '{group}' was claimed by another ingest at the same moment")
        remove()
    finally:
        _held.discard(token)
        store.remove(key)


def _cleaning_key(group: str) -> str:
    return f"{group}/{_CLEANING}"


def _marker_key(group: str) -> str:
    return f"{group}/{MARKER}"


def _marker(token: str, started: float, renewed: float) -> bytes:
    writer = {
        "token": token,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_started": _process_start(os.getpid()),
        **_process_table(),
        "started": started,
        "renewed": renewed,
    }
    return json.dumps(writer).encode()


def age_s(marker: bytes) -> float:
    """Seconds since a claim was renewed; not a number where it does not say."""
    try:
        return max(time.time() - float(json.loads(marker)["renewed"]), 0.0)
    except (ValueError, KeyError, TypeError):
        return float("nan")


def is_alive(marker: bytes) -> bool:
    """Whether the writer of a claim still writes, as far as can be known from here."""
    try:
        writer = json.loads(marker)
        host, pid, token, renewed = writer["host"], int(writer["pid"]), writer["token"], float(writer["renewed"])
    except (ValueError, KeyError, TypeError):
        return False  # cut short while it was written: nobody holds it
    if host != socket.gethostname() or any(writer.get(key) != here for key, here in _process_table().items()):
        return time.time() - renewed < _DEAD_AFTER_S
    if pid == os.getpid() and writer.get("process_started") == _process_start(pid):
        return token in _held
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, under another user
    return bool(writer.get("process_started") == _process_start(pid))


def _process_table() -> dict[str, str | None]:
    """Says whether a process number means the same here: it does only in one pid namespace of one running kernel."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as boot:
            return {"boot": boot.read().strip(), "pid_namespace": os.readlink("/proc/self/ns/pid")}
    except OSError:
        return {"boot": None, "pid_namespace": None}


def _process_start(pid: int) -> str | None:
    """Tells a process from a later one with the same number; None where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _remove_objects(store: _core.Store, group: str, keep: str | None = None) -> None:
    """Everything below the group but other datasets' groups, which atlases of before may have there.

    The claim goes last, so that a crash in between leaves it to be found.
    """
    marker = _marker_key(group)
    keys = [key for key, _ in store.list(f"{group}/")]
    of_others = tuple(f"{other}/" for other in groups_below(group, keys) if not _is_own(store, other, group))
    for key in keys:
        if key not in (marker, keep) and not key.startswith(of_others):
            store.remove(key)
    if marker != keep:
        store.remove(marker)


def _is_own(store: _core.Store, other: str, group: str) -> bool:
    return is_part(other, group) and store.size(f"{other}/{MANIFEST}") is None
