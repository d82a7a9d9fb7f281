"""What cannot train is found by validate and before the first run, for each network."""

import subprocess
import sys

import pytest
from tiny import document

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.suite import preflight_models as feasible
from segbench.engine.suite.preflight import preflight
from segbench.engine.suite.preflight_recipe import check_recipes, may_fail
from segbench.errors import SuiteError
from segbench.models.skeleton import skeleton

SOURCE = """
import torch
from torch.nn import functional as F

class Needs(torch.optim.SGD):
    def __init__(self, params, lr=0.1, *, needed): super().__init__(params, lr)

def kernels(params, lr=0.1, most=4):
    params = list(params)
    if any(one.ndim > most for one in params): raise ValueError(f"takes {most} sides")
    return torch.optim.SGD(params, lr)

def few(params, lr=0.1, most=4):
    params = list(params)
    if len(params) > most: raise ValueError(f"takes {most} tensors")
    return torch.optim.SGD(params, lr)

def loss(logits, labels, *, factor): return factor * F.cross_entropy(logits, labels, ignore_index=255)
def table(step, *, values): return values[step]
"""


@pytest.fixture(autouse=True)
def _own(tmp_path, monkeypatch):
    (tmp_path / "own_recipe.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_recipe", None)


def runs(**changes):
    return plan(check(document(**changes)))


def looked_at(planned):
    return preflight(planned, known={}, device=None, finished=frozenset(), observer=lambda event: None)


FAULTS = {
    "a rate below 0": ({"optimizer": {"name": "sgd", "lr": -1.0}}, r"train\.optimizer: .*Invalid learning rate"),
    "a beta of 2": ({"optimizer": {"name": "adamw", "betas": [0.9, 2]}}, r"train\.optimizer: .*beta"),
    "Nesterov without momentum": (
        {"optimizer": {"name": "sgd", "momentum": 0.0, "nesterov": True}},
        r"train\.optimizer: .*Nesterov",
    ),
    "an option that is missing": (
        {"optimizer": {"name": "python:own_recipe.Needs"}},
        r"train\.optimizer: .*argument: 'needed' \(for unet\)",
    ),
    "an option that there is not": (
        {"optimizer": {"name": "python:torch.optim.Adagrad", "lrr": 1}},
        r"train\.optimizer: .*unexpected keyword argument 'lrr'",
    ),
    "an option of timm's": ({"optimizer": {"name": "timm:adopt", "epss": 1}}, "did you mean 'eps'"),
    "a step that needs more": (
        {"optimizer": {"name": "python:torch.optim.LBFGS"}},
        r"train\.optimizer: .*its step needs 'closure'",
    ),
    "shapes": (
        {"optimizer": {"name": "python:own_recipe.kernels", "most": 3}},
        r"train\.optimizer: .*takes 3 sides.*\(for unet\)",
    ),
    "an option of a loss": ({"loss": "python:own_recipe.loss"}, r"train\.loss: .*argument: 'factor'"),
    "weights of other classes": (
        {"loss": {"name": "cross_entropy", "class_weights": [1.0, 2.0]}},
        r"train\.loss: .*2 values for 8 classes",
    ),
    "an option of a schedule": (
        {"schedule": {"name": "python:torch.optim.lr_scheduler.StepLR", "steps": 3}},
        r"train\.schedule: .*unexpected keyword argument 'steps'",
    ),
    "milestones that fall": (
        {"schedule": {"name": "multistep", "milestones": [2, 1]}},
        r"train\.schedule: .*milestones \[2, 1\]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_train_is_found_without_the_images(fault):
    train, message = FAULTS[fault]
    with pytest.raises(SuiteError, match=message):
        check_recipes(runs(train=train))


@pytest.mark.parametrize("fault", ["an option that is missing", "shapes", "an option of a schedule", "a beta of 2"])
def test_what_cannot_train_is_found_before_the_first_run(fault):
    train, message = FAULTS[fault]
    with pytest.raises(SuiteError, match=message):
        looked_at(runs(train=train))


def test_a_schedule_is_followed_to_its_end_where_that_is_known():
    planned = runs(train={"schedule": {"name": "python:own_recipe.table", "values": [1.0, 0.5, 0.25]}})
    assert check_recipes(planned) == []
    with pytest.raises(SuiteError, match=r"train\.schedule: .*failed at step 5"):
        looked_at(planned)
    six = {"schedule": {"name": "python:own_recipe.table", "values": [1.0] * 6}}
    assert looked_at(runs(train=six)).refusals == {}


def test_every_point_of_a_grid_is_tried():
    grid = {"train.optimizer": [{"name": "adamw"}, {"name": "python:own_recipe.Needs"}]}
    with pytest.raises(SuiteError, match="'needed'"):
        check_recipes(runs(grid=grid))


def test_the_network_that_an_optimizer_does_not_take_is_named():
    first = skeleton(runs(models=["unet"])[0].model, classes=8, channels=3)
    optimizer = {"name": "python:own_recipe.few", "most": len(list(first.parameters()))}
    assert check_recipes(runs(models=["unet"], train={"optimizer": optimizer})) == []
    with pytest.raises(SuiteError, match=r"takes \d+ tensors.*\(for larger\)"):
        check_recipes(runs(models=["unet", {"name": "segnet", "label": "larger"}], train={"optimizer": optimizer}))


def test_built_in_parts_with_their_usual_options_need_no_torch():
    text = (
        "import sys; from segbench.config.load import check; from segbench.config.plan import plan\n"
        "from segbench.engine.suite.preflight_recipe import check_recipes\n"
        f"assert check_recipes(plan(check({document()!r}))) == []\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not may_fail(runs()[0].recipe.train)
    assert may_fail(runs(train={"optimizer": {"name": "adamw", "betas": [0.9, 0.9]}})[0].recipe.train)


def test_the_loss_is_not_tried_where_the_data_is_not(tmp_path):
    dataset = {"name": "camvid", "root": str(tmp_path), "validation_split": "val"}
    planned = plan(check({**document(), "dataset": dataset, "train": {"epochs": 1, "loss": "python:own_recipe.loss"}}))
    (note,) = check_recipes(planned)
    assert note.startswith("train.loss is not tried, since the data is not here")


def test_equal_networks_on_equal_inputs_are_tried_once(monkeypatch):
    built = []
    original = feasible.skeleton

    def counted(entry, **given):
        built.append(entry.name)
        return original(entry, **given)

    monkeypatch.setattr(feasible, "skeleton", counted)
    dataset = {"name": "scenes", "size": [32, 32], "train_images": 8, "test_images": 4, "folds": 3}
    planned = plan(check({**document(seeds=[0, 1]), "dataset": dataset}))
    assert len(planned) == 12
    assert looked_at(planned).refusals == {}
    assert sorted(built) == ["cnn", "unet"]


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (["normalize"], [], "transforms.train normalizes images and transforms.test does not"),
        (["horizontal_flip"], ["normalize"], "transforms.test normalizes images and transforms.train does not"),
        (["normalize"], [{"name": "normalize", "statistics": "measured"}], "statistics is given in training and meas"),
        (["normalize"], [{"name": "normalize", "std": [1, 1, 1]}], "std is [0.229, 0.224, 0.225] in training and [1.0"),
        (["horizontal_flip", "normalize"], ["normalize"], None),
        ([], [], None),
        (["normalize"], ["python:torchvision.transforms.v2.Identity"], None),
    ],
)
def test_test_images_that_are_normalised_otherwise_are_told(train, test, said):
    runs = plan(check(document(transforms={"train": train, "test": test})))
    told = [text for text in check_recipes(runs) if "than they were trained on" in text]
    assert len(told) == (said is not None)
    assert all(said in text for text in told)
    assert not any("than they were" in text for text in check_recipes(plan(check(document(train=None)))))


def test_a_run_tells_of_it_too():
    events = []
    runs = plan(check(document(transforms={"test": [{"name": "resize", "size": [32, 32]}]}, models=["cnn"])))
    preflight(runs, known={}, device="cpu", finished=frozenset(), observer=events.append)
    assert any("transforms.test does not" in getattr(event, "text", "") for event in events)
