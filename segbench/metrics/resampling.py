"""Bootstraps the test images to estimate the variances and covariances of the runs' scores.

This is a cluster bootstrap. A resample draws whole images with replacement, never pixels, because pixels of one image
are not independent. If images come in groups (patients, cities, videos), it draws whole groups. All runs are scored on
the same resamples, so their differences are paired. A resample needs three numbers per class and image, so B resamples
of N images are one matrix product, (B, N) @ (N, 3 C).

B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.errors import UsageError
from segbench.metrics.scores import ClassCounts, SummaryScores, summary_scores

FloatArray = NDArray[np.float64]

RESAMPLES = 10_000
LEAST_RESAMPLES = 1_000
_MOST_SCORED = 500_000
"""Upper bound on resamples times runs; with very many runs, fewer than ``RESAMPLES`` are drawn."""
_CHUNK = 1_000
"""Number of resamples drawn at once; takes a few megabytes of weights for a thousand images."""
_MOST_TOTALS = 500_000
"""Number of totals (resamples times runs times classes times three) at once, 8 bytes each: a few megabytes."""

_FEW_UNITS = 2_000
"""With fewer images (or groups), products are so small that threads of BLAS would wait for each other most of the time:
half of all processor time on two cores."""


@dataclass(frozen=True, eq=False)
class ImageSpread:
    """Sampling error of one score of several runs that is due to the choice of test images.

    Attributes:
        scores: (R,) the score of each run on all images.
        covariance: (R, R) covariance of the runs' scores over samples of the same size; NaN where undefined.
        images: Number of images, or groups of images, in a sample.
    """

    scores: FloatArray
    covariance: FloatArray
    images: int


def counts_by_image(matrices: NDArray[np.int64]) -> ClassCounts:
    """Return the (N, C) counts of N images from their (N, C, C) confusion matrices."""
    hits = np.diagonal(matrices, axis1=1, axis2=2).copy()  # copied, since a view would keep the matrices in memory
    return ClassCounts(hits, matrices.sum(axis=2), matrices.sum(axis=1))


def resamples_for(runs: int) -> int:
    """Return the number of resamples for a number of runs: ``RESAMPLES``, or fewer for very many runs."""
    return max(LEAST_RESAMPLES, min(RESAMPLES, _MOST_SCORED // max(1, runs)))


def image_spread(
    runs: Sequence[ClassCounts],
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, ImageSpread]:
    """Estimate the sampling error of the runs' scores by the bootstrap over test images.

    The covariance over resamples is multiplied by N / (N - 1), because a bootstrap variance is too small by that
    factor. Resamples in which the score of any run is undefined (no labelled pixel was drawn) are left out.

    Args:
        runs: Per-image counts of each run, (N, C) each, with the images in the same order.
        groups: Group of each of the N images; by default, every image is a group.
        resamples: Number of resamples.
        seed: Seed of the generator; equal seeds give equal resamples.

    Returns:
        The spread by score; keys are the field names of ``SummaryScores``.

    Raises:
        UsageError: There is no run or no image, or the runs differ in the number of images or classes.
    """
    images = _number_of_images(runs)
    runs, units = by_group(runs, list(range(images)) if groups is None else groups)
    drawn = resampled(runs, units, resamples, lambda counts: np.stack(summary_scores(counts)), seed=seed)
    full = summary_scores(ClassCounts(*map(np.stack, zip(*(counts.total for counts in runs), strict=True))))
    return {
        name: spread_of_values(scores, values, units=units)
        for name, scores, values in zip(SummaryScores._fields, full, drawn, strict=True)
    }


def spread_of_values(scores: FloatArray, drawn: FloatArray, *, units: int) -> ImageSpread:
    """Return the sampling error of a score, given its values in every resample.

    Args:
        scores: (R,) the score of each run on all images.
        drawn: (B, R) the score of each run in every resample.
        units: Number of images, or groups of images, in a resample.
    """
    return ImageSpread(scores, _covariance(drawn, units), units)


def weights_of(units: int, resamples: int, *, chunk: int = _CHUNK, seed: int = 0) -> Iterator[FloatArray]:
    """Yield (b, N) counts of how often each of N images (or groups) was drawn, up to ``chunk`` resamples at once.

    Equal seeds and chunks give equal weights.
    """
    generator = np.random.default_rng([seed, 0])
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = generator.integers(units, size=(size, units)) + units * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)


def resampled(
    runs: Sequence[ClassCounts],
    units: int,
    resamples: int,
    score: Callable[[ClassCounts], FloatArray],
    *,
    seed: int = 0,
) -> FloatArray:
    """Return the (..., B, R) scores of R runs in B resamples; equal seeds draw equal images (or groups).

    Args:
        runs: Counts of the N images (or groups) of each run, (N, C) each.
        units: N.
        resamples: B.
        score: Takes the (b, n, C) counts of some runs in some resamples, and returns their (..., b, n) scores.
        seed: Seed of the generator.
    """
    from threadpoolctl import threadpool_limits

    rows = []
    with threadpool_limits(1 if units < _FEW_UNITS else None, user_api="blas"):
        for weights in weights_of(units, resamples, seed=seed):
            size = max(1, _MOST_TOTALS // (len(weights) * 3 * runs[0].hits.shape[1]))
            blocks = (runs[start : start + size] for start in range(0, len(runs), size))
            rows.append(np.concatenate([score(_weighted(block, weights)) for block in blocks], axis=-1))
    return np.concatenate(rows, axis=-2)


def _weighted(runs: Sequence[ClassCounts], weights: FloatArray) -> ClassCounts:
    """Return the (b, R, C) counts of R runs in b resamples: whole numbers below 2^53, so that all sums are exact."""
    counts = np.concatenate([part for parts in zip(*runs, strict=True) for part in parts], axis=1).astype(np.float64)
    totals = (weights @ counts).reshape(len(weights), 3, len(runs), -1)
    return ClassCounts(totals[:, 0], totals[:, 1], totals[:, 2])


def _number_of_images(runs: Sequence[ClassCounts]) -> int:
    shapes = {counts.hits.shape for counts in runs}
    if len(shapes) != 1:
        raise UsageError(f"expected runs on the same images and classes, got (images, classes) of {sorted(shapes)}")
    (shape,) = shapes
    if not shape[0]:
        raise UsageError("there is no image to resample")
    return int(shape[0])


def by_group(runs: Sequence[ClassCounts], groups: Sequence[Hashable]) -> tuple[list[ClassCounts], int]:
    """Return the runs' counts summed over the images of each group, and how many groups there are."""
    names = list(dict.fromkeys(groups))
    if len(names) == len(groups):
        return list(runs), len(groups)
    place = {name: index for index, name in enumerate(names)}
    member = np.array([place[group] for group in groups])
    return [ClassCounts(*(_summed(part, member, len(names)) for part in counts)) for counts in runs], len(names)


def _summed(counts: NDArray[np.int64], member: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    found = np.zeros((groups, counts.shape[1]), dtype=np.int64)
    np.add.at(found, member, counts)
    return found


def _covariance(values: FloatArray, units: int) -> FloatArray:
    """Return the (R, R) covariance of (B, R) scores, corrected for the sample size."""
    runs = values.shape[1]
    known = values[~np.isnan(values).any(axis=1)]
    if len(known) < 2 or units < 2:
        return np.full((runs, runs), np.nan)
    covariance: FloatArray = np.atleast_2d(np.cov(known, rowvar=False)) * units / (units - 1)
    return covariance
