"""Run each fuzz target for a while, starting from its corpus.

    python tools/run_fuzzers.py [--build build/fuzz] [--seconds 30]

Seeds lie in ``cpp/fuzz/corpus/<target>/``; new inputs and crashes go to ``fuzz-out/<target>/``. A find that was fixed
joins the corpus. Exits 1 if a target crashes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(target: Path, seconds: int) -> bool:
    """Whether the target survived."""
    out = ROOT / "fuzz-out" / target.name
    out.mkdir(parents=True, exist_ok=True)
    corpora = [out]
    seeds = ROOT / "cpp" / "fuzz" / "corpus" / target.name
    if seeds.is_dir():
        corpora.append(seeds)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={out}/", "-rss_limit_mb=4096", "-print_final_stats=1"]
    print(f"== {target.name}", flush=True)
    return subprocess.run([target, *options, *corpora], check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--seconds", type=int, default=30)
    arguments = parser.parse_args()
    targets = sorted(path for path in (arguments.build / "fuzz").glob("*") if path.is_file())
    if not targets:
        print(f"no fuzz targets in {arguments.build}/fuzz: run `make fuzz`, which builds them")
        return 1
    crashed = [target.name for target in targets if not run(target, arguments.seconds)]
    if crashed:
        print(f"crashed: {', '.join(crashed)}; the inputs are in fuzz-out/")
    return 1 if crashed else 0


if __name__ == "__main__":
    sys.exit(main())
