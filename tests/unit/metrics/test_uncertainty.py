"""Claims about certainty: intervals, paired differences, ranks and groups, against scipy and cases worked by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from segbench.metrics.resampling import Draws, counts_by_image, draw
from segbench.metrics.scores import score
from segbench.metrics.uncertainty import (
    CONFIDENCE,
    Comparison,
    Interval,
    compare_all,
    groups,
    holm,
    interval,
    rank_intervals,
)


def draws(values, *, seed_error=0.0, seeds=1):
    values = np.asarray(values, dtype=float)
    return Draws(values, seed_error, seeds, values)


def compared(first, second, p_value):
    return Comparison(first, second, 0.1, Interval(0.0, 0.2), 0.9, p_value)


def test_an_interval_leaves_out_a_fortieth_on_either_side():
    assert interval(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))


def test_draws_without_a_score_are_left_out_of_the_interval():
    assert interval(np.array([0.5, math.nan, 0.5])) == (0.5, 0.5)
    assert all(map(math.isnan, interval(np.array([math.nan]))))


def test_a_network_is_as_good_as_itself():
    values = np.random.default_rng(0).normal(size=500)
    (one,) = compare_all([0.5, 0.5], [draws(values), draws(values)])
    assert (one.difference, one.better, one.p_value, one.separable) == (0.0, 0.5, 1.0, False)
    assert one.interval == (0.0, 0.0)


def test_pairing_sees_a_difference_that_is_small_beside_the_spread_of_either():
    rng = np.random.default_rng(1)
    images, noise = rng.normal(0, 0.05, 4000), rng.normal(0, 0.002, 4000)
    (one,) = compare_all([0.51, 0.5], [draws(0.51 + images + noise), draws(0.5 + images)])
    assert one.separable
    assert one.better > 0.999
    assert one.interval == pytest.approx((0.01 - 1.96 * 0.002, 0.01 + 1.96 * 0.002), abs=2e-4)


def test_without_spread_over_images_the_p_value_is_that_of_welchs_test_over_seeds():
    rng = np.random.default_rng(2)
    networks = [[rng.integers(1, 60, size=(1, 3, 3)) for _ in range(seeds)] for seeds in (4, 3)]
    drawn = draw([[counts_by_image(one) for one in seeds] for seeds in networks], resamples=100)["mean_iou"]
    alone = [[score(one.sum(axis=0)).mean_iou for one in seeds] for seeds in networks]
    (one,) = compare_all([float(np.mean(scores)) for scores in alone], drawn)
    expected = stats.ttest_ind(*alone, equal_var=False)
    assert one.p_value == pytest.approx(expected.pvalue)
    assert one.interval == pytest.approx(tuple(expected.confidence_interval(CONFIDENCE)))


def test_without_seeds_the_p_value_is_that_of_the_normal_distribution():
    values = np.random.default_rng(3).normal(0.02, 0.01, 20_000)
    (one,) = compare_all([0.52, 0.5], [draws(0.5 + values), draws(np.full(20_000, 0.5))])
    assert one.p_value == pytest.approx(2 * stats.norm.sf(0.02 / values.std()), rel=1e-6)


def test_a_score_that_is_nowhere_defined_compares_to_nothing():
    (one,) = compare_all([math.nan, 0.5], [draws([math.nan] * 9), draws([0.5] * 9)])
    assert math.isnan(one.p_value)
    assert not one.separable


def test_holm_worked_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_does_not_count_what_is_not_known():
    assert holm([math.nan, 0.02, 0.03])[1:] == pytest.approx([0.04, 0.04])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_lowers_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    for (before, after), (other, other_after) in itertools.combinations(zip(p_values, adjusted, strict=True), 2):
        assert (before - other) * (after - other_after) >= 0


def test_rank_intervals_worked_by_hand():
    always_best, second_or_third, third_or_second = [0.9, 0.9], [0.5, 0.3], [0.4, 0.4]
    assert rank_intervals(np.array([always_best, second_or_third, third_or_second])) == [(1, 1), (2, 3), (2, 3)]


def test_equal_scores_share_the_better_rank():
    assert rank_intervals(np.array([[0.5], [0.5], [0.4]])) == [(1, 1), (1, 1), (3, 3)]


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_rank_intervals_lie_among_the_ranks_that_there_are(networks, seed):
    found = rank_intervals(np.random.default_rng(seed).random((networks, 40)))
    assert all(1 <= best <= worst <= networks for best, worst in found)
    assert min(best for best, _ in found) == 1


def test_groups_are_neighbours_that_no_pair_of_which_can_be_told_apart():
    order = [2, 0, 3, 1]
    apart = {(2, 3), (2, 1), (0, 1)}  # so 2 and 0 belong together, 0 and 3, 3 and 1
    comparisons = [
        compared(*sorted(pair), 0.001 if pair in apart or pair[::-1] in apart else 0.5)
        for pair in itertools.combinations(order, 2)
    ]
    assert groups(order, comparisons) == [(2, 0), (0, 3), (3, 1)]


def test_networks_that_are_all_apart_are_groups_of_their_own_and_equal_ones_are_one():
    pairs = list(itertools.combinations(range(3), 2))
    assert groups([0, 1, 2], [compared(*pair, 0.001) for pair in pairs]) == [(0,), (1,), (2,)]
    assert groups([0, 1, 2], [compared(*pair, 0.9) for pair in pairs]) == [(0, 1, 2)]
    assert groups([], []) == []
