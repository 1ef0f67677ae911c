"""Run every benchmark and, on request, keep the figures as JSON.

    python tools/run_benchmarks.py --build build/editable [--json FILE] [--filter REGEX]

The C++ programs (Google Benchmark, one per layer) print their own tables; the atlas benchmark times the warm
operations of a user on a fresh atlas. Rates wander on shared machines, so compare ratios within one run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parent


def run_core(programs: list[Path], pattern: str) -> list[dict[str, Any]]:
    """The rows of each C++ program, with the program's name added."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for program in programs:
            out = Path(folder) / f"{program.name}.json"
            command = [program, f"--benchmark_out={out}", "--benchmark_out_format=json"]
            if pattern:
                command.append(f"--benchmark_filter={pattern}")
            print(f"== {program.name}", flush=True)
            subprocess.run(command, check=True)
            if out.stat().st_size:
                rows += [{"program": program.name, **row} for row in json.loads(out.read_text())["benchmarks"]]
    return rows


def run_atlas() -> dict[str, Any]:
    print("== atlas", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "atlas.json"
        subprocess.run([sys.executable, TOOLS / "bench_atlas.py", "--json", out], check=True)
        return json.loads(out.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="build folder with the target hox_benchmarks")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--filter", default="", help="run only the C++ benchmarks whose name matches")
    arguments = parser.parse_args()

    programs = sorted(path for path in (arguments.build / "bench").glob("*") if path.is_file())
    figures: dict[str, Any] = {"core": run_core(programs, arguments.filter)}
    if not arguments.filter:
        figures["atlas"] = run_atlas()
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
