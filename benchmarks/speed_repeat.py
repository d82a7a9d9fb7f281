"""Measures all networks with `segbench speed` twice, and prints how long each took and how far the two agree.

    python benchmarks/speed_repeat.py [--size 128x128] [--models all] [further options of segbench speed]

Both commands are whole ones, with processes of their own and nothing shared but the machine. Ends with 1 if either
takes more than ten minutes, or if fewer than 80 % of the cases agree within 5 % in their median seconds; cases that
neither could measure (a network that cannot take images of this size) are shown and not counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from segbench.cli.terminal.output import duration, write_table
from segbench.results.speed.record import SpeedRecord
from segbench.results.speed.store import scan_speeds, speed_folder

TOLERANCE = 0.05
SHARE = 0.80
MOST_SECONDS = 600.0


def main() -> int:
    arguments, further = _arguments()
    given = ["--models", arguments.models, "--size", arguments.size, "--device", arguments.device, *further]
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("first", "second")]
        seconds = [measured(place, given) for place in places]
        first, second = (
            {record.id: record for record in scan_speeds(speed_folder(place, "speed")).records} for place in places
        )
    if set(first) != set(second):
        raise SystemExit("the two commands did not measure the same cases")
    pairs = [(first[key], second[key]) for key in first]
    rows = [_row(*pair) for pair in sorted(pairs, key=lambda pair: pair[0].case.key)]
    write_table(["case", "first ms", "second ms", "ratio", "close"], rows, right=["first ms", "second ms", "ratio"])
    measured_once = [pair for pair in pairs if any(_milliseconds(record) is not None for record in pair)]
    close = sum(_is_close(*pair) for pair in measured_once)
    environment = pairs[0][0].environment
    share, most = close / len(measured_once), max(len(record.restarts) for record in first.values())
    print(
        f"{close} of {len(measured_once)} cases ({share:.0%}) agree within {TOLERANCE:.0%}, at least {SHARE:.0%} "
        f"wanted; took {' and '.join(map(duration, seconds))}, at most {duration(MOST_SECONDS)} wanted\n"
        f"{environment['processor']}, {environment['cores']} cores, torch {environment['versions']['torch']}, "
        f"{pairs[0][0].case.threads} thread, up to {most} processes for each case"
    )
    return 0 if share >= SHARE and max(seconds) <= MOST_SECONDS else 1


def measured(place: Path, given: list[str]) -> float:
    """Run the command once; return how long it took."""
    start = time.monotonic()
    command = [sys.executable, "-m", "segbench", "speed", *given, "--results", str(place)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    seconds = time.monotonic() - start
    print(f"{duration(seconds)}:\n{done.stdout}", flush=True)
    return seconds


def _milliseconds(record: SpeedRecord) -> float | None:
    """Return the median milliseconds of a call; None for a case that was not measured."""
    rate = record.images_per_second
    return 1000 * record.case.batch_size / rate if rate else None


def _is_close(first: SpeedRecord, second: SpeedRecord) -> bool:
    before, now = _milliseconds(first), _milliseconds(second)
    return before is not None and now is not None and abs(now / before - 1) <= TOLERANCE


def _row(first: SpeedRecord, second: SpeedRecord) -> list[str]:
    before, now = _milliseconds(first), _milliseconds(second)
    if before is None or now is None:
        return [first.case.label, "-", "-", str(first.status), "no"]
    close = "yes" if _is_close(first, second) else "no"
    return [
        f"{first.case.label}, batch {first.case.batch_size}",
        f"{before:.4g}",
        f"{now:.4g}",
        f"{now / before:.3f}",
        close,
    ]


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="all", help="networks by name, separated by commas; all by default")
    parser.add_argument("--size", default="128x128", metavar="HxW", help="height and width of an image")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    return parser.parse_known_args()


if __name__ == "__main__":
    sys.exit(main())
