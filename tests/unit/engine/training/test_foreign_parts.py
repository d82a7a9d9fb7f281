"""Losses, optimizers and schedules from elsewhere work as our own, or say by their name what is wrong."""

import math
import sys

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from segbench.config.component import LossEntry, OptimizerEntry, ScheduleEntry
from segbench.engine.training.epoch_meter import EpochMeter
from segbench.engine.training.losses.foreign import try_loss
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.optim.optimizers import create_optimizer
from segbench.engine.training.optim.schedules import create_schedule
from segbench.errors import NonFiniteLossError, UsageError
from segbench.import_path import ForeignPartError

CLASSES = 4
SOURCE = """
import torch
from torch import nn
from torch.nn import functional as F

def plain(logits, labels, *, factor=1.0):
    return factor * F.cross_entropy(logits, labels, ignore_index=255)

def made(classes, *, factor=1.0):
    assert classes == 4
    return lambda logits, labels: factor * F.cross_entropy(logits, labels, ignore_index=255)

class Module(nn.Module):
    def __init__(self, factor=1.0):
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor))
    def forward(self, logits, labels):
        return self.factor * F.cross_entropy(logits, labels, ignore_index=255)

def falls_over_void(logits, labels): return F.cross_entropy(logits, labels)
def unreduced(logits, labels): return F.cross_entropy(logits, labels, ignore_index=255, reduction="none")
def number(logits, labels): return 1.5
def constant(logits, labels): return torch.tensor(1.0)
def nan(logits, labels): return logits.sum() * float("nan")
def steep(logits, labels): return (logits[labels[:, None].expand_as(logits) != 255] * 0).sqrt().sum()
def void_counts(logits, labels): return logits.square().mean()
def raises(logits, labels):
    raise KeyError("no such thing")

class Trains(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
    def forward(self, logits, labels): return logits.sum() * self.weight

class Signs(torch.optim.Optimizer):
    def __init__(self, params, lr=0.5):
        super().__init__(params, {"lr": lr})
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(group["lr"] * weight.grad.sign())

class Breaks(Signs):
    def step(self): raise RuntimeError("broken step")

def forgetful(params, lr=0.5):
    return torch.optim.SGD([list(params)[0]], lr=lr)
def no_optimizer(params): return "nothing"

def halving(step, total_steps, steps_per_epoch, *, floor=0.0):
    return max(floor, 0.5 ** (step / total_steps))
def negative(step): return -1.0
def textual(step): return "fast"
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("elsewhere", None)


def loss(name, **options):
    return build_loss([LossEntry.model_validate({"name": f"python:{name}", **options})], classes=CLASSES)


def batch():
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (2, 8, 8), generator=draw)
    labels[:, :2] = 255
    return torch.randn(2, CLASSES, 8, 8, generator=draw), labels


# Losses.


@pytest.mark.parametrize("name", ["elsewhere.plain", "elsewhere.made", "elsewhere.Module"])
def test_a_function_what_makes_one_and_a_module_are_losses(name):
    logits, labels = batch()
    found = loss(name, factor=2.0)
    torch.testing.assert_close(found(logits, labels), 2 * F.cross_entropy(logits, labels, ignore_index=255))
    assert try_loss(found.losses[0]) is None


def test_losses_of_torch_and_smp_need_no_code():
    logits, labels = batch()
    torchs = loss("torch.nn.CrossEntropyLoss", ignore_index=255)
    torch.testing.assert_close(torchs(logits, labels), F.cross_entropy(logits, labels, ignore_index=255))
    smps = loss("segmentation_models_pytorch.losses.DiceLoss", mode="multiclass", ignore_index=255)
    ours = build_loss([LossEntry(name="dice", options={})], classes=CLASSES)
    torch.testing.assert_close(smps(logits, labels), ours(logits, labels))


def test_terms_from_elsewhere_keep_their_names_beside_others():
    terms = ["dice", {"name": "python:elsewhere.plain", "weight": 3}, "python:elsewhere.plain"]
    found = build_loss([LossEntry.model_validate(term) for term in terms], classes=CLASSES)
    values = found.terms(*batch())
    assert list(values) == ["dice", "python:elsewhere.plain", "python:elsewhere.plain_2"]
    expected = values["dice"] + 4 * values["python:elsewhere.plain"]
    torch.testing.assert_close(found.combine(values), expected)


def test_a_batch_of_void_never_reaches_a_loss_from_elsewhere():
    logits = torch.randn(1, CLASSES, 4, 4, requires_grad=True)
    value = loss("elsewhere.plain")(logits, torch.full((1, 4, 4), 255))
    value.backward()
    assert (value.item(), logits.grad.abs().max().item()) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "falls_over_void",
            r"failed on logits \(2, 4, 32, 32\) and labels \(2, 32, 32\), in which 255 is void: IndexError",
        ),
        ("unreduced", r"returned a tensor of shape \(2, 32, 32\); a tensor of one number is expected"),
        ("number", "returned float; a tensor of one number"),
        ("constant", "returned a number that has no gradient"),
        ("nan", "is nan on ordinary logits"),
        ("steep", "has a gradient that is not finite"),
        ("raises", r"KeyError: 'no such thing' \(.*elsewhere\.py, line \d+\)"),
    ],
)
def test_what_is_wrong_with_a_loss_is_told_by_its_name_before_training(name, problem):
    with pytest.raises(ForeignPartError, match=rf"python:elsewhere\.{name} .*{problem}|{problem}") as caught:
        try_loss(loss(f"elsewhere.{name}").losses[0])
    assert f"python:elsewhere.{name}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("elsewhere.Trains", {}, "has trainable weights"),
        ("elsewhere.Module", {"no": 1}, "cannot be made with no=1: TypeError"),
        ("elsewhere.absent", {}, "has no 'absent'"),
        ("nowhere.loss", {}, "there is no module 'nowhere'"),
        ("loss", {}, "expected python:package.module.attribute"),
    ],
)
def test_a_loss_that_cannot_be_made_is_refused_by_name(name, options, problem):
    with pytest.raises(UsageError, match=problem) as caught:
        loss(name, **options)
    assert f"python:{name}" in str(caught.value)


def test_a_loss_that_counts_void_pixels_is_told_of():
    assert "void pixels" in try_loss(loss("elsewhere.void_counts").losses[0])


def test_a_loss_from_elsewhere_that_becomes_nan_in_training_is_named():
    value = torch.tensor(math.nan)
    for terms in (("python:elsewhere.nan",), ("dice", "python:elsewhere.nan")):
        meter = EpochMeter(1, terms)
        found = {"dice": torch.tensor(1.0), "python:elsewhere.nan": value}
        meter.add(value, {name: found[name] for name in terms}, share=1.0, step=1, learning_rate=0.1)
        with pytest.raises(NonFiniteLossError, match=r"the loss python:elsewhere\.nan became nan"):
            meter.check()


# Optimizers.


def optimizer(name, network, **options):
    return create_optimizer(OptimizerEntry.model_validate({"name": f"python:{name}", **options}), network)


def test_optimizers_from_elsewhere_train_all_parameters():
    network = nn.Linear(2, 1)
    assert isinstance(optimizer("torch.optim.Adagrad", network, lr=0.25), torch.optim.Adagrad)
    found = optimizer("elsewhere.Signs", network, lr=0.25)
    before = network.weight.detach().clone()
    network(torch.ones(1, 2)).sum().backward()
    found.step()
    torch.testing.assert_close(network.weight, before - 0.25)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("forgetful", {}, "trains 1 of the 2 tensors"),
        ("no_optimizer", {}, r"returned str; a torch\.optim\.Optimizer is expected"),
        ("Signs", {"speed": 1}, "cannot be made with speed=1: TypeError"),
    ],
)
def test_an_optimizer_that_does_not_do_is_refused_by_name(name, options, problem):
    with pytest.raises(ForeignPartError, match=rf"python:elsewhere\.{name} {problem}"):
        optimizer(f"elsewhere.{name}", nn.Linear(2, 1), **options)


# Schedules.


def schedule(name, made, *, steps=10, **options):
    entry = ScheduleEntry.model_validate({"name": f"python:{name}", **options})
    return create_schedule(entry, made, total_steps=steps, steps_per_epoch=5)


def rates(found, steps):
    seen = []
    for done in range(steps):
        found.step(done)
        seen.append(found.learning_rate)
    return seen


def test_a_function_of_the_step_is_a_schedule_behind_the_suites_warm_up():
    found = schedule("elsewhere.halving", torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.4), warmup_steps=2)
    expected = [0.0, 0.2, *(0.4 * 0.5 ** (step / 8) for step in range(8))]
    assert rates(found, 10) == pytest.approx(expected)


def test_a_scheduler_of_torch_is_a_schedule_that_can_be_entered_anywhere():
    name, options = "torch.optim.lr_scheduler.OneCycleLR", {"max_lr": 0.4}
    theirs = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(theirs, total_steps=10, **options)
    expected = []
    for _ in range(10):
        expected.append(theirs.param_groups[0]["lr"])
        theirs.step()
        scheduler.step()
    ours = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
    assert rates(schedule(name, ours, **options), 9) == pytest.approx(expected[:9])
    entered = schedule(name, torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1), **options)
    for done in (7, 3, 8):
        entered.step(done)
        assert entered.learning_rate == pytest.approx(expected[done])


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("elsewhere.negative", {}, "gives a learning rate of -0.1 at step 0; expected at least 0"),
        ("elsewhere.textual", {}, "failed at step 0: ValueError"),
        ("elsewhere.halving", {"speed": 1}, "failed at step 0: TypeError"),
        ("torch.optim.lr_scheduler.CosineAnnealingLR", {}, "cannot be made with no options: TypeError"),
    ],
)
def test_a_schedule_that_does_not_do_is_refused_by_name(name, options, problem):
    with pytest.raises(ForeignPartError, match=rf"python:{name} {problem}"):
        schedule(name, torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1), **options)
