"""Write the type stub of the compiled module, python/homeobox/_core.pyi, or check that it is up to date.

    python tools/make_stubs.py [--check]

The stub is generated from the installed module and checked in, so that mypy and editors need no build.
Docstrings are left out: they belong to the module, where `help()` finds them.
"""

from __future__ import annotations

import argparse
import difflib
import subprocess
import sys
import tempfile
from pathlib import Path

STUB = Path(__file__).resolve().parents[1] / "python" / "homeobox" / "_core.pyi"


def generate() -> str:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / STUB.name
        command = [sys.executable, "-m", "nanobind.stubgen", "--quiet", "-D", "-m", "homeobox._core", "-o", str(out)]
        subprocess.run(command, check=True)
        format_command = [sys.executable, "-m", "ruff", "format", "--quiet", "--line-length", "120", str(out)]
        subprocess.run(format_command, check=True)
        return out.read_text()


def difference() -> list[str]:
    """Unified diff from the file to what the module says; empty when they agree."""
    stored = STUB.read_text() if STUB.exists() else ""
    return list(difflib.unified_diff(stored.splitlines(), generate().splitlines(), "checked in", "module", lineterm=""))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 and show a difference")
    if not parser.parse_args().check:
        STUB.write_text(generate())
        return 0
    if lines := difference():
        print("\n".join([*lines, "run `make stubs`"]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
