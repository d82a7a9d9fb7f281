"""Times the bootstrap behind every interval: 10,000 resamples of 1,449 images with 21 classes, as in PASCAL VOC.

    python benchmarks/bootstrap_time.py [--rounds 5]

Ends with 1 if the median takes more than two seconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np

from segbench.metrics.resampling import RESAMPLES, counts_by_image, image_spread
from segbench.results.environment import capture

IMAGES, CLASSES = 1449, 21
MOST_SECONDS = 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    matrices = np.random.default_rng(0).integers(0, 500, (IMAGES, CLASSES, CLASSES))
    counts = counts_by_image(matrices)
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        image_spread([counts], resamples=RESAMPLES)
        seconds.append(time.perf_counter() - started)
    machine = capture("cpu")
    print(
        f"{RESAMPLES:,} resamples of {IMAGES:,} images and {CLASSES} classes: "
        f"median {statistics.median(seconds):.2f} s, "
        f"{min(seconds):.2f} to {max(seconds):.2f} s in {rounds} rounds; at most {MOST_SECONDS:.0f} s wanted\n"
        f"{machine['processor']}, {machine['cores']} cores"
    )
    return 0 if statistics.median(seconds) <= MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
