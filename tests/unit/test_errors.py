"""Errors say what, where and what to do, and travel between processes."""

import pickle

import pytest

from segbench import errors
from segbench.errors import (
    DataError,
    ModelRefusal,
    NonFiniteLossError,
    RunInterrupted,
    SegbenchError,
    SuiteError,
    TrainingError,
    UnknownNameError,
    UsageError,
    did_you_mean,
)
from segbench.registry import CATALOGS

EXAMPLES = [
    SegbenchError("something"),
    SuiteError("unknown key", file="a.yaml", key="train.epoch"),
    UnknownNameError("model", "unett", ["unet", "segnet"]),
    DataError("a.png: cannot be read"),
    ModelRefusal("too small"),
    NonFiniteLossError(float("inf"), epoch=3, step=17, learning_rate=0.5),
    RunInterrupted("stopped after step 3 of 9", kept="which is saved"),
]


def every_kind(kind=SegbenchError):
    return {kind}.union(*(every_kind(below) for below in kind.__subclasses__()))


def test_the_tree_in_the_docstring_is_the_tree_of_classes():
    named = set(errors.__doc__.replace("├", " ").replace("│", " ").replace("└", " ").replace("─", " ").split())
    assert {kind.__name__ for kind in every_kind() if kind.__module__ == errors.__name__} <= named


def test_what_a_person_can_mend_is_told_from_what_a_run_meets():
    for mendable in (SuiteError, UnknownNameError, DataError, errors.WeightsError, errors.StoreError):
        assert issubclass(mendable, UsageError)
    for met in (ModelRefusal, TrainingError, NonFiniteLossError):
        assert not issubclass(met, UsageError)


@pytest.mark.parametrize(
    ("file", "key", "message"),
    [
        ("a.yaml", "train.epoch", "a.yaml: train.epoch: unknown key"),
        (None, "train.epoch", "train.epoch: unknown key"),
        ("a.yaml", "", "a.yaml: unknown key"),
        (None, "", "unknown key"),
    ],
)
def test_a_suite_error_names_file_and_key(file, key, message):
    error = SuiteError("unknown key", file=file, key=key)
    assert str(error) == message
    assert (error.file, error.key, error.problem) == (file, key, "unknown key")


def test_a_lost_loss_tells_where_and_what_to_do():
    message = str(NonFiniteLossError(float("nan"), epoch=3, step=17, learning_rate=0.5))
    assert message.startswith("the loss became nan in epoch 3, step 17, at learning rate 0.5; ")
    assert "lower the learning rate" in message


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_travel_between_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert repr(vars(again)) == repr(vars(error))


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("unett", ["unet", "segnet"], ", did you mean 'unet'?"),
        ("UNET", ["unet", "segnet"], ", did you mean 'unet'?"),
        ("deeplab", ["DeepLab", "unet"], ", did you mean 'DeepLab'?"),
        ("xyz", ["unet", "segnet"], "; known: segnet, unet"),
        ("sdg", ["adam", "sgd"], ", did you mean 'sgd'?"),
        ("resnet", ["segnet", "unet"], "; known: segnet, unet"),
        ("deeplab", ["cnn", "deeplabv3plus"], "; known: cnn, deeplabv3plus"),
        ("torchvison:fcn", ["fcn8s", "torchvision:"], ", did you mean 'torchvision:'?"),
        ("timm:unet", ["smp:", "unet"], "; known: smp:, unet"),
        ("smp:Unett", ["smp:Unet", "unet"], ", did you mean 'smp:Unet'?"),
        ("smp", ["smp:", "unet"], ", did you mean 'smp:'?"),
        ("smpl", ["smp:", "unet"], "; known: smp:, unet"),
        (
            "x",
            [f"a{index:02}" for index in range(41)],
            f"; known: {', '.join(f'a{n:02}' for n in range(40))} and 1 more",
        ),
        ("xyz", [], ""),
    ],
)
def test_the_nearest_name_is_offered_or_all_of_them(name, known, hint):
    assert did_you_mean(name, known) == hint


@pytest.mark.parametrize(
    ("catalogue", "name"),
    [
        ("models", "resnet"),
        ("models", "pspnet"),
        ("models", "adam"),
        ("losses", "unet"),
        ("losses", "jaccard"),
        ("optimizers", "cosine"),
        ("optimizers", "lbfgs"),
        ("schedules", "sgd"),
        ("schedules", "plateau"),
        ("transforms", "dice"),
        ("transforms", "flip"),
        ("datasets", "cityscapes"),
    ],
)
def test_what_is_near_nothing_is_no_slip_of_anything(catalogue, name):
    with pytest.raises(UnknownNameError) as caught:
        CATALOGS[catalogue].find(name)
    assert "did you mean" not in str(caught.value)
    assert all(known in str(caught.value) for known in CATALOGS[catalogue].entries())
