"""Cross-validation in suites: keys, the runs that they make, and what tells these apart."""

import pytest

from segbench.config.load import check, load_suite
from segbench.config.plan import plan
from segbench.config.reading.yaml_loader import read_yaml
from segbench.config.trials import families, trials
from segbench.errors import SuiteError


def crossed(mini, **changes):
    """Check the small suite with keys of its data set set, and others at the top."""
    document = read_yaml(mini)
    top = {key: changes.pop(key) for key in ("train", "tuning", "grid", "seeds") if key in changes}
    document["dataset"] |= {"folds": 3, **changes}
    return check(document | top)


def test_every_network_and_seed_has_one_run_a_fold(mini):
    runs = plan(crossed(mini))
    assert [(run.seed, run.fold, run.label) for run in runs] == [
        (seed, fold, label) for seed in (0, 1) for fold in (1, 2, 3) for label in ("tiny", "plain")
    ]
    assert len({run.id for run in runs}) == len({run.identity for run in runs}) == 12
    assert all(f"-seed{run.seed}-fold{run.fold}-{run.identity[:10]}" in run.id for run in runs)
    assert runs[2].title == "tiny, fold 2 of 3"


def test_all_folds_have_one_protocol_and_other_folds_another(mini):
    three, five = (plan(crossed(mini, folds=folds)) for folds in (3, 5))
    assert len({run.protocol_id for run in three}) == 1
    assert three[0].protocol["dataset"]["folds"] == 3
    assert three[0].protocol_id != five[0].protocol_id


def test_without_folds_nothing_of_them_is_in_a_recipe_or_an_id(mini):
    run = plan(check(read_yaml(mini)))[0]
    assert run.fold is None
    assert not {"folds", "fold_groups"} & run.protocol["dataset"].keys()
    assert "fold" not in run.id
    assert run.data_key == run.protocol_id


def test_the_content_of_a_file_of_groups_counts_not_its_place(mini, tmp_path):
    for folder, text in {"a": "image,city\nx,1\n", "b": "image,city\nx,1\n", "c": "image,city\nx,2\n"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "groups.csv").write_text(text)
    of = {
        folder: plan(crossed(mini, fold_groups={"file": str(tmp_path / folder / "groups.csv"), "column": "city"}))[0]
        for folder in "abc"
    }
    assert of["a"].identity == of["b"].identity
    assert of["a"].protocol_id != of["c"].protocol_id
    assert str(tmp_path) not in str(of["a"].protocol)


def test_a_file_of_groups_beside_the_suite_is_found(mini, write):
    suite = write(mini.replace("size: [24, 32]", "size: [24, 32], folds: 2, fold_groups: {file: g.csv, column: c}"))
    (suite.parent / "g.csv").write_text("image,c\n")
    assert load_suite(suite).dataset.fold_groups.file == str(suite.parent / "g.csv")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folds": 1}, "dataset.folds: should be greater than or equal to 2"),
        ({"folds": True}, "dataset.folds: expected a number, not true or false"),
        ({"folds": None, "fold_groups": {"folder": 1}}, "dataset.fold_groups: needs dataset.folds"),
        ({"fold_groups": {}}, "dataset.fold_groups: give one of file, folder and pattern, got none"),
        ({"fold_groups": {"folder": 1, "pattern": "x"}}, "got folder and pattern"),
        ({"fold_groups": {"file": "x.csv"}}, "file and column belong together"),
        ({"fold_groups": {"folders": 1}}, "unknown key, did you mean 'folder'?"),
        ({"fold_groups": {"pattern": "("}}, "dataset.fold_groups.pattern: is no regular expression"),
        ({"train": None}, "dataset.folds: needs a recipe under train"),
        (
            {"folds": 2, "train": {"epochs": 1, "select": "best"}},
            "must be at least 3: for train.validate_every",
        ),
        (
            {"folds": 2, "tuning": {"grid": {"train.optimizer.lr": [0.1, 0.2]}}},
            "dataset.folds: must be at least 3: for tuning, a fold is validated on",
        ),
    ],
)
def test_folds_that_cannot_be_are_refused(mini, changes, words):
    with pytest.raises(SuiteError, match=r"^[\s\S]*dataset") as caught:
        crossed(mini, **changes)
    assert words in str(caught.value)


def test_best_weights_need_no_validation_split_of_their_own(mini):
    assert crossed(mini, train={"epochs": 1, "select": "best"}).dataset.validation_split is None


def test_one_split_may_be_named_for_all(mini):
    assert crossed(mini, train_split="all", test_split="all").dataset.named_splits == ("all",)


def test_every_fold_is_tuned_on_its_own(mini):
    suite = crossed(mini, tuning={"grid": {"train.optimizer.lr": [0.1, 0.2]}}, seeds=[0])
    tried = trials(suite)
    assert sorted((trial.label, trial.fold) for trial in tried) == sorted(
        (label, fold) for label in ("tiny", "plain") for fold in (1, 2, 3) for _ in range(2)
    )
    assert len({trial.id for trial in tried}) == 12
    found = families(suite)
    assert [{run.fold for run in (*family.trials, *family.runs)} for family in found] == [{1}, {2}, {3}] * 2
    assert len({run.protocol_id for family in found for run in family.tuned(0)}) == 1


def test_a_grid_may_hold_numbers_of_folds(mini):
    runs = plan(crossed(mini, grid={"dataset.folds": [2, 3]}, seeds=[0]))
    assert [run.fold for run in runs if run.label == "tiny"] == [1, 2, 1, 2, 3]
    assert len({run.protocol_id for run in runs}) == 2
