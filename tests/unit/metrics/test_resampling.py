"""Claims about resampling: whole images, the same ones for every network, and seeds as what is known of their mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segbench.errors import UsageError
from segbench.metrics.resampling import LEAST_RESAMPLES, RESAMPLES, counts_by_image, draw, resamples_for
from segbench.metrics.scores import SummaryScores, score

SCORES = SummaryScores._fields


def random_matrices(images, classes=3, *, seed=0):
    return np.random.default_rng(seed).integers(0, 40, size=(images, classes, classes))


def test_the_counts_of_an_image_are_those_of_its_matrix():
    matrices = random_matrices(4)
    counts = counts_by_image(matrices)
    for index, matrix in enumerate(matrices):
        assert counts.hits[index].tolist() == np.diag(matrix).tolist()
        assert counts.labelled[index].tolist() == matrix.sum(axis=1).tolist()
        assert counts.predicted[index].tolist() == matrix.sum(axis=0).tolist()


@pytest.mark.parametrize("name", SCORES)
def test_two_images_give_the_three_samples_that_there_are_as_often_as_chance_does(name):
    matrices = random_matrices(2)
    (drawn,) = draw([[counts_by_image(matrices)]])[name]
    first, both, second = (
        getattr(score(total), name) for total in (2 * matrices[0], matrices.sum(axis=0), 2 * matrices[1])
    )
    shares = [float(np.isclose(drawn.values, value, rtol=1e-12).mean()) for value in (first, both, second)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.02)  # four standard deviations of 10,000 draws
    assert sum(shares) == 1


@pytest.mark.parametrize("name", SCORES)
def test_the_spread_is_that_of_a_bootstrap_written_as_a_loop(name):
    matrices = random_matrices(30, seed=1)
    (drawn,) = draw([[counts_by_image(matrices)]])[name]
    rng = np.random.default_rng(5)
    loop = [getattr(score(matrices[rng.integers(30, size=30)].sum(axis=0)), name) for _ in range(3000)]
    assert drawn.values.mean() == pytest.approx(np.mean(loop), abs=4 * np.std(loop) / math.sqrt(3000))
    assert drawn.values.std() == pytest.approx(np.std(loop), rel=0.06)


def test_all_networks_see_the_same_resamples():
    matrices = random_matrices(12)
    same, other = (counts_by_image(part) for part in (matrices, matrices[::-1]))
    first, second, third = draw([[same], [same], [other]], resamples=200)["mean_iou"]
    assert (first.values == second.values).all()
    assert not (first.values == third.values).all()


def test_a_network_added_changes_no_other_ones_images():
    runs = [[counts_by_image(random_matrices(9, seed=seed))] for seed in range(3)]
    alone, together = (draw(given, resamples=2500)["mean_iou"] for given in (runs[:2], runs))
    for before, after in zip(alone, together, strict=False):
        assert (before.images == after.images).all()


def test_one_seed_has_no_spread_between_seeds():
    (drawn,) = draw([[counts_by_image(random_matrices(5))]], resamples=50)["mean_iou"]
    assert (drawn.seed_error, drawn.seeds) == (0.0, 1)
    assert (drawn.values == drawn.images).all()


def test_the_error_over_seeds_is_that_of_the_mean_of_their_scores_where_images_explain_nothing():
    seeds = [np.stack([random_matrices(1, seed=seed)[0]] * 6) for seed in range(4)]
    for name, (drawn,) in draw([[counts_by_image(one) for one in seeds]], resamples=20_000).items():
        alone = [getattr(score(one.sum(axis=0)), name) for one in seeds]
        assert drawn.seed_error == pytest.approx(np.std(alone, ddof=1) / 2)
        added = (drawn.values - drawn.images) / drawn.seed_error
        assert np.quantile(added, 0.975) == pytest.approx(3.182, rel=0.08)  # Student's t, 3 degrees of freedom


def test_scatter_of_seeds_that_comes_of_images_is_not_counted_a_second_time():
    errors, spreads = [], []
    for world in range(40):
        seeds = [random_matrices(25, seed=10 * world + seed) for seed in range(5)]  # one network, other images
        (drawn,) = draw([[counts_by_image(one) for one in seeds]], resamples=500)["mean_iou"]
        errors.append(drawn.seed_error**2)
        spreads.append(np.var([score(one.sum(axis=0)).mean_iou for one in seeds], ddof=1) / 5)
    assert np.mean(errors) < 0.5 * np.mean(spreads)


def test_seeds_are_scored_on_the_same_images_and_averaged():
    seeds = [random_matrices(7, seed=seed) for seed in (0, 1)]
    (drawn,) = draw([[counts_by_image(one) for one in seeds]], resamples=300)["mean_iou"]
    apart = draw([[counts_by_image(one)] for one in seeds], resamples=300)["mean_iou"]
    assert drawn.images == pytest.approx((apart[0].images + apart[1].images) / 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(1, 4), st.integers(0, 10_000))
def test_draws_of_defined_scores_are_fractions(images, classes, seed):
    matrices = random_matrices(images, classes, seed=seed)
    for (drawn,) in draw([[counts_by_image(matrices)]], resamples=50, seed=seed).values():
        known = drawn.values[~np.isnan(drawn.values)]
        assert ((known >= 0) & (known <= 1)).all()


def test_the_same_seed_draws_the_same():
    runs = [[counts_by_image(random_matrices(5, seed=seed)) for seed in (1, 2)]]
    first, again, other = (draw(runs, resamples=30, seed=seed)["mean_iou"][0].values for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_runs_on_different_images_cannot_be_resampled_together():
    runs = [[counts_by_image(random_matrices(images))] for images in (3, 4)]
    with pytest.raises(UsageError, match=r"same images and classes, got .*\(3, 3\), \(4, 3\)"):
        draw(runs)
    with pytest.raises(UsageError, match="expected runs"):
        draw([])
    with pytest.raises(UsageError, match="no image"):
        draw([[counts_by_image(random_matrices(0))]])


def test_very_many_runs_are_resampled_less_often_but_never_rarely():
    assert resamples_for(1) == resamples_for(50) == RESAMPLES
    assert RESAMPLES > resamples_for(100) > LEAST_RESAMPLES
    assert resamples_for(100_000) == LEAST_RESAMPLES
