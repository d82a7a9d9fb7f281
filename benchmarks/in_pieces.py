"""Runs a suite in pieces of a given time until all is done, and holds it against the suite in one go.

    python benchmarks/in_pieces.py suites/quickstart.yaml [--time-limit 40s] [--set KEY=VALUE]

Ends with 1 unless every piece but the last ends with exit code 3 and at least one run more than the piece before, the
last ends with 0, and matrices, details, predictions, weights, learning curves and digests of every run are the same
bits as in one go. A piece in which no run is done, because the longest does not fit into one, is told as such.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run_facts import facts

from segbench.cli.terminal.output import write_table
from segbench.results.environment import capture

SOMETHING_LEFT = 3


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        whole, parts = Path(name) / "whole", Path(name) / "parts"
        seconds, code = piece(arguments, whole)
        print(f"in one go: {seconds:.0f} s, exit code {code}, {len(facts(whole))} runs", flush=True)
        rows: list[tuple[int, float, int, int]] = []
        while not rows or (rows[-1][2] == SOMETHING_LEFT and len(rows) < arguments.most):
            seconds, code = piece(arguments, parts, "--time-limit", arguments.time_limit)
            rows.append((len(rows) + 1, seconds, code, len(facts(parts))))
            print("piece {}: {:.0f} s, exit code {}, {} runs done".format(*rows[-1]), flush=True)
        equal = facts(parts) == facts(whole)
    write_table(["piece", "seconds", "exit code", "runs done"], [(n, f"{s:.1f}", c, d) for n, s, c, d in rows])
    done = [0, *(row[3] for row in rows)]
    idle = [row[0] for row, before in zip(rows, done, strict=False) if row[3] == before]
    machine = capture("cpu")
    print(
        f"{'all results equal bit for bit' if equal else 'RESULTS DIFFER'}\n"
        f"pieces without a run more: {idle or 'none'}\n"
        f"{machine['processor']}, {machine['cores']} cores, torch {machine['versions']['torch']}"
    )
    codes = [row[2] for row in rows]
    return 0 if equal and not idle and codes[-1] == 0 and set(codes[:-1]) <= {SOMETHING_LEFT} else 1


def piece(arguments: argparse.Namespace, results: Path, *options: str) -> tuple[float, int]:
    """Run the command once; return the seconds that it took and its exit code."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "segbench", "run", arguments.suite, "--results", results, "--no-report"]
    sets = [part for change in arguments.set or () for part in ("--set", change)]
    done = subprocess.run(
        [*command, "--no-speed", "--jobs", "1", *sets, *options],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, SOMETHING_LEFT):
        raise SystemExit(done.stderr)
    return time.perf_counter() - started, done.returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite")
    parser.add_argument("--time-limit", default="40s")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE")
    parser.add_argument("--most", type=int, default=40, help="pieces at most")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
