"""A writer may be killed at any moment: nothing is half there, nothing is lost, and old snapshots stay as they were."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

# Each kill costs a second or two; HOX_FULL=1 takes the hundred that a release has to stand.
N_KILLS = 100 if os.environ.get("HOX_FULL") else 8


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    script = Path(__file__).with_name("killed_at_random.py")
    seed = random.SystemRandom().randrange(1 << 30)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(script.parent.parent), *sys.path])}
    command = [sys.executable, str(script), str(tmp_path), str(N_KILLS), str(seed)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    print(run.stdout)
    assert run.returncode == 0, run.stderr
