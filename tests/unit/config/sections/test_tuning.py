"""A tuning: the same trials for every network, then runs by what they chose; suites without it stay as they were."""

from pathlib import Path

import pytest

from segbench.config import Run, plan
from segbench.config.load import check
from segbench.config.plan import digest
from segbench.config.reading.dotted_keys import with_keys
from segbench.config.reading.yaml_loader import read_yaml
from segbench.config.trials import families, trials
from segbench.errors import SuiteError

GRID = {"train.optimizer.lr": [0.1, 0.01], "train.batch_size": [2, 4]}
SEARCH = {"grid": GRID, "epochs": 1}


def document(mini, **changes):
    tuned = with_keys(read_yaml(mini), {"dataset.validation_split": "val", "tuning": SEARCH})
    return with_keys(tuned, changes)


@pytest.fixture
def suite(mini):
    return check(document(mini))


@pytest.mark.parametrize(
    ("tuning", "problem"),
    [
        ({"grid": {}}, "tuning.grid: needs at least 1 entry"),
        ({}, "tuning.grid: is required and missing"),
        ({"grids": GRID}, "tuning.grids: unknown key, did you mean 'grid'?"),
        ({"grid": {"train.optimizer.lrr": [1]}}, "unknown option of sgd, did you mean 'lr'?"),
        ({"grid": {"train.optimzer.lr": [1]}}, "tuning.grid: with train.optimzer.lr=1: train.optimzer: unknown key"),
        ({"grid": {"train.optimizer.lr": ["fast"]}}, "train.optimizer.lr: should be a valid number"),
        ({"grid": {"train.optimizer.lr": []}}, "tuning.grid.train.optimizer.lr: needs at least one value"),
        ({"grid": {"train.optimizer.lr": [0.1, 0.1]}}, "tuning.grid: two of its points are the same recipe"),
        ({"grid": {"train.epochs": [1, 2]}}, "tuning.grid.train.epochs: cannot be tuned: every trial has the same"),
        ({"grid": {"train.select": ["best"]}}, "tuning.grid.train.select: cannot be tuned: it is the same for all"),
        ({"grid": {"train": [{"epochs": 1}]}}, "tuning.grid.train: cannot be tuned: only keys below 'train' can"),
        ({"grid": {"dataset.fraction": [0.5]}}, "tuning.grid.dataset.fraction: cannot be tuned: only keys below"),
        ({"grid": GRID, "epochs": 1, "steps": 1}, "tuning: give either epochs or steps"),
        ({"grid": GRID, "epochs": 0}, "tuning.epochs: should be greater than or equal to 1"),
        ({"grid": GRID, "seed": -1}, "tuning.seed: should be greater than or equal to 0"),
    ],
)
def test_a_wrong_tuning_is_refused_with_its_key(tuning, problem, mini):
    with pytest.raises(SuiteError) as refused:
        check(document(mini, tuning=tuning), file=Path("a.yaml"))
    assert str(refused.value).startswith("a.yaml: tuning")
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"train": None}, "tuning: needs a recipe under train"),
        ({"dataset.validation_split": None}, "tuning: needs dataset.validation_split"),
        ({"dataset.validation_split": "test"}, "tuning: must not choose on the split that is reported"),
        ({"grid": {"tuning.epochs": [1, 2]}}, "grid.tuning.epochs: cannot vary"),
    ],
)
def test_a_tuning_that_lacks_what_it_needs_is_refused(changes, problem, mini):
    with pytest.raises(SuiteError) as refused:
        check(document(mini, **changes))
    assert problem in str(refused.value)


def test_every_network_is_tried_with_every_point_on_the_validation_split_and_no_other(suite):
    found = trials(suite)
    assert [trial.tuning.values for trial in found[:4]] == [
        {"train.optimizer.lr": 0.1, "train.batch_size": 2},
        {"train.optimizer.lr": 0.1, "train.batch_size": 4},
        {"train.optimizer.lr": 0.01, "train.batch_size": 2},
        {"train.optimizer.lr": 0.01, "train.batch_size": 4},
    ]
    assert [trial.model.label for trial in found] == ["tiny"] * 4 + ["plain"] * 4
    for trial in found:
        recipe, values = trial.recipe, trial.tuning.values
        assert (recipe.train.optimizer.options["lr"], recipe.train.batch_size) == tuple(values.values())
        assert (recipe.dataset.train_split, recipe.dataset.test_split) == ("train", "val")
        assert recipe.dataset.validation_split is None
        assert (recipe.train.epochs, recipe.train.steps) == (1, None)
        assert not recipe.train.keep_weights
        assert recipe.evaluate.samples == 0
        assert trial.seed == 0


def test_the_budget_of_a_trial_is_the_recipes_own_unless_it_is_given(mini):
    own = trials(check(document(mini, tuning={"grid": GRID})))[0].recipe.train
    assert (own.epochs, own.steps) == (3, None)
    steps = trials(check(document(mini, tuning={"grid": GRID, "steps": 7})))[0].recipe.train
    assert (steps.epochs, steps.steps) == (None, 7)
    assert trials(check(document(mini, **{"tuning.seed": 5})))[0].seed == 5


def test_tuned_runs_of_all_networks_share_a_protocol_whatever_they_chose(suite):
    tiny, plain = families(suite)
    runs = [*tiny.tuned(0), *plain.tuned(3)]
    assert {run.protocol_id for run in runs} == {digest(runs[0].protocol)}
    assert runs[0].protocol_id not in {run.protocol_id for run in plan(suite)}
    assert [(run.model.label, run.seed) for run in runs] == [("tiny", 0), ("tiny", 1), ("plain", 0), ("plain", 1)]
    assert runs[0].recipe.train.epochs == 3
    assert (runs[0].recipe.train.optimizer.options["lr"], runs[2].recipe.train.optimizer.options["lr"]) == (0.1, 0.01)
    assert runs[0].recipe.dataset == plan(suite)[0].recipe.dataset


def test_what_was_chosen_is_part_of_a_tuned_runs_identity_but_not_of_its_label(suite):
    family = families(suite)[0]
    runs = [family.tuned(position)[0] for position in (0, 1, 2, 3, None)]
    assert len({run.identity for run in runs}) == 5
    assert {run.label for run in runs} == {"tiny"}
    assert runs[1].title == "tiny (tuned lr=0.1, batch_size=4)"


def test_a_tuned_run_is_another_than_the_run_of_the_same_recipe(mini):
    changes = {"tuning": {"grid": {"train.optimizer.lr": [0.01]}}}  # the recipe's own
    suite = check(document(mini, **changes))
    plain, tuned = plan(suite)[0], families(suite)[0].tuned(0)[0]
    assert tuned.recipe == plain.recipe
    assert tuned.identity != plain.identity
    assert tuned.protocol_id != plain.protocol_id


@pytest.mark.parametrize(
    "change",
    [{"tuning.epochs": 2}, {"tuning.seed": 3}, {"tuning.grid": {"train.optimizer.lr": [0.1]}}, {"train.epochs": 4}],
    ids=str,
)
def test_another_search_or_base_recipe_is_another_protocol(change, mini, suite):
    changed = families(check(document(mini, **change)))[0].tuned(0)[0]
    assert changed.protocol_id != families(suite)[0].tuned(0)[0].protocol_id


def test_a_further_point_adds_only_its_own_trials(mini, suite):
    wider = {**GRID, "train.optimizer.lr": [0.1, 0.01, 0.001]}
    before = {trial.id for trial in trials(suite)}
    after = {trial.id for trial in trials(check(document(mini, **{"tuning.grid": wider})))}
    assert before < after
    assert len(after) == 12


def test_a_tuning_leaves_the_runs_by_the_identical_recipe_as_they_are(mini, suite):
    untuned = document(mini)
    del untuned["tuning"]
    assert [run.identity for run in plan(suite)] == [run.identity for run in plan(check(untuned))]
    assert families(check(untuned)) == ()


def test_every_part_in_a_tuning_survives_being_sent_to_another_machine(suite):
    family = families(suite)[0]
    for run in (family.trials[1], *family.tuned(1), *family.tuned(None)):
        again = Run.model_validate(run.model_dump(mode="json"))
        assert (again, again.identity, again.protocol_id) == (run, run.identity, run.protocol_id)


def test_a_grid_is_tuned_at_each_of_its_points_and_what_is_the_same_is_tried_once(mini):
    grid = {"models.tiny.width": [0.5, 0.25], "train.epochs": [3, 6]}
    suite = check(document(mini, grid=grid))
    assert len(families(suite)) == 8
    found = trials(suite)  # tiny of two widths, plain: the recipe's epochs do not concern trials of one epoch
    assert len(found) == 3 * 4
    assert {trial.label for trial in found} == {"tiny (width=0.5)", "tiny (width=0.25)", "plain"}
    assert len({family.tuned(0)[0].protocol_id for family in families(suite)}) == 2
