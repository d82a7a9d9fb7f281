"""From a suite to its speed cases."""

from __future__ import annotations

import pytest
from tiny import document

from segbench.config.component import ModelEntry
from segbench.config.load import check
from segbench.errors import SuiteError, UnknownNameError
from segbench.results.speed.record import Output, Task
from segbench.speed.cases import suite_cases


def cases(**changes):
    """Return the cases of the tiny suite, changed."""
    return suite_cases(check(document(**changes)), device="cpu")


def test_without_a_block_every_network_is_timed_and_the_loader_once():
    found = [(planned.case.task, planned.case.label) for planned in cases()]
    assert found == [
        (Task.INFERENCE, "unet"),
        (Task.INFERENCE, "cnn"),
        (Task.TRAINING, "unet"),
        (Task.TRAINING, "cnn"),
        (Task.LOADING, "scenes"),
    ]


def test_every_combination_is_a_case():
    block = {
        "tasks": ["inference"],
        "precisions": ["fp32", "bf16"],
        "modes": ["eager", "compile"],
        "outputs": ["logits", "labels"],
        "channels_last": [False, True],
        "batch_sizes": [1, 2, 4],
    }
    found = [planned.case for planned in cases(speed=block)]
    assert len(found) == 2 * 2 * 2 * 2 * 2 * 3
    assert len({case.identity for case in found}) == len(found)


def test_bf16_is_a_case_for_each_way_of_casting_and_fp32_is_one():
    block = {"tasks": ["inference"], "precisions": ["fp32", "bf16"]}
    once = [planned.case for planned in cases(speed=block, models=["cnn"])]
    assert [(case.precision, case.casting) for case in once] == [("fp32", None), ("bf16", "weights")]
    both = cases(speed=block | {"casting": ["autocast", "weights"]}, models=["cnn"])
    assert [planned.case.precision_label for planned in both] == ["fp32", "bf16 autocast", "bf16 weights"]


def test_training_steps_are_cast_by_autocast():
    train = {"optimizer": {"name": "sgd", "lr": 0.1}, "precision": "bf16"}
    (training,) = (planned.case for planned in cases(train=train, models=["cnn"], speed={"tasks": ["training"]}))
    assert training.precision_label == "bf16 autocast"


def test_sizes_are_those_that_the_networks_see():
    crop = {"train": [{"name": "random_crop", "size": [16, 24]}], "test": [{"name": "resize", "size": [40, 48]}]}
    sizes = {planned.case.task: planned.case.size for planned in cases(transforms=crop, models=["cnn"])}
    assert sizes == {Task.INFERENCE: (40, 48), Task.TRAINING: (16, 24), Task.LOADING: (16, 24)}


def test_a_given_size_wins():
    found = cases(speed={"size": [64, 96], "tasks": ["inference", "training"]})
    assert {planned.case.size for planned in found} == {(64, 96)}


def test_only_labels_are_resized():
    block = {"tasks": ["inference"], "outputs": ["classes", "labels"], "size": [64, 64]}
    found = {planned.case.output: planned.case.label_size for planned in cases(speed=block, models=["cnn"])}
    assert found == {Output.CLASSES: None, Output.LABELS: (32, 32)}


def test_a_training_step_is_that_of_the_recipe():
    train = {"optimizer": {"name": "sgd", "lr": 0.1}, "clip_gradient_norm": 2.0, "batch_size": 3, "channels_last": True}
    (training,) = (planned.case for planned in cases(train=train, models=["cnn"], speed={"tasks": ["training"]}))
    assert training.batch_size == 3
    assert training.channels_last
    assert training.recipe["optimizer"]["name"] == "sgd"
    assert training.recipe["clip_gradient_norm"] == 2.0


def test_padding_and_auxiliary_losses_are_timed():
    models = [{"name": "cnn", "pad_to": 64}]
    found = cases(models=models, train={"auxiliary": 0.4}, speed={"tasks": ["inference", "training"]})
    assert {planned.case.model["pad_to"] for planned in found} == {64}
    assert found[-1].case.recipe["auxiliary"] == 0.4
    plain = cases(models=["cnn"], speed={"tasks": ["inference", "training"]})
    assert not any("pad_to" in planned.case.model or "auxiliary" in planned.case.recipe for planned in plain)


def test_without_a_training_recipe_only_inference_is_timed():
    found = cases(train=None, dataset={"train_split": "train"})
    assert {planned.case.task for planned in found} == {Task.INFERENCE}


def test_weights_are_no_part_of_a_speed_case():
    entry = ModelEntry.model_validate({"name": "unet", "encoder": "resnet18", "pretrained": True, "label": "U"})
    (planned,) = cases(models=[entry.model_dump()], defaults={}, speed={"tasks": ["inference"]})
    assert planned.case.model["pretrained"] is False
    assert "label" not in planned.case.model
    assert "strict" not in planned.case.model


def test_models_are_chosen_by_name():
    found = suite_cases(check(document(speed={"tasks": ["inference"]})), device="cpu", models=["cnn"])
    assert [planned.case.label for planned in found] == ["cnn"]
    with pytest.raises(UnknownNameError, match="did you mean 'cnn'"):
        suite_cases(check(document()), device="cpu", models=["cn"])


def test_an_unknown_mode_is_refused_by_key():
    with pytest.raises(SuiteError, match=r"speed\.modes.*'turbo' is none of eager"):
        check(document(speed={"modes": ["turbo"]}))


def test_threads_are_pinned_on_a_processor_alone():
    on_cpu = suite_cases(check(document()), device="cpu")[0].case
    on_cuda = suite_cases(check(document()), device="cuda")[0].case
    assert (on_cpu.threads, on_cuda.threads) == (1, None)


def test_the_speed_block_changes_no_runs_identity():
    from segbench.config.plan import plan

    plain, timed = plan(check(document())), plan(check(document(speed={"restarts": 7})))
    assert [run.identity for run in plain] == [run.identity for run in timed]
