"""Tells how long the gate of a pull request takes: three tiny networks of this repository's HEAD against itself.

    python benchmarks/gate_time.py [--models unet,segnet,fc_densenet56] [--base HEAD]

Runs the command of .github/workflows/speed.yml, shows its table, and ends with 1 if it takes more than five minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from segbench.cli.terminal.output import duration
from segbench.results.environment import capture

MOST_SECONDS = 300.0
ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="unet,segnet,fc_densenet56", help="networks, separated by commas")
    parser.add_argument("--base", default="HEAD", help="the revision to compare HEAD with")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "segbench", "regress", "ab", "--base", arguments.base, "--head", "HEAD"]
    command += ["--models", arguments.models, "--set", "width=0.125", "--size", "64x64"]
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=False)
    seconds = time.monotonic() - start
    machine = capture("cpu")
    print(
        f"exit code {done.returncode}, {duration(seconds)}, at most {duration(MOST_SECONDS)} wanted\n"
        f"{machine['processor']}, {machine['cores']} cores, torch {machine['versions']['torch']}"
    )
    return 0 if done.returncode in (0, 3) and seconds <= MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
