"""Claims about certainty: intervals, paired differences, ranks and groups, against scipy and cases worked by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from segbench.metrics.trainings import Estimates, Scope
from segbench.metrics.uncertainty import (
    CONFIDENCE,
    Comparison,
    Interval,
    compare_all,
    compare_families,
    groups,
    holm,
    intervals,
    plain_intervals,
    plain_p_values,
    rank_sets,
)


def estimates(means, images=0.0, trainings=None, freedom=None, *, image_freedom=10**9):
    """Return networks whose images scatter independently (a number or a matrix), known very well unless said."""
    size = len(means)
    covariance = np.asarray(images, dtype=float) if np.ndim(images) else images * np.eye(size)
    scope = Scope.WEIGHTS if trainings is None else Scope.NETWORKS
    own = np.zeros(size) if trainings is None else np.asarray(trainings, dtype=float)
    known = np.zeros(size) if freedom is None else np.asarray(freedom, dtype=float)
    return Estimates(scope, np.asarray(means, dtype=float), covariance, own, known, image_freedom)


def compared(first, second, p_value, difference=0.1):
    return Comparison(first, second, difference, Interval(0.0, 0.2), p_value)


def test_an_interval_of_known_variance_is_that_of_the_normal_distribution_on_the_logit_scale():
    (found,) = intervals(estimates([0.8], 0.03**2))
    half = 1.959964 * 0.03 / (0.8 * 0.2)
    middle = math.log(0.8 / 0.2)
    assert found == pytest.approx([1 / (1 + math.exp(-(middle + sign * half))) for sign in (-1, 1)])


def test_few_images_and_few_seeds_widen_an_interval_as_students_t_does():
    ten = intervals(estimates([0.5], 0.01**2, image_freedom=9))[0]
    assert logit(ten.high) == pytest.approx(2.262157 * 0.01 / 0.25)
    two = intervals(estimates([0.5], 0.0, [0.01**2], [2.0]))[0]
    assert logit(two.high) == pytest.approx(4.302653 * 0.01 / 0.25)


def logit(value):
    return math.log(value / (1 - value))


@given(st.floats(0, 1), st.floats(0, 0.3), st.floats(0, 0.3))
def test_no_interval_leaves_the_fractions_or_its_own_estimate(mean, images, trainings):
    (found,) = intervals(estimates([mean], images**2, [trainings**2], [1.0], image_freedom=9))
    assert 0 <= found.low <= mean + 1e-9
    assert mean - 1e-9 <= found.high <= 1


def test_a_score_that_is_nowhere_defined_has_no_interval_and_compares_to_nothing():
    nowhere = estimates([math.nan, 0.5], np.full((2, 2), math.nan))
    assert all(map(math.isnan, intervals(nowhere)[0]))
    (one,) = compare_all(nowhere)
    assert math.isnan(one.p_value)
    assert not one.separable


def test_a_network_is_as_good_as_itself():
    (one,) = compare_all(estimates([0.5, 0.5], np.full((2, 2), 0.01)))
    assert (one.difference, one.p_value, one.separable, one.interval) == (0.0, 1.0, False, (0.0, 0.0))


def test_pairing_sees_a_difference_that_is_small_beside_the_spread_of_either():
    shared, own = 0.05**2, 0.002**2
    (one,) = compare_all(estimates([0.51, 0.5], np.array([[shared + own, shared], [shared, shared]])))
    assert one.separable
    assert one.interval == pytest.approx((0.01 - 1.96 * 0.002, 0.01 + 1.96 * 0.002), abs=1e-6)


def test_without_spread_over_images_the_interval_is_welchs_and_the_p_value_uses_the_fewer_seeds():
    rng = np.random.default_rng(2)
    alone = [rng.normal(0.5, 0.1, size=seeds) for seeds in (4, 3)]
    variances = [scores.var(ddof=1) / len(scores) for scores in alone]
    (one,) = compare_all(estimates([scores.mean() for scores in alone], 0.0, variances, [3, 2]))
    expected = stats.ttest_ind(*alone, equal_var=False)
    assert one.interval == pytest.approx(tuple(expected.confidence_interval(CONFIDENCE)))
    assert one.p_value == pytest.approx(2 * stats.t.sf(abs(expected.statistic), 2))
    assert one.p_value > expected.pvalue


def test_without_seeds_the_p_value_is_that_of_the_normal_distribution():
    (one,) = compare_all(estimates([0.52, 0.5], np.diag([0.01**2, 0.0])))
    assert one.p_value == pytest.approx(2 * stats.norm.sf(2), rel=1e-6)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.5))
def test_no_interval_of_a_difference_is_wider_than_differences_are(first, second, error):
    (one,) = compare_all(estimates([first, second], 0.0, [error**2] * 2, [1, 1]))
    assert -1 <= one.interval.low <= one.difference <= one.interval.high <= 1


def test_pairs_of_several_families_are_adjusted_together():
    clear, unclear = (estimates([0.5 + gap, 0.5], 0.01**2 / 2) for gap in (0.04, 0.02))
    alone = [compare_all(one)[0].p_value for one in (clear, unclear)]
    together = [family[0].p_value for family in compare_families([clear, unclear])]
    assert together == pytest.approx([2 * alone[0], alone[1]])  # Holm: the smallest counts for both
    assert [len(family) for family in compare_families([estimates([0.1, 0.2, 0.3]), clear])] == [3, 1]


@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.1), st.floats(0.001, 0.1), st.integers(1, 9))
def test_a_p_value_of_no_change_is_below_5_percent_where_the_interval_leaves_0_out(mean, images, trainings, freedom):
    change = estimates([mean], images**2, [trainings**2], [float(freedom)], image_freedom=49)
    (p_value,), (interval,) = plain_p_values(change), plain_intervals(change)
    assert (p_value < 0.05) == (not interval.low <= 0 <= interval.high)


def test_a_p_value_of_no_change_is_that_of_scipys_t_test():
    values = np.random.default_rng(0).normal(0.02, 0.05, 8)
    change = estimates([values.mean()], 0.0, [values.var(ddof=1) / len(values)], [len(values) - 1.0])
    assert plain_p_values(change) == pytest.approx([stats.ttest_1samp(values, 0.0).pvalue])
    assert plain_p_values(estimates([0.0, 0.1])) == [1.0, 0.0]
    assert math.isnan(plain_p_values(estimates([math.nan]))[0])


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


def test_ranks_worked_by_hand():
    apart = [compared(0, 1, 0.01), compared(0, 2, 0.01), compared(1, 2, 0.4)]
    assert rank_sets(3, apart) == [(1, 1), (2, 3), (2, 3)]
    assert rank_sets(2, [compared(0, 1, 0.01, difference=-0.1)]) == [(2, 2), (1, 1)]
    assert rank_sets(1, []) == [(1, 1)]


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_the_rank_that_a_network_has_is_among_those_that_its_comparisons_leave_open(networks, seed):
    rng = np.random.default_rng(seed)
    means = rng.random(networks)
    found = rank_sets(networks, compare_all(estimates(means, 0.1**2)))
    own = [1 + int((means > mean).sum()) for mean in means]
    assert all(1 <= best <= rank <= worst <= networks for (best, worst), rank in zip(found, own, strict=True))


def test_groups_hold_no_pair_that_can_be_told_apart_worked_by_hand():
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


def test_a_network_of_wide_spread_shares_a_letter_beyond_its_neighbour():
    order, apart = [0, 1, 2], {(0, 1)}  # the last one scatters so far that neither other can be told from it
    comparisons = [compared(*pair, 0.001 if pair in apart else 0.5) for pair in itertools.combinations(order, 2)]
    assert groups(order, comparisons) == [(0, 2), (1, 2)]


@given(st.integers(0, 7), st.data())
def test_two_networks_share_a_group_exactly_if_they_cannot_be_told_apart(size, data):
    pairs = list(itertools.combinations(range(size), 2))
    apart = data.draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    comparisons = [compared(*pair, 0.001 if one else 0.5) for pair, one in zip(pairs, apart, strict=True)]
    found = groups(list(range(size)), comparisons)
    for pair, one in zip(pairs, apart, strict=True):
        assert any(set(pair) <= set(group) for group in found) == (not one)
    assert {network for group in found for network in group} == set(range(size))
