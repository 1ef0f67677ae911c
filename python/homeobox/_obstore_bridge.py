"""Serves the requests of `_core.ObstoreStore` with obstore, on one thread with an event loop.

The core queues requests and signals a descriptor; the loop takes them, awaits obstore and completes them. Nothing
but this thread runs Python code for a store. It starts with the first store and stops at exit; a forked child has
none, which the core notices before it queues anything.
"""

import asyncio
import atexit
import functools
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import obstore
import obstore.exceptions as obstore_errors
from obstore.store import ObjectStore

from homeobox.errors import InvalidArgumentError

# How long exit waits for requests in flight to notice that they are cancelled, and how often it looks.
_STOP_TIMEOUT_S = 5.0
_POLL_S = 0.002

_MISSING = (FileNotFoundError, obstore_errors.NotFoundError)

# Errors that come again however often the request is repeated. obstore has retried the others already, but they may
# be gone later.
_PERMANENT = (
    obstore_errors.AlreadyExistsError,
    obstore_errors.InvalidPathError,
    obstore_errors.NotModifiedError,
    obstore_errors.NotSupportedError,
    obstore_errors.PermissionDeniedError,
    obstore_errors.PreconditionError,
    obstore_errors.UnauthenticatedError,
    obstore_errors.UnknownConfigurationKeyError,
    NotImplementedError,
    PermissionError,
    TypeError,
    ValueError,
)


# Futures that a thread of obstore still holds. Such a thread needs the interpreter to let go of one, and aborts the
# process if it comes back when there is no interpreter any more.
_in_flight: weakref.WeakSet[Awaitable[Any]] = weakref.WeakSet()


def _tracked(future: Awaitable[Any]) -> Awaitable[Any]:
    _in_flight.add(future)
    return future


async def _read(store: ObjectStore, key: str, _: None) -> Any:
    result = await _tracked(obstore.get_async(store, key))
    return await _tracked(result.bytes_async())


async def _read_ranges(store: ObjectStore, key: str, ranges: tuple[list[int], list[int]]) -> Any:
    begins, ends = ranges
    # The core has joined what is worth joining.
    return await _tracked(obstore.get_ranges_async(store, key, starts=begins, ends=ends, coalesce=0))


async def _read_suffix(store: ObjectStore, key: str, n_bytes: int) -> tuple[Any, int]:
    if n_bytes == 0:
        return b"", await _size(store, key, None)
    try:
        result = await _tracked(obstore.get_async(store, key, options={"range": {"suffix": n_bytes}}))
        return await _tracked(result.bytes_async()), result.meta["size"]
    except obstore_errors.NotSupportedError:  # Azure has no suffix ranges
        size = await _size(store, key, None)
        begin = max(0, size - n_bytes)
        return (await _tracked(obstore.get_range_async(store, key, start=begin, end=size)) if size else b""), size
    except obstore_errors.GenericError:
        if await _size(store, key, None) == 0:  # S3 says that an empty object has no suffix
            return b"", 0
        raise


async def _size(store: ObjectStore, key: str, _: None) -> int:
    return (await _tracked(obstore.head_async(store, key)))["size"]


async def _write(store: ObjectStore, key: str, data: bytes) -> None:
    await _tracked(obstore.put_async(store, key, data))


async def _create(store: ObjectStore, key: str, data: bytes) -> bool:
    try:
        await _tracked(obstore.put_async(store, key, data, mode="create"))
    except obstore_errors.AlreadyExistsError:
        return False
    return True


async def _remove(store: ObjectStore, key: str, _: None) -> None:
    await _tracked(obstore.delete_async(store, key))


async def _list(store: ObjectStore, directory: str, _: None) -> list[tuple[str, int]]:
    objects = await _tracked(obstore.list(store, prefix=directory or None).collect_async())
    return [(entry["path"], entry["size"]) for entry in objects]


_OPERATIONS: dict[str, Callable[[Any, str, Any], Awaitable[Any]]] = {
    "read": _read,
    "read_ranges": _read_ranges,
    "read_suffix": _read_suffix,
    "size": _size,
    "write": _write,
    "create": _create,
    "remove": _remove,
    "list": _list,
}


def _describe(store: ObjectStore) -> str:
    text = repr(store)
    return f"obstore {type(store).__name__}" if text.startswith("<") else text


class _Dispatcher:
    """The thread, its event loop, and the stores and tasks that only it touches."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self._pid = os.getpid()
        self._stores: dict[int, ObjectStore] = {}
        self._last_store_id = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        self._loop.add_reader(core.start(), self._serve_waiting)
        self._thread = threading.Thread(target=self._loop.run_forever, name="hox-obstore", daemon=True)
        self._thread.start()
        atexit.register(self._stop)

    def add(self, store: ObjectStore) -> int:
        """Keep a store; the number lasts until the core says "forget"."""
        self._last_store_id += 1
        self._stores[self._last_store_id] = store
        return self._last_store_id

    def _serve_waiting(self) -> None:
        for request_id, operation, store_id, key, argument in self._core.take():
            if operation == "cancel":
                if task := self._tasks.get(request_id):
                    task.cancel()
            elif operation == "forget":
                self._stores.pop(store_id, None)
            else:
                serve = self._serve(request_id, operation, self._stores[store_id], key, argument)
                task = self._tasks[request_id] = self._loop.create_task(serve)
                # Not at the end of the coroutine, which a task cancelled at once never enters.
                task.add_done_callback(functools.partial(self._forget_task, request_id))

    def _forget_task(self, request_id: int, _: asyncio.Task[None]) -> None:
        del self._tasks[request_id]

    async def _serve(self, request_id: int, operation: str, store: ObjectStore, key: str, argument: Any) -> None:
        try:
            self._core.complete(request_id, await _OPERATIONS[operation](store, key, argument))
        except _MISSING:
            self._core.complete_missing(request_id)
        except Exception as error:
            # obstore appends its internal state after an empty line.
            reason = str(error).partition("\n\n")[0] or type(error).__name__
            message = f'{_describe(store)}, key "{key}": {reason}'
            self._core.fail(request_id, message, not isinstance(error, _PERMANENT))

    def _stop(self) -> None:
        if os.getpid() != self._pid:
            return
        self._core.close()
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop)
        self._thread.join(_STOP_TIMEOUT_S)

    async def _finish(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
        while self._tasks or _in_flight:
            await asyncio.sleep(_POLL_S)
        self._loop.stop()


_dispatcher: _Dispatcher | None = None
_lock = threading.Lock()


def register(core: Any, store: ObjectStore) -> tuple[int, str]:
    """Keep a store of obstore for the core.

    Parameters
    ----------
    core : module
        The functions of the core that take and complete requests.
    store : obstore store

    Returns
    -------
    store_id : int
    description : str
        For messages; holds no credentials.
    """
    global _dispatcher
    if not isinstance(store, ObjectStore):
        raise InvalidArgumentError(f"ObstoreStore: a store of obstore expected, found {type(store).__name__}")
    with _lock:
        if _dispatcher is None:
            _dispatcher = _Dispatcher(core)
        return _dispatcher.add(store), _describe(store)
