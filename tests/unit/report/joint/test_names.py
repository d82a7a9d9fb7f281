"""Names of tables in a joint view: short, each its own, and in an order that does not depend on ids."""

from __future__ import annotations

import pytest
from stored import write_run

from segbench.report.joint.names import in_order, names_of
from segbench.report.ranking.ranking import rank
from segbench.report.verdict import judged_tables

STEPS = [{"name": "resize", "size": None, "scale": 0.5}, {"name": "horizontal_flip", "p": 0.5}, {"name": "normalize"}]
SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9}


def recipe(**train):
    """Return a recipe with some values of its training, and its steps."""
    steps = train.pop("steps", STEPS)
    return {"dataset": {"name": "scenes"}, "transforms": {"train": steps}, "train": {"epochs": 2, **train}}


@pytest.fixture
def names(tmp_path):
    """Return the names of the tables of stored recipes, given as pairs of a grid's point and what the recipe has."""

    def named(*recipes, suites=()):
        for number, (point, written) in enumerate(recipes):
            suite = suites[number] if suites else "toy"
            write_run(tmp_path, "a", suite=suite, recipe=written, point=point)
        ranking = rank(tmp_path)
        return names_of(in_order(judged_tables(ranking), ranking.runs["suite"]))

    return named


def test_the_unchanged_recipe_comes_first_and_changes_are_told_in_short(names):
    found = names(
        ({"train.optimizer": {"name": "sgd", "lr": 0.1}}, recipe(optimizer=SGD)),
        ({"train.loss": ["cross_entropy", "dice"]}, recipe(loss=[{"name": "cross_entropy"}, {"name": "dice"}])),
        ({}, recipe(optimizer={"name": "adamw", "lr": 0.006})),
        ({"train.optimizer.lr": 0.018}, recipe(optimizer={"name": "adamw", "lr": 0.018})),
    )
    assert found == ["recipe unchanged", "loss=cross_entropy + dice", "optimizer=sgd", "lr=0.018"]


def test_steps_are_told_by_what_they_add_and_lose(names):
    scaled = [STEPS[0], {"name": "random_scale", "minimum": 0.5}, STEPS[2]]
    found = names(({}, recipe()), ({"transforms.train": ["as written"]}, recipe(steps=scaled)))
    assert found == ["recipe unchanged", "train steps + random_scale - horizontal_flip"]


def test_changes_of_one_short_name_are_told_with_their_options(names):
    points = [{"train.optimizer": {"name": "sgd", "lr": lr}} for lr in (0.1, 0.2)]
    found = names(*((point, recipe(optimizer=point["train.optimizer"])) for point in points))
    assert found == ["optimizer=sgd(lr=0.1)", "optimizer=sgd(lr=0.2)"]


def test_recipes_that_no_grid_made_are_told_by_protocol(names):
    first, second = names(({}, recipe()), ({}, recipe(lr=0.1)))
    assert first != second
    assert first.startswith("protocol ")


def test_suites_have_their_names_and_those_of_several_recipes_both(names):
    found = names(
        ({}, recipe()),
        ({"train.lr": 0.1}, recipe(lr=0.1)),
        ({}, recipe(lr=7)),
        suites=("toy", "toy", "other"),
    )
    assert found == ["other", "toy: recipe unchanged", "toy: lr=0.1"]


def test_a_grid_of_networks_changes_no_recipe(names):
    found = names(({"defaults.width": 0.5}, recipe()), ({"defaults.width": 0.5, "train.lr": 0.1}, recipe(lr=0.1)))
    assert found == ["recipe unchanged", "lr=0.1"]


def test_a_value_is_told_as_the_suite_has_it_also_where_the_recipe_leaves_defaults_out(names):
    assert names(({"train.init": "paper"}, recipe()), ({"train.init": "torch"}, recipe(init="torch"))) == [
        "init=paper",
        "init=torch",
    ]


def test_a_step_whose_options_change_is_told_with_them(names):
    wider = [STEPS[0], {"name": "horizontal_flip", "p": 0.1}, STEPS[2]]
    written = ["resize", {"name": "horizontal_flip", "p": 0.1}, "normalize"]
    found = names(({}, recipe()), ({"transforms.train": written}, recipe(steps=wider)))
    assert found == ["recipe unchanged", "train=resize + horizontal_flip(p=0.1) + normalize"]


def test_numbers_come_by_size(names):
    found = names(*(({"train.epochs": epochs}, recipe(epochs=epochs)) for epochs in (100, 20, 3)))
    assert found == ["epochs=3", "epochs=20", "epochs=100"]
