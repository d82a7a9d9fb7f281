"""Titles tell a recipe's components as one writes them in a sentence."""

from __future__ import annotations

import pytest

from segbench.config.titles import component_in_words, with_point


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.1, 0.1),
        ("dice", "dice"),
        ([64, 64], [64, 64]),
        ([], []),
        (None, None),
        ({"name": "sgd"}, "sgd"),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.9}, "sgd(lr=0.1, momentum=0.9)"),
        (["cross_entropy", {"name": "dice", "weight": 2}], "cross_entropy + dice(weight=2)"),
        ([{"name": "random_crop", "size": [64, 48]}, "normalize"], "random_crop(size=[64, 48]) + normalize"),
        ({"teacher": "unet"}, {"teacher": "unet"}),
    ],
)
def test_components_are_told_in_short_and_other_values_as_they_are(value, words):
    assert component_in_words(value) == words


def test_a_title_holds_the_values_of_the_recipe_alone():
    point = {"train.optimizer": {"name": "sgd", "lr": 0.1}, "defaults.width": 0.5}
    assert with_point("unet", point) == "unet, optimizer=sgd(lr=0.1)"
