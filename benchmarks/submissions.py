"""Simulates a community's leaderboard: many people each train a network and pack it; one merges, verifies and ranks.

    python benchmarks/submissions.py [--submissions 10000] [--suites 10] [--seeds 5] [--images 233] [--classes 11]

A submission is the archive of one run. Five of them, one a seed, make a row of a leaderboard, of which there is one for
each suite. Each is packed by itself and deleted once it is merged, as if it came by mail; then `segbench results verify
--no-data` looks at all of them, and `segbench leaderboard` ranks each suite, as whole processes. Prints what a step
takes in all and for one submission: time, disk, and memory, which packing and merging share. Scores are drawn at random
(`report_scale.py`), by default with as many images and classes as CamVid's test split. Ends with 1 where a step fails,
where a network has no score in the end, or where the last tenth of the merges takes more than twice as long as the
first: a leaderboard may not become slower to add to.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from limits import Used, peak_bytes, used_by
from report_scale import networks_ranked, write_run

from segbench.cli.terminal.output import byte_count, duration, write_table
from segbench.results.archive.merge import merge
from segbench.results.archive.pack import pack
from segbench.results.environment import capture

MOST_GROWTH = 2.0


def main() -> int:
    """Simulate it; see above."""
    given = _arguments()
    rows_each = given.submissions // (given.seeds * given.suites)
    count, failed = rows_each * given.seeds * given.suites, list[str]()
    if rows_each < 2:
        sys.exit(f"--submissions {given.submissions}: expected two networks of {given.seeds} seeds for each suite")
    with tempfile.TemporaryDirectory() as name:
        results, reports = Path(name) / "results", Path(name) / "reports"
        packing, merging, archived = submit(Path(name), results, count, given)
        memory = byte_count(peak_bytes(resource.getrusage(resource.RUSAGE_SELF)))
        size = sum(file.stat().st_size for file in results.rglob("*") if file.is_file())
        rows = [
            [
                "pack",
                duration(sum(packing)),
                f"{1e3 * sum(packing) / count:.1f} ms",
                memory,
                byte_count(archived // count),
            ],
            [
                "merge",
                duration(sum(merging)),
                f"{1e3 * sum(merging) / count:.1f} ms",
                memory,
                byte_count(size // count),
            ],
        ]
        command = ("-m", "segbench", "results", "verify", str(results), "--no-data")
        rows.append(row("verify", [used_by(*command)], count, failed))
        used = list[Used]()
        for suite in suites_of(given):
            command = ("-m", "segbench", "leaderboard", str(results / suite), "--reports", str(reports))
            used.append(used_by(*command))
            if networks_ranked(reports, suite) != rows_each:
                failed.append(f"{suite}: {networks_ranked(reports, suite)} of {rows_each} networks have a score")
        rows.append(row("leaderboards and reports", used, count, failed))
    write_table(
        ["step", "in all", "a submission", "memory", "disk, a submission"], rows, right=["in all", "a submission"]
    )
    growth = slowdown(merging)
    machine = capture("cpu")
    print(
        f"{count:,} submissions of {given.suites} suites with {rows_each} networks each, {given.images} images, "
        f"{given.classes} classes; the last tenth of the merges took {growth:.2f} times as long as the first\n"
        f"{machine['processor']}, {machine['cores']} cores"
    )
    if growth > MOST_GROWTH:
        failed.append("merging becomes slower")
    for reason in failed:
        print(f"missed: {reason}")
    return 1 if failed else 0


def submit(place: Path, results: Path, count: int, given: argparse.Namespace) -> tuple[list[float], list[float], int]:
    """Pack and merge each submission; return the seconds of each packing and merge, and the bytes of all archives."""
    packing, merging, archived = list[float](), list[float](), 0
    for number in range(count):
        turn, suite = divmod(number, given.suites)
        network, seed = divmod(turn, given.seeds)
        with tempfile.TemporaryDirectory(dir=place) as outbox:
            theirs, archive = Path(outbox) / "results", Path(outbox) / "run.tar.xz"
            write_run(theirs, network, seed, images=given.images, classes=given.classes, suite=suites_of(given)[suite])
            start = time.perf_counter()
            pack(theirs, archive)
            packing.append(time.perf_counter() - start)
            archived += archive.stat().st_size
            start = time.perf_counter()
            merge([archive], results)
            merging.append(time.perf_counter() - start)
    return packing, merging, archived


def slowdown(seconds: Sequence[float]) -> float:
    """Return how many times as long as the first tenth the last one took."""
    tenth = max(1, len(seconds) // 10)
    return sum(seconds[-tenth:]) / sum(seconds[:tenth])


def suites_of(given: argparse.Namespace) -> list[str]:
    """Return the names of the suites."""
    return [f"suite{number}" for number in range(given.suites)]


def row(step: str, commands: Sequence[Used], count: int, failed: list[str]) -> list[str]:
    """Return the row of commands, with the most memory that one had."""
    failed += [f"{step}: exit code {used.exit_code}" for used in commands if used.exit_code]
    seconds, peak = sum(used.seconds for used in commands), max(used.peak_bytes for used in commands)
    return [step, duration(seconds), f"{1e3 * seconds / count:.1f} ms", byte_count(peak), ""]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=10_000)
    parser.add_argument("--suites", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5, help="submissions of each network")
    parser.add_argument("--images", type=int, default=233, help="test images")
    parser.add_argument("--classes", type=int, default=11)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
