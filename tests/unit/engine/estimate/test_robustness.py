"""What further tests take: worked out by hand from given costs, and counted from a suite's block."""

from __future__ import annotations

import pytest
from tiny import document

from segbench.cli.terminal.estimate import retests_in_words
from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.estimate.estimate import RunEstimate
from segbench.engine.estimate.robustness import ConditionCost, RobustnessEstimate, estimate_robustness, seconds_under
from segbench.errors import SuiteError

COST = ConditionCost(images=10, image_seconds=0.5, counting_seconds=0.125)


def network(**changes):
    return RunEstimate("unet-seed0", "unet", 0, **({"setup_seconds": 2.0, "image_seconds": 0.25} | changes))


def test_images_are_made_once_and_every_network_is_loaded_and_tested_on_them():
    two = [network(), network(image_seconds=1.0)]
    assert seconds_under(COST, two, start_seconds=3.0) == 3 + 10 * 0.5 + (2 + 10 * 0.375) + (2 + 10 * 1.125)


def test_networks_of_which_nothing_is_known_take_no_time():
    assert seconds_under(COST, [network(problem="died")], start_seconds=3.0) == 3 + 10 * 0.5


def suite(*, dataset=None, **block):
    block = {"corruptions": ["fog", "contrast"], "severities": [1, 5], **block}
    return check(document(seeds=[0, 1], robustness=block, **({"dataset": dataset} if dataset else {})))


def estimated(checked):
    runs = plan(checked)
    return estimate_robustness(runs, [network() for _ in runs], checked.robustness), len(runs)


def test_tests_and_images_are_counted_and_bounded():
    found, runs = estimated(suite(images=3, train_split=True))
    assert (found.conditions, found.tests, found.images) == (5, 5 * runs, 5 * runs * 3)
    assert found.seconds > 5 * runs * (2.0 + 3 * 0.25)
    whole, _ = estimated(suite(train_split=False))
    assert whole.images == 4 * runs * 6  # of the six test images


def test_other_data_is_counted_and_its_classes_are_checked():
    other = {"label": "shifted", "dataset": document()["dataset"] | {"seed": 9, "test_images": 5}}
    found, runs = estimated(suite(datasets=[other]))
    assert found.images == runs * (4 * 6 + 5)
    wrong = {"label": "shifted", "dataset": document()["dataset"] | {"things": ["disc", "fence"]}}
    with pytest.raises(
        SuiteError,
        match=r"robustness.datasets\[0\]: classes_map: scenes has classes that scenes has not: fence; map each",
    ):
        estimated(suite(dataset={"things": ["disc"]}, datasets=[wrong]))


def test_the_line_of_a_plan_names_tests_conditions_images_and_time():
    found = RobustnessEstimate(conditions=26, tests=312, images=12_480, seconds=251.0)
    assert retests_in_words(found) == (
        "then 312 further tests of the trained networks under 26 conditions, 12,480 images in all, about 4 min 11 s "
        "more; robustness.images takes fewer"
    )
