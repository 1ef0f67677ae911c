"""Run every benchmark and, on request, keep the figures as JSON.

    python tools/run_benchmarks.py --build build/editable [--json FILE] [--filter REGEX]

Google Benchmark programs, one per layer, print their own tables. ``benchmarks/gather.py`` and ``loader.py`` compare
the gather and training batches with plain copies, ``benchmarks/atlas.py`` times the warm operations of a user on a
fresh atlas, ``sizes.py`` and ``loader_memory.py`` measure bits per count and memory, ``ingest.py`` how fast a dataset
goes in and in how much memory.
Rates wander on shared machines, so compare ratios within one run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[1] / "benchmarks"
# Programs that need a prepared folder, and the script that makes it and runs them.
SCRIPTED = {"gather_bench": "gather", "copy_bench": "loader"}


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


def run_script(name: str, *arguments: object) -> Any:
    """What the script writes to its --json file: one document, or one line per row."""
    print(f"== {name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        command = [sys.executable, SCRIPTS / f"{name}.py", *arguments, "--json", out]
        subprocess.run([str(part) for part in command], check=True)
        text = out.read_text()
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="build folder with the target hox_benchmarks")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--filter", default="", help="run only the C++ benchmarks whose name matches")
    arguments = parser.parse_args()

    programs = sorted(path for path in (arguments.build / "bench").glob("*_bench") if path.name not in SCRIPTED)
    figures: dict[str, Any] = {"core": run_core(programs, arguments.filter)}
    if not arguments.filter:
        for program, script in SCRIPTED.items():
            figures[script] = run_script(script, arguments.build / "bench" / program)
        for script in ("atlas", "sizes", "loader_memory", "ingest"):
            figures[script] = run_script(script)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
