"""Claims about who teaches whom: which runs follow, what is refused, and what a run's identity depends on."""

from __future__ import annotations

import pytest
from tiny import document

from segbench.config.load import check
from segbench.config.plan import Run, plan
from segbench.errors import SuiteError

THREE = ["cnn", "unet", "fcn8s"]


def suite_of(distill, **changes):
    train = {"epochs": 2, "batch_size": 4, "distill": distill}
    return check(document(train=train, **{"models": THREE, **changes}))


def runs_of(distill, **changes):
    return plan(suite_of(distill, **changes))


def named(runs, label, seed=0):
    (found,) = [run for run in runs if run.model.label == label and run.seed == seed]
    return found


def refusal(distill, **changes):
    with pytest.raises(SuiteError) as found:
        suite_of(distill, **changes)
    return str(found.value)


def test_one_teacher_teaches_all_other_models_with_the_same_seed():
    runs = runs_of({"teacher": "unet"}, seeds=[3, 5])
    pairs = [(run.model.label, run.seed, run.teacher and (run.teacher.model.label, run.teacher.seed)) for run in runs]
    assert pairs == [
        *[("unet", 3, None), ("cnn", 3, ("unet", 3)), ("fcn8s", 3, ("unet", 3))],
        *[("unet", 5, None), ("cnn", 5, ("unet", 5)), ("fcn8s", 5, ("unet", 5))],
    ]


def test_a_teacher_is_the_run_of_its_fold():
    dataset = {"folds": 2, "validation_split": None}
    runs = runs_of({"teacher": "unet"}, dataset=dataset, models=["cnn", "unet"])
    assert [(run.fold, run.teacher and run.teacher.fold) for run in runs] == [(1, None), (1, 1), (2, None), (2, 2)]


def test_a_teacher_is_trained_by_the_recipe_without_it():
    plain = plan(check(document(models=THREE)))
    taught = runs_of({"teacher": "unet"})
    assert named(taught, "unet").id == named(plain, "unet").id
    assert named(taught, "cnn").teacher.id == named(plain, "unet").id
    assert named(taught, "unet").recipe.train.distill is None


def test_only_named_students_have_a_teacher_where_each_is_given_its_own():
    runs = runs_of({"teacher": {"cnn": "unet"}})
    teachers = {run.model.label: run.teacher and run.teacher.model.label for run in runs}
    assert teachers == {"unet": None, "fcn8s": None, "cnn": "unet"}
    assert named(runs, "fcn8s").protocol_id == named(runs, "unet").protocol_id != named(runs, "cnn").protocol_id


@pytest.mark.parametrize("order", [THREE, THREE[::-1], ["unet", "fcn8s", "cnn"]])
def test_in_a_chain_each_teacher_is_planned_before_its_students(order):
    runs = runs_of({"teacher": {"cnn": "unet", "unet": "fcn8s"}}, models=order)
    assert [run.model.label for run in runs] == ["fcn8s", "unet", "cnn"]
    assert [run.generation for run in runs] == [0, 1, 2]
    assert runs[2].teacher.teacher.id == runs[0].id


def test_a_grid_shows_networks_with_and_without_a_teacher_which_is_trained_once():
    runs = plan(check(document(grid={"train.distill": [None, {"teacher": "unet"}]})))
    assert [run.title for run in runs] == ["unet", "cnn", "cnn, distilled from unet"]
    assert len({run.protocol_id for run in runs[1:]}) == 2
    assert runs[2].teacher.id == runs[0].id


def test_a_grid_of_weights_is_told_beside_the_teacher():
    values = [{"teacher": "unet"}, {"teacher": "unet", "weight": 0.9, "temperature": 4.0}]
    runs = plan(check(document(grid={"train.distill": values})))
    assert [run.title for run in runs[1:]] == [
        "cnn, distilled from unet",
        "cnn, distilled from unet, weight=0.9, temperature=4.0",
    ]


@pytest.mark.parametrize(
    ("distill", "told"),
    [
        ({"teacher": "unett"}, "train.distill.teacher: no model of the suite has the label 'unett', did you mean"),
        ({"teacher": {"cn": "unet"}}, "no model of the suite has the label 'cn', did you mean 'cnn'?"),
        ({"teacher": {"cnn": "u-net"}}, "no model of the suite has the label 'u-net', did you mean 'unet'?"),
        ({"teacher": {"unet": "unet"}}, "train.distill.teacher: 'unet' cannot be its own teacher"),
        ({"teacher": {"cnn": "unet", "unet": "cnn"}}, "a circle: 'cnn' is taught by 'unet' is taught by 'cnn'"),
        ({"teacher": {"cnn": "fcn8s", "fcn8s": "unet", "unet": "fcn8s"}}, "a circle: 'fcn8s' is taught by 'unet' is"),
        ({"teacher": {}}, "train.distill.teacher: teaches no model"),
        ({}, "train.distill.teacher: is required and missing"),
        ({"teacher": "unet", "weight": 1.5}, "train.distill.weight: should be less than or equal to 1 (given 1.5)"),
        ({"teacher": "unet", "weight": -0.1}, "train.distill.weight"),
        ({"teacher": "unet", "temperature": 0}, "train.distill.temperature: should be greater than 0 (given 0)"),
        ({"teacher": "unet", "temperatur": 2}, "train.distill.temperatur: unknown key, did you mean 'temperature'?"),
        ({"teacher": True}, "train.distill.teacher: expected text"),
    ],
)
def test_what_cannot_teach_is_refused_with_key_and_reason(distill, told):
    assert told in refusal(distill)


def test_a_teacher_without_a_student_is_refused():
    assert "train.distill.teacher: teaches no model: add one" in refusal({"teacher": "unet"}, models=["unet"])


def test_weights_that_are_not_kept_cannot_teach():
    with pytest.raises(SuiteError, match=r"train\.keep_weights: must be true with distill"):
        check(document(train={"distill": {"teacher": "unet"}, "keep_weights": False}))


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"distill": {"teacher": "unet"}}, "tuning": {"grid": {"train.optimizer.lr": [0.1, 0.2]}}},
        {"tuning": {"grid": {"train.distill": [None, {"teacher": "unet"}]}}},
    ],
)
def test_tuning_and_distillation_together_are_refused(changes):
    with pytest.raises(SuiteError, match=r"tuning: does not go with train\.distill"):
        check(document(**changes))


def student(**changes):
    distill = {"teacher": "unet"} | changes.pop("distill", {})
    return named(runs_of(distill, **changes), "cnn")


BASE = {"models": ["cnn", {"name": "unet", "label": "unet", "width": 0.0625}]}


@pytest.mark.parametrize(
    "changes",
    [
        {"models": ["cnn", {"name": "unet", "width": 0.125}]},
        {"models": ["cnn", {"name": "fcn8s", "label": "unet"}]},
        {"distill": {"weight": 0.4}},
        {"distill": {"temperature": 3.0}},
        {"dataset": {"fraction": 0.5}},
    ],
)
def test_another_teacher_or_distillation_makes_another_run_and_another_protocol(changes):
    changed, first = student(**BASE | changes), student(**BASE)
    assert changed.identity != first.identity
    assert changed.protocol_id != first.protocol_id


def test_the_same_teacher_under_another_label_makes_the_same_run():
    models = ["cnn", {"name": "unet", "width": 0.0625, "label": "big"}]
    renamed = named(runs_of({"teacher": "big"}, models=models), "cnn")
    assert (renamed.identity, renamed.protocol_id) == (student(**BASE).identity, student(**BASE).protocol_id)


def test_a_teacher_that_is_taught_by_another_makes_another_run():
    chains = [{"cnn": "unet", "unet": "fcn8s"}, {"cnn": "unet"}]
    direct = [named(runs_of({"teacher": teacher}), "cnn") for teacher in chains]
    assert direct[0].identity != direct[1].identity
    assert direct[0].protocol_id != direct[1].protocol_id


def test_seeds_of_a_student_are_of_one_protocol():
    runs = runs_of({"teacher": "unet"}, seeds=[0, 1])
    first, second = named(runs, "cnn", 0), named(runs, "cnn", 1)
    assert first.protocol_id == second.protocol_id
    assert first.identity != second.identity


def test_a_run_read_back_from_its_values_has_the_same_identity():
    run = named(runs_of({"teacher": {"cnn": "unet", "unet": "fcn8s"}}), "cnn")
    again = Run.model_validate(run.model_dump(mode="json"))
    assert (again.identity, again.id, again.protocol_id) == (run.identity, run.id, run.protocol_id)
