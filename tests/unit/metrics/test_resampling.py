"""Claims about resampling: whole images or groups of them, the same ones for every run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from segbench.errors import UsageError
from segbench.metrics.resampling import (
    LEAST_RESAMPLES,
    RESAMPLES,
    counts_by_image,
    image_spread,
    resampled,
    resamples_for,
    weights_of,
)
from segbench.metrics.scores import SummaryScores, score

SCORES = SummaryScores._fields


def random_matrices(images, classes=3, *, seed=0):
    return np.random.default_rng(seed).integers(0, 40, size=(images, classes, classes))


def spread_of(*runs, **options):
    return image_spread([counts_by_image(matrices) for matrices in runs], **options)


def test_the_counts_of_an_image_are_those_of_its_matrix():
    matrices = random_matrices(4)
    counts = counts_by_image(matrices)
    for index, matrix in enumerate(matrices):
        assert counts.hits[index].tolist() == np.diag(matrix).tolist()
        assert counts.labelled[index].tolist() == matrix.sum(axis=1).tolist()
        assert counts.predicted[index].tolist() == matrix.sum(axis=0).tolist()


@pytest.mark.parametrize("name", SCORES)
def test_two_images_worked_by_hand(name):
    matrices = random_matrices(2)
    first, both, second = (
        getattr(score(total), name) for total in (2 * matrices[0], matrices.sum(axis=0), 2 * matrices[1])
    )
    found = spread_of(matrices)[name]
    drawn = np.array([first, both, both, second])  # as often as chance draws them
    assert found.scores == pytest.approx([both])
    assert found.covariance[0, 0] == pytest.approx(2 * drawn.var(), rel=0.05)  # N / (N - 1) of two images is 2
    assert found.images == 2


def test_many_runs_are_scored_some_at_once_on_the_same_resamples_in_their_order():
    runs = [counts_by_image(random_matrices(5, classes=21, seed=seed)) for seed in range(20)]
    blocks = []

    def hits(counts):
        blocks.append(counts.hits.shape)
        return counts.hits.sum(axis=-1)

    found = resampled(runs, 5, 1_100, hits)
    weights = np.concatenate([*weights_of(5, 1_100)])
    expected = weights @ np.stack([counts.hits.sum(axis=1) for counts in runs], axis=1)
    np.testing.assert_array_equal(found, expected)
    assert max(math.prod(shape) for shape in blocks) < 1_000 * 20 * 21 / 2  # bounded memory, however many runs


def test_products_of_few_images_are_computed_by_one_thread():
    threads = []

    def ask(counts):
        threads.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
        return counts.hits.sum(axis=-1)

    with threadpool_limits(2, user_api="blas"):
        resampled([counts_by_image(random_matrices(5))], 5, 10, ask)
        ask(counts_by_image(random_matrices(1)))
    if threads[1] != {2}:
        pytest.skip("NumPy has no BLAS here whose threads can be counted")
    assert threads == [{1}, {2}]


@pytest.mark.slow(reason="repeats a bootstrap in a plain loop")
@pytest.mark.parametrize("name", SCORES)
def test_the_covariance_is_that_of_a_bootstrap_written_as_a_loop(name):
    runs = [random_matrices(30, seed=seed) for seed in (1, 2)]
    rng = np.random.default_rng(5)
    draws = [rng.integers(30, size=30) for _ in range(3000)]
    loop = [[getattr(score(matrices[drawn].sum(axis=0)), name) for matrices in runs] for drawn in draws]
    expected = np.cov(loop, rowvar=False) * 30 / 29
    scale = math.sqrt(expected[0, 0] * expected[1, 1])
    assert spread_of(*runs)[name].covariance / scale == pytest.approx(expected / scale, abs=0.1)


def test_runs_that_err_on_the_same_images_scatter_together():
    matrices = random_matrices(12)
    covariance = spread_of(matrices, matrices, matrices[::-1], resamples=500)["mean_iou"].covariance
    assert covariance[0, 1] == pytest.approx(covariance[0, 0])
    assert abs(covariance[0, 2]) < covariance[0, 0]


def test_a_run_added_changes_nothing_of_the_others():
    runs = [random_matrices(9, seed=seed) for seed in range(3)]
    alone, together = (spread_of(*given, resamples=2500)["mean_iou"].covariance for given in (runs[:2], runs))
    assert together[:2, :2] == pytest.approx(alone)


def test_groups_are_drawn_whole():
    matrices = random_matrices(12, seed=3)
    by_patient = np.repeat(np.arange(4), 3)
    summed = np.stack([matrices[by_patient == patient].sum(axis=0) for patient in range(4)])
    grouped, alone = spread_of(matrices, groups=by_patient.tolist()), spread_of(summed)
    assert grouped["mean_iou"].images == 4
    for name in SCORES:
        assert grouped[name].covariance == pytest.approx(alone[name].covariance)


def test_resamples_in_which_a_score_is_not_defined_are_left_out():
    nothing = np.zeros((1, 3, 3), dtype=np.int64)
    with_void, without = (
        spread_of(np.concatenate([random_matrices(2), rest]))["mean_iou"] for rest in (nothing, nothing[:0])
    )
    assert np.isfinite(with_void.covariance).all()
    assert with_void.scores == pytest.approx(without.scores)
    assert np.isnan(spread_of(np.repeat(nothing, 3, axis=0))["mean_iou"].covariance).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 4), st.integers(0, 10_000))
def test_covariances_are_symmetric_and_no_variance_is_negative(images, classes, seed):
    runs = [random_matrices(images, classes, seed=seed + run) for run in range(2)]
    for found in spread_of(*runs, resamples=50, seed=seed).values():
        known = np.nan_to_num(found.covariance)
        assert known == pytest.approx(known.T)
        assert np.linalg.eigvalsh(known).min() > -1e-12


def test_the_same_seed_draws_the_same():
    matrices = random_matrices(5)
    first, again, other = (spread_of(matrices, resamples=30, seed=seed)["mean_iou"].covariance for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_runs_on_different_images_cannot_be_resampled_together():
    with pytest.raises(UsageError, match=r"same images and classes, got .*\(3, 3\), \(4, 3\)"):
        spread_of(random_matrices(3), random_matrices(4))
    with pytest.raises(UsageError, match="expected runs"):
        image_spread([])
    with pytest.raises(UsageError, match="no image"):
        spread_of(random_matrices(0))


def test_very_many_runs_are_resampled_less_often_but_never_rarely():
    assert resamples_for(1) == resamples_for(50) == RESAMPLES
    assert RESAMPLES > resamples_for(100) > LEAST_RESAMPLES
    assert resamples_for(100_000) == LEAST_RESAMPLES
