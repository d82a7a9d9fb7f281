"""Where curves pass a level, worked by hand and by laws that hold for all curves."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segbench.report.efficiency.bounds import first_reached, grid, reached_for_good

IMAGES = np.array([50.0, 100.0, 200.0, 400.0])
CURVES = st.lists(st.floats(-1, 1, allow_nan=False), min_size=2, max_size=6)


def on_grid(curve):
    sizes = [50 * 2**place for place in range(len(curve))]
    images = grid(sizes)
    return images, np.interp(np.log(images), np.log(sizes), curve)


@pytest.mark.parametrize(
    ("curve", "first", "for_good"),
    [
        ([-1, -1, 1, 1], math.sqrt(100 * 200), math.sqrt(100 * 200)),  # half way, on the logarithm
        ([-1, -0.5, -0.1, -0.01], None, None),
        ([0.1, 0.2, 0.3, 0.4], 50, 50),
        ([-1, 0, 1, 2], 100, 100),
        ([-1, 1, -1, 1], math.sqrt(50 * 100), math.sqrt(200 * 400)),
        ([-3, 1, 1, -1], 50 * 2**0.75, None),
        ([1, -1, -1, -1], 50, None),
    ],
)
def test_a_level_is_passed_where_the_straight_line_on_logarithms_passes_it(curve, first, for_good):
    images, above = on_grid(curve)
    for found, expected in ((first_reached(images, above), first), (reached_for_good(images, above), for_good)):
        assert found == (None if expected is None else pytest.approx(expected, rel=1e-9))


def test_what_is_not_known_is_not_reached():
    above = np.array([-1.0, math.nan, 1.0, math.nan])
    assert first_reached(IMAGES, above) == 200 or math.isnan(first_reached(IMAGES, above))
    assert reached_for_good(IMAGES, above) is None


def test_the_grid_holds_the_sizes_as_they_are_and_is_even_between_them():
    images = grid([48, 96, 383])
    assert {48.0, 96.0, 383.0} <= set(images.tolist())
    steps = np.diff(np.log(images))
    assert steps[:50] == pytest.approx(math.log(2) / 50)
    assert steps[50:] == pytest.approx(math.log(383 / 96) / 50)


@given(CURVES)
def test_what_is_reached_for_good_is_reached_before(curve):
    images, above = on_grid(curve)
    first, for_good = first_reached(images, above), reached_for_good(images, above)
    assert for_good is None or (first is not None and first <= for_good * (1 + 1e-9))


@given(CURVES)
def test_a_curve_that_never_falls_passes_a_level_once(curve):
    images, above = on_grid(sorted(curve))
    first, for_good = first_reached(images, above), reached_for_good(images, above)
    assert (first is None) == (for_good is None)
    assert first is None or first == pytest.approx(for_good)


@given(CURVES, st.floats(0, 0.5))
def test_a_higher_curve_needs_no_more_images(curve, lift):
    images, above = on_grid(curve)
    for pass_ in (first_reached, reached_for_good):
        before, after = pass_(images, above), pass_(images, above + lift)
        assert before is None or (after is not None and after <= before * (1 + 1e-9))
