"""Further tests of synthetic runs, written in milliseconds."""

from __future__ import annotations

from pathlib import Path

from stored import further_facts, some_images, write_run

from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.record import Status
from segbench.results.retests.record import Condition, RetestRecord
from segbench.results.retests.store import ROBUSTNESS

FOG = Condition(kind="corruption", name="fog", severity=3)
NOISE = Condition(kind="corruption", name="gaussian_noise", severity=3)


def retest(run: Path, condition: Condition, matrices: ImageMatrices | None, **changes: object) -> None:
    """Store a further test of a stored run."""
    status = Status.COMPLETED if matrices is not None else Status.FAILED
    facts = {**further_facts(run, matrices), "condition": condition, "status": status}
    ROBUSTNESS.write(run.parent / ROBUSTNESS.folder, RetestRecord.model_validate(facts | changes), matrices)


def network(root: Path, label: str, *, clean: int, fog: int, noise: int, seeds: int = 3) -> None:
    """Store a network whose every training has about these hits of 100."""
    for seed in range(seeds):
        run = write_run(root, label, seed, matrices=some_images(clean, images=40, seed=seed))
        retest(run, FOG, some_images(fog, images=40, seed=seed))
        retest(run, NOISE, some_images(noise, images=40, seed=seed))
