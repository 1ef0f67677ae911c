"""What a claim says: who holds it, since when, and whether that process still lives.

Where a process can be looked up (the same pid namespace of the same running kernel) it lives if it is there. Elsewhere,
and where the system hides the processes of other users, it lives if it renewed its claim lately, so clocks of machines
that share an atlas must agree to within minutes.
"""

from __future__ import annotations

import json
import os
import socket
import time

# A writer whose process cannot be looked up from here (another machine or container, or before a restart) counts as
# dead when it has not renewed its claim for this long.
DEAD_AFTER_S = 15 * 60

# Tokens of the claims that this process holds now.
held_tokens: set[str] = set()


def marker(token: str, started: float, renewed: float, *, is_held: bool = True) -> bytes:
    """The document of a claim that this process holds, or has given up."""
    writer = {
        "token": token,
        "host": socket.gethostname(),
        "pid": os.getpid() if is_held else None,
        "process_started": _process_start(os.getpid()),
        **_process_table(),
        "started": started,
        "renewed": renewed,
    }
    return json.dumps(writer).encode()


def has_token(document: bytes | None, token: str) -> bool:
    """Whether a claim is the one with this token."""
    try:
        return document is not None and json.loads(document)["token"] == token
    except (ValueError, KeyError, TypeError):
        return False


def age_s(document: bytes) -> float:
    """Seconds since a claim was renewed; not a number where it does not say."""
    try:
        return max(time.time() - float(json.loads(document)["renewed"]), 0.0)
    except (ValueError, KeyError, TypeError):
        return float("nan")


def is_alive(document: bytes) -> bool:
    """Whether the writer of a claim still writes, as far as can be known from here."""
    try:
        writer = json.loads(document)
        if writer["pid"] is None:
            return False  # given up
        host, pid, token, renewed = writer["host"], int(writer["pid"]), writer["token"], float(writer["renewed"])
    except (ValueError, KeyError, TypeError):
        return False  # cut short while it was written: nobody holds it
    if host != socket.gethostname() or any(writer.get(key) != here for key, here in _process_table().items()):
        return _is_recent(renewed)
    if pid == os.getpid() and writer.get("process_started") == _process_start(pid):
        return token in held_tokens
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, under another user
    there = _process_start(pid)
    if there is None and writer.get("process_started") is not None:
        return _is_recent(renewed)  # hidden from this user, so it may also be a later process with the same number
    return bool(writer.get("process_started") == there)


def _is_recent(renewed: float) -> bool:
    return time.time() - renewed < DEAD_AFTER_S


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
