"""Stored runs on fractions of a training split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored import write_run

from segbench.report.efficiency.table import EfficiencyTable, efficiency_tables
from segbench.report.runs.load import load_results
from segbench.results.arrays.matrices import ImageMatrices

ALL = 400


def pictures(hits: float, *, images: int, seed: int) -> ImageMatrices:
    """Images of 100 labelled pixels a class, about ``hits`` of them right; the same ones are hard for all networks."""
    hard = np.random.default_rng(99).normal(0, 4, images)
    own = np.random.default_rng([seed, round(hits)]).normal(0, 2, images)
    right = np.clip((hits + hard + own).round(), 0, 100).astype(np.int64)
    one = np.eye(3, dtype=np.int64)
    matrices = right[:, None, None] * one + (100 - right)[:, None, None] * np.roll(one, 1, axis=1)
    return ImageMatrices(tuple(f"image{index}" for index in range(images)), matrices)


@pytest.fixture
def grow(tmp_path) -> Callable[..., Path]:
    """Write the trainings of a network on fractions of a split, by hits of 100 pixels with each number of images."""

    def grow(label: str, hits: Mapping[int, float], **changes: Any) -> Path:
        seeds, images, wobble = (
            changes.pop(name, value) for name, value in (("seeds", 3), ("images", 40), ("wobble", 1))
        )
        dataset, train = changes.pop("dataset", {}), changes.pop("train", {"steps": 188})
        for size, right in hits.items():
            fraction = size / ALL
            for seed in range(seeds):
                write_run(
                    tmp_path,
                    label,
                    seed,
                    recipe={"dataset": {"name": "nuclei", "fraction": fraction, **dataset}, "train": train},
                    point={"dataset.fraction": fraction},
                    train_images=size,
                    **{
                        "matrices": pictures(right + wobble * (seed - 1), images=images, seed=seed),
                        "name": label,
                        "test_digest": "test",
                        **changes,
                    },
                )
        return tmp_path / "toy"

    return grow


@pytest.fixture
def table_of(tmp_path) -> Callable[..., EfficiencyTable]:
    """Return the only table of what was written, with few resamples."""

    def table_of(**options: Any) -> EfficiencyTable:
        (table,) = efficiency_tables(load_results(tmp_path / "toy"), **{"resamples": 500, **options})
        return table

    return table_of
