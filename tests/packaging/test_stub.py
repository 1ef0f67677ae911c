"""The checked-in type stub says what the compiled module says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_stub_is_that_of_the_module() -> None:
    pytest.importorskip("nanobind")
    command = [sys.executable, str(ROOT / "tools" / "make_stubs.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
