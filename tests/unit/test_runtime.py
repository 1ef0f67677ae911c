"""Ctrl-C, fork and interpreter exit, each in a process of its own."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from homeobox import _core

TIMEOUT_S = 60


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter; raises if it hangs."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def interrupt(code: str) -> tuple[int, str, str]:
    """Run code, send SIGINT once it has printed a line, and give its status and output."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    return process.returncode, output, errors


STUCK_STORES = {
    "slow": "_core.SlowStore(_core.MemoryStore(), delay_s=3600)",
    "retrying": """_core.RetryingStore(
        _core.FailingStore(_core.MemoryStore(), fail_on=1, n_failures=10**9, retryable=True),
        first_wait_s=3600, max_wait_s=3600)""",
    "obstore": "_core.ObstoreStore(stuck_server())",
}

# A server that accepts connections and never answers.
STUCK_SERVER = """
import socket
from homeobox import _core

def stuck_server():
    import obstore.store
    global listener
    listener = socket.create_server(("127.0.0.1", 0))
    return obstore.store.HTTPStore(
        f"http://127.0.0.1:{listener.getsockname()[1]}",
        client_options={"allow_http": True, "timeout": "3600s"})
"""


@pytest.mark.parametrize("store", STUCK_STORES)
def test_interrupt_raises_keyboard_interrupt(store: str) -> None:
    status, output, errors = interrupt(f"""{STUCK_SERVER}
store = {STUCK_STORES[store]}
import threading
threading.Timer(0.2, print, ["ready"], {{"flush": True}}).start()
try:
    store.read("key")
except KeyboardInterrupt:
    print("interrupted")
""")
    assert (status, output) == (0, "interrupted\n"), errors


def test_interrupt_keeps_what_the_signal_handler_raised() -> None:
    status, output, errors = interrupt("""
        import signal, threading
        from homeobox import _core

        class Asked(Exception):
            pass

        def ask(*_):
            raise Asked
        signal.signal(signal.SIGINT, ask)
        threading.Timer(0.2, print, ["ready"], {"flush": True}).start()
        try:
            _core.SlowStore(_core.MemoryStore(), delay_s=3600).size("key")
        except Asked:
            print("asked")
        assert _core.MemoryStore().size("key") is None
    """)
    assert (status, output) == (0, "asked\n"), errors


def test_a_signal_without_an_error_does_not_stop_the_call() -> None:
    status, output, errors = interrupt("""
        import signal, threading
        from homeobox import _core

        signal.signal(signal.SIGINT, lambda *_: print("handled", flush=True))
        threading.Timer(0.2, print, ["ready"], {"flush": True}).start()
        assert _core.SlowStore(_core.MemoryStore(), delay_s=1).size("key") is None
    """)
    assert (status, output) == (0, "handled\n"), errors


@pytest.mark.parametrize("store", STUCK_STORES)
def test_exit_does_not_wait_for_a_thread_in_a_call(store: str) -> None:
    result = run(f"""{STUCK_SERVER}
import threading, time
store = {STUCK_STORES[store]}
threading.Thread(target=store.read, args=["key"], daemon=True).start()
time.sleep(0.3)
""")
    assert result.returncode == 0, result.stderr


def test_exit_while_daemon_threads_come_and_go(tmp_path: Path) -> None:
    result = run(f"""
import threading, time
import obstore.store
from homeobox import _core
stores = [
    _core.MemoryStore(), _core.FileStore({str(tmp_path)!r}), _core.SlowStore(_core.MemoryStore(), delay_s=1e-3),
    _core.ObstoreStore(obstore.store.MemoryStore()), _core.SlowStore(_core.MemoryStore(), delay_s=0.1)]

def work(store):
    while True:
        try:
            store.read("key")
        except _core.CancelledError:
            pass
for store in stores:
    threading.Thread(target=work, args=[store], daemon=True).start()
time.sleep(0.3)
""")
    assert (result.returncode, result.stderr) == (0, "")


def test_exit_with_stores_that_live_to_the_end() -> None:
    result = run("""
        import builtins, sys
        import obstore.store
        from homeobox import _core

        class Last:
            def __init__(self, store):
                self.store = store
            def __del__(self):
                try:
                    self.store.read("key")
                except _core.CancelledError:
                    pass

        builtins.kept = Last(_core.ObstoreStore(obstore.store.MemoryStore()))
        builtins.kept.store.write("key", b"x")
        cycle = [Last(_core.CountingStore(builtins.kept.store))]
        cycle.append(cycle)
    """)
    assert (result.returncode, result.stderr) == (0, "")


FORK = """
import os, sys

def status_of_child(call):
    child = os.fork()
    if child == 0:
        try:
            call()
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            sys.exit(3)  # an orderly exit, which runs the exit handlers
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


def test_a_forked_child_is_refused_the_dispatcher() -> None:
    result = run(f"""{FORK}
import obstore.store
from homeobox import _core
store = _core.ObstoreStore(obstore.store.MemoryStore())
store.write("key", b"x")
assert status_of_child(lambda: store.read("key")) == 3
assert status_of_child(lambda: _core.ObstoreStore(obstore.store.MemoryStore())) == 3
assert store.read("key") == b"x"
""")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("UnsupportedError") == 2
    assert "forkserver" in result.stdout


def test_a_forked_child_may_use_files_and_start_what_did_not_run() -> None:
    result = run(f"""{FORK}
import tempfile
from homeobox import _core

def use_files():
    with tempfile.TemporaryDirectory() as directory:
        store = _core.FileStore(directory)
        store.write("key", b"x")
        assert store.read("key") == b"x"

def use_obstore():
    import obstore.store
    store = _core.ObstoreStore(obstore.store.MemoryStore())
    store.write("key", b"x")
    assert store.read("key") == b"x"

use_files()
assert status_of_child(use_files) == 0
assert status_of_child(use_obstore) == 0
""")
    assert result.returncode == 0, result.stdout + result.stderr


def test_runtime_info() -> None:
    info = _core.runtime_info()
    assert set(info) == {"cpu_threads", "io_threads", "available_cpus"}
    assert 1 <= info["available_cpus"] <= len(os.sched_getaffinity(0))


def test_environment_sets_the_pools() -> None:
    code = "from homeobox import _core; print(_core.runtime_info())"
    result = run(code, HOX_THREADS="3", HOX_IO_THREADS="5")
    assert "'cpu_threads': 3, 'io_threads': 5" in result.stdout
    result = run(code, HOX_THREADS="many")
    assert "InvalidArgumentError: HOX_THREADS" in result.stderr
