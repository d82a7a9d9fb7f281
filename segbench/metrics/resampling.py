"""Resamples the images of a test set, and the seeds of networks, to show how far scores would scatter.

The images are the clusters: a resample draws whole images with replacement, never pixels, since those of one image are
anything but independent. All networks see the same resamples, so that their differences are paired. What a resample
needs of an image is three numbers a class, so B resamples of N images are one product, (B, N) @ (N, 3 C).

Seeds are few, often three, and drawing three of three with replacement understates their spread by a third. So the
spread between seeds enters as what is known of a mean of S values: their standard error times a draw from Student's t
with S - 1 degrees of freedom, less what resampled images already show of it. (For images the bootstrap is left alone:
B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.errors import UsageError
from segbench.metrics.scores import ClassCounts, SummaryScores, summary_scores

FloatArray = NDArray[np.float64]

RESAMPLES = 10_000
LEAST_RESAMPLES = 1_000
_MOST_SCORED = 500_000
"""Resamples times runs: with more runs than this allows at ``RESAMPLES``, each is resampled less often."""
_CHUNK = 1_000
"""Resamples that are drawn at once: a few megabytes of weights for a thousand images."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Plausible values of one score of one network; draw b of all networks belongs to the same images.

    Attributes:
        images: (B,) the mean over seeds on resampled images.
        seed_error: The standard error of that mean over seeds; 0 with one seed, of which no spread is known.
        seeds: How many seeds.
        values: (B,) the draws of ``images`` with what the seeds leave open: to take intervals from.
    """

    images: FloatArray
    seed_error: float
    seeds: int
    values: FloatArray


def counts_by_image(matrices: NDArray[np.int64]) -> ClassCounts:
    """Return the (N, C) counts of N images from their (N, C, C) confusion matrices."""
    hits = np.diagonal(matrices, axis1=1, axis2=2).copy()  # a view would keep the matrices in memory
    return ClassCounts(hits, matrices.sum(axis=2), matrices.sum(axis=1))


def resamples_for(runs: int) -> int:
    """Return how many resamples to draw for so many runs: ``RESAMPLES``, or fewer where there are very many."""
    return max(LEAST_RESAMPLES, min(RESAMPLES, _MOST_SCORED // max(1, runs)))


def draw(
    networks: Sequence[Sequence[ClassCounts]], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, list[Draws]]:
    """Draw plausible scores of networks that were tested on the same images.

    Args:
        networks: By network, by seed: the counts of every image, (N, C), the images in one order everywhere.
        resamples: How many draws.
        seed: Of the generator; equal seeds give equal draws.

    Returns:
        By score (the names of ``SummaryScores``), by network.

    Raises:
        UsageError: There is no run of a network, no image, or the numbers of images or classes differ.
    """
    images = _number_of_images(networks)
    generator = np.random.default_rng([seed, 1])
    drawn: dict[str, list[Draws]] = {name: [] for name in SummaryScores._fields}
    for network in networks:
        noise = generator.standard_t(max(1, len(network) - 1), size=resamples)
        scores = _scores_by_seed(network, _weights(images, resamples, seed=seed))
        for name, by_seed, full in zip(drawn, scores, _full_scores(network), strict=True):
            values, error = by_seed.mean(axis=1), _seed_error(full, by_seed)
            drawn[name].append(Draws(values, error, len(network), values + error * noise))
    return drawn


def _number_of_images(networks: Sequence[Sequence[ClassCounts]]) -> int:
    shapes = {counts.hits.shape for network in networks for counts in network}
    if len(shapes) != 1 or not all(networks):
        raise UsageError(f"expected runs on the same images and classes, got (images, classes) of {sorted(shapes)}")
    (shape,) = shapes
    if not shape[0]:
        raise UsageError("there is no image to resample")
    return int(shape[0])


def _weights(images: int, resamples: int, *, seed: int) -> Iterator[FloatArray]:
    """Yield (b, N) weights, up to ``_CHUNK`` resamples at once: how often each image was drawn."""
    generator = np.random.default_rng([seed, 0])
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        drawn = generator.integers(images, size=(size, images)) + images * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * images).reshape(size, images).astype(np.float64)


def _scores_by_seed(network: Sequence[ClassCounts], weights: Iterator[FloatArray]) -> SummaryScores:
    """Return each score of each seed in every resample, (B, S) each."""
    stacked = np.concatenate([part for counts in network for part in counts], axis=1).astype(np.float64)
    chunks = [_scored(chunk @ stacked, seeds=len(network)) for chunk in weights]
    return SummaryScores(*(np.concatenate(parts) for parts in zip(*chunks, strict=True)))


def _scored(totals: FloatArray, *, seeds: int) -> SummaryScores:
    """Score (b, seeds * 3 * C) totals."""
    parts = totals.reshape(len(totals), seeds, 3, -1)
    return summary_scores(ClassCounts(parts[:, :, 0], parts[:, :, 1], parts[:, :, 2]))


def _full_scores(network: Sequence[ClassCounts]) -> SummaryScores:
    """Return each score of each seed on all images, (S,) each."""
    return summary_scores(ClassCounts(*(np.stack(parts) for parts in zip(*map(_totals, network), strict=True))))


def _seed_error(full: FloatArray, by_seed: FloatArray) -> float:
    """Return the standard error that seeds leave to a score's mean over them, beside what resampled images show.

    Seeds scatter for two reasons: each is another network, and each errs on other images. The latter is in the
    resamples already, where it is how far seeds move apart from one another, and is taken off.

    Args:
        full: (S,) the score of each seed on all images.
        by_seed: (B, S) the same in every resample.
    """
    seeds = len(full)
    if seeds < 2:
        return 0.0
    apart = by_seed - by_seed.mean(axis=1, keepdims=True)
    of_images = float(np.nanvar(apart, axis=0).sum()) / (seeds - 1) if not np.isnan(apart).all() else math.nan
    return math.sqrt(max(0.0, float(full.var(ddof=1)) - of_images) / seeds)


def _totals(counts: ClassCounts) -> ClassCounts:
    return ClassCounts(*(part.sum(axis=0) for part in counts))
