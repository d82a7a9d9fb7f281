"""The trial that is chosen."""

import pytest

from segbench.config.trials import best_position


@pytest.mark.parametrize(
    ("scores", "position"),
    [
        ([0.1, 0.3, 0.2], 1),
        ([0.3, 0.3, 0.1], 0),  # the earliest of equal ones
        ([None, 0.2, 0.2], 1),
        ([float("nan"), 0.0], 1),
        ([None, float("nan")], None),
        ([], None),
    ],
)
def test_the_best_score_is_chosen_the_earliest_of_equal_ones(scores, position):
    assert best_position(scores) == position
