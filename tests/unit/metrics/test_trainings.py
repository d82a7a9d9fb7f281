"""Claims about the model of seeds and images: what one training leaves open, and what several say of each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segbench.metrics.resampling import ImageSpread
from segbench.metrics.trainings import PRIOR_FREEDOM, Scope, estimate, estimate_weights, weighted_sums

IMAGES = 100


def spread(scores, covariance=None):
    scores = np.asarray(scores, dtype=float)
    return ImageSpread(scores, np.zeros((len(scores),) * 2) if covariance is None else np.asarray(covariance), IMAGES)


def test_one_training_each_speaks_of_these_weights_alone():
    covariance = [[4.0, 1.0], [1.0, 9.0]]
    found = estimate(spread([0.5, 0.6], covariance), [1, 1])
    assert found.scope is Scope.WEIGHTS
    assert found.means.tolist() == [0.5, 0.6]
    assert found.images.tolist() == covariance
    assert found.trainings.tolist() == [0, 0]
    assert found.image_freedom == IMAGES - 1


def test_what_all_trainings_share_is_of_the_images_and_the_rest_of_each_training():
    within, between = 5.0, 3.0
    covariance = np.full((4, 4), 2.0)
    for block in (slice(0, 2), slice(2, 4)):
        covariance[block, block] = between
    np.fill_diagonal(covariance, within)
    found = estimate(spread([0.5, 0.5, 0.6, 0.6], covariance), [2, 2])
    assert found.images.tolist() == [[between, 2.0], [2.0, between]]
    assert found.trainings.tolist() == [(within - between) / 2] * 2  # seeds that agree: what images explain is left


def test_five_networks_shrink_towards_what_is_typical_worked_by_hand():
    steps = np.array([1.0, 2.0, 3.0, 4.0, 10.0])  # two seeds apart by 2 s scatter with a variance of 2 s^2
    found = estimate(spread(np.column_stack([0.5 - steps, 0.5 + steps]).ravel()), [2] * 5)
    raw = 2 * steps**2
    typical = min(raw.mean(), 2 * np.median(raw) / 0.454936)  # the median of a chi-square of one degree of freedom
    shrunk = (2 * typical + raw) / (2 + 1)
    assert found.trainings == pytest.approx(np.maximum(shrunk, raw) / 2)
    assert found.trainings[-1] == raw[-1] / 2  # the one that scatters furthest keeps its own
    assert found.freedom.tolist() == [2 + 1] * 5
    assert found.scope is Scope.NETWORKS


def test_one_wild_network_says_nothing_of_the_others():
    scores = np.array([[0.5, 0.51, 0.52]] * 4 + [[0.2, 0.5, 0.8]])
    found = estimate(spread(scores.ravel()), [3] * 5)
    calm = 0.01**2
    typical = 2 * calm / (1.386294 / 2)  # twice the median of a chi-square of two degrees of freedom, over two
    assert found.trainings[:4] == pytest.approx((PRIOR_FREEDOM * typical + 2 * calm) / (PRIOR_FREEDOM + 2) / 3)
    assert found.trainings[4] == pytest.approx(0.3**2 / 3)


def test_of_several_weights_their_mean_is_meant():
    covariance = np.diag([1.0, 3.0, 5.0])
    found = estimate_weights(spread([0.4, 0.6, 0.9], covariance), [2, 1])
    assert found.scope is Scope.WEIGHTS
    assert found.means == pytest.approx([0.5, 0.9])
    assert found.images.tolist() == [[1.0, 0.0], [0.0, 5.0]]


def test_two_networks_say_nothing_of_each_others_spread():
    found = estimate(spread([0.1, 0.3, 0.5, 0.9]), [2, 2])
    assert found.trainings == pytest.approx([0.02 / 2, 0.08 / 2])
    assert found.freedom.tolist() == [1, 1]


@pytest.mark.parametrize("networks", [2, 3, 5, 9])
def test_no_more_degrees_of_freedom_are_used_than_there_are(networks):
    scores = np.random.default_rng(networks).random(2 * networks)
    assert estimate(spread(scores), [2] * networks).freedom.max() <= networks


@given(arrays(float, (5, 3), elements=st.floats(0.1, 0.9)), st.integers(0, 4))
def test_a_network_that_loses_its_seeds_is_never_surer(scores, network):
    before = estimate(spread(scores.ravel()), [3] * 5)
    kept = [row if place != network else row[:1] for place, row in enumerate(scores)]
    after = estimate(spread(np.concatenate(kept)), [len(row) for row in kept])
    others = np.delete(after.trainings, network)
    assert after.trainings[network] >= others.max()
    assert after.freedom[network] <= before.freedom[network]


def test_a_score_that_is_not_defined_stays_so():
    found = estimate(spread([np.nan, np.nan, 0.5, 0.6], np.full((4, 4), np.nan)), [2, 2])
    assert np.isnan(found.means[0])
    assert np.isnan(found.images).all()


def test_the_variance_of_a_difference_is_worked_out_by_hand():
    covariance = np.array([[4.0, 4.0, 1.0, 1.0], [4.0, 4.0, 1.0, 1.0], [1.0, 1.0, 9.0, 9.0], [1.0, 1.0, 9.0, 9.0]])
    found = estimate(spread([0.1, 0.3, 0.5, 0.9], covariance), [2, 2])
    difference = weighted_sums(found, np.array([[1.0, -1.0], [0.5, 0.5], [1.0, 0.0]]))
    assert difference.means == pytest.approx([-0.5, 0.45, 0.2])
    assert np.diag(difference.images) == pytest.approx([4 + 9 - 2, (4 + 9 + 2) / 4, 4])
    assert difference.images[0, 2] == pytest.approx(4 - 1)  # of the difference with the first network
    assert difference.trainings == pytest.approx([0.01 + 0.04, 0.05 / 4, 0.01])
    assert difference.freedom == pytest.approx([0.05**2 / (0.01**2 + 0.04**2)] * 2 + [1])


@pytest.mark.parametrize(("correlation", "variance"), [(0.0, 0.05 / 4), (1.0, 0.3**2 / 4), (0.5, (0.05 + 0.09) / 8)])
def test_trainings_of_one_family_add_up_as_they_go_together(correlation, variance):
    """Standard deviations 0.1 and 0.2: the halves' variances add up where independent, their deviations where equal."""
    found = estimate(spread([0.1, 0.3, 0.5, 0.9]), [2, 2])
    middle = np.array([[0.5, 0.5]])
    of_one = weighted_sums(found, middle, families=[7, 7], correlation=correlation)
    assert of_one.trainings == pytest.approx([variance])
    apart = weighted_sums(found, middle, families=[7, 8], correlation=correlation)
    assert apart.trainings == pytest.approx([0.05 / 4])


def test_a_sum_of_one_network_alone_is_that_network():
    found = estimate(spread(np.random.default_rng(0).random(15), np.eye(15)), [3] * 5)
    same = weighted_sums(found, np.eye(5))
    for name in ("means", "images", "trainings", "freedom"):
        assert getattr(same, name) == pytest.approx(getattr(found, name))


def test_without_variation_of_trainings_a_sum_has_none():
    found = weighted_sums(estimate(spread([0.5, 0.6], np.eye(2)), [1, 1]), np.array([[1.0, -1.0]]))
    assert (found.scope, found.trainings.tolist(), found.freedom.tolist()) == (Scope.WEIGHTS, [0], [np.inf])
