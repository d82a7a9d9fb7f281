"""Claims about learning-rate schedules, held against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from segbench.config.component import ScheduleEntry
from segbench.engine.training.optim.schedules import Schedule, create_schedule
from segbench.errors import UsageError
from segbench.registry import SCHEDULES

RATE = 0.4
STEPS_PER_EPOCH = 7
EPOCHS = 6
TOTAL = STEPS_PER_EPOCH * EPOCHS


def optimizer(rate: float = RATE) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=rate)


def schedule(written, *, total: int = TOTAL, steps_per_epoch: int = STEPS_PER_EPOCH, rate: float = RATE) -> Schedule:
    entry = ScheduleEntry.model_validate(written)
    return create_schedule(entry, optimizer(rate), total_steps=total, steps_per_epoch=steps_per_epoch)


def rates(made: Schedule, total: int = TOTAL) -> list[float]:
    """The learning rate of every optimizer step, and the one left after the last."""
    found = [made.learning_rate]
    for done in range(1, total + 1):
        made.step(done)
        found.append(made.learning_rate)
    return found


def after_warmup(step: int, warmup: int) -> float:
    """The share of the training after the warm-up that is over."""
    return (step - warmup) / (TOTAL - warmup)


CLOSED_FORMS = {
    "constant": ("constant", lambda step, warmup: RATE),
    "poly": ("poly", lambda step, warmup: RATE * (1 - after_warmup(step, warmup)) ** 0.9),
    "poly to a minimum": (
        {"name": "poly", "power": 2.0, "minimum": 0.1},
        lambda step, warmup: 0.1 + (RATE - 0.1) * (1 - after_warmup(step, warmup)) ** 2,
    ),
    "cosine": ("cosine", lambda step, warmup: RATE * (1 + math.cos(math.pi * after_warmup(step, warmup))) / 2),
    "cosine to a minimum": (
        {"name": "cosine", "minimum": 0.05},
        lambda step, warmup: 0.05 + (RATE - 0.05) * (1 + math.cos(math.pi * after_warmup(step, warmup))) / 2,
    ),
    "step": (
        {"name": "step", "every_epochs": 2, "factor": 0.5},
        lambda step, warmup: RATE * 0.5 ** (step // (2 * STEPS_PER_EPOCH)),
    ),
    "multistep": (
        {"name": "multistep", "milestones": [1, 4], "factor": 0.1},
        lambda step, warmup: RATE * 0.1 ** sum(step >= epoch * STEPS_PER_EPOCH for epoch in (1, 4)),
    ),
    "exponential": (
        {"name": "exponential", "factor": 0.9},
        lambda step, warmup: RATE * 0.9 ** (step // STEPS_PER_EPOCH),
    ),
}


@pytest.mark.parametrize("warmup", [0, 1, 3, 10])
@pytest.mark.parametrize(("written", "closed_form"), CLOSED_FORMS.values(), ids=list(CLOSED_FORMS))
def test_every_step_has_the_rate_of_the_closed_form(written, closed_form, warmup):
    written = {"name": written} if isinstance(written, str) else written
    start = 0.02
    found = rates(schedule({**written, "warmup_steps": warmup, "warmup_start": start}))
    expected = [
        start + (RATE - start) * step / warmup if step < warmup else closed_form(step, warmup)
        for step in range(TOTAL + 1)
    ]
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ["constant", "poly", "cosine", "step", "exponential"])
def test_the_rate_is_right_before_the_first_step(name):
    assert schedule(name).learning_rate == RATE
    assert schedule({"name": name, "warmup_steps": 4, "warmup_start": 0.01}).learning_rate == 0.01
    assert schedule({"name": name, "warmup_steps": 4}).learning_rate == 0.0


@pytest.mark.parametrize("name", ["poly", "cosine"])
def test_the_last_step_still_learns_and_the_minimum_comes_after_it(name):
    found = rates(schedule({"name": name, "minimum": 0.001}))
    assert found[TOTAL - 1] > 0.001
    assert found[TOTAL] == pytest.approx(0.001)


def test_multistep_drops_as_torchs_own_does():
    ours = rates(schedule({"name": "multistep", "milestones": [2, 3], "factor": 0.3}))
    theirs = optimizer()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(theirs, [2 * STEPS_PER_EPOCH, 3 * STEPS_PER_EPOCH], 0.3)
    expected = []
    for _ in range(TOTAL + 1):
        expected.append(theirs.param_groups[0]["lr"])
        theirs.step()
        scheduler.step()
    assert ours == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["constant", "poly", "cosine", "step", "exponential"]),
    total=st.integers(1, 60),
    steps_per_epoch=st.integers(1, 60),
    warmup=st.integers(0, 59),
)
def test_a_schedule_rises_through_its_warmup_and_never_again(name, total, steps_per_epoch, warmup):
    warmup = min(warmup, total - 1)
    made = schedule({"name": name, "warmup_steps": warmup}, total=total, steps_per_epoch=steps_per_epoch)
    found = rates(made, total)
    peak = found[warmup]
    assert found[:warmup] == sorted(found[:warmup])
    assert all(0 <= rate <= RATE for rate in found)
    assert found[warmup:] == sorted(found[warmup:], reverse=True)
    assert name not in ("constant", "poly", "cosine") or peak == pytest.approx(RATE)


@pytest.mark.parametrize("name", ["poly", "step", "exponential"])
def test_any_step_can_be_resumed_at(name):
    written = {"name": name, "warmup_steps": 5}
    through = rates(schedule(written))
    for done in (0, 4, 5, 20, TOTAL):
        resumed = schedule(written)
        resumed.step(done)
        assert resumed.learning_rate == through[done]


def test_a_schedule_made_after_the_optimizers_state_is_loaded_keeps_its_height():
    first = optimizer()
    entry = ScheduleEntry.model_validate("poly")
    stepped = create_schedule(entry, first, total_steps=TOTAL, steps_per_epoch=STEPS_PER_EPOCH)
    stepped.step(20)
    second = optimizer()
    second.load_state_dict(first.state_dict())
    resumed = create_schedule(entry, second, total_steps=TOTAL, steps_per_epoch=STEPS_PER_EPOCH)
    resumed.step(21)
    stepped.step(21)
    assert resumed.learning_rate == stepped.learning_rate


def test_every_parameter_group_follows():
    parameters = [{"params": [nn.Parameter(torch.zeros(1))]}, {"params": [nn.Parameter(torch.zeros(1))], "lr": 0.1}]
    groups = torch.optim.SGD(parameters, lr=RATE)
    entry = ScheduleEntry.model_validate({"name": "poly", "power": 1.0})
    made = create_schedule(entry, groups, total_steps=10, steps_per_epoch=1)
    made.step(5)
    assert [group["lr"] for group in groups.param_groups] == pytest.approx([RATE / 2, 0.05])


@pytest.mark.parametrize(
    ("written", "total", "message"),
    [
        ({"name": "poly", "warmup_steps": 5}, 5, "warmup_steps: 5 of 5 training steps"),
        ("constant", 0, "0 steps in all"),
        ({"name": "poly", "power": 0.0}, 9, "poly: power is 0"),
        ({"name": "cosine", "minimum": -1.0}, 9, "cosine: minimum is -1"),
        ({"name": "step", "every_epochs": 0}, 9, "every_epochs is 0"),
        ({"name": "step", "factor": -0.1}, 9, "step: factor is -0.1"),
        ({"name": "exponential", "factor": 0.0}, 9, "exponential: factor is 0"),
        ({"name": "multistep", "milestones": []}, 9, r"milestones \[\]"),
        ({"name": "multistep", "milestones": [3, 2]}, 9, r"milestones \[3, 2\]"),
        ({"name": "multistep", "milestones": [0, 2]}, 9, r"milestones \[0, 2\]"),
        ({"name": "multistep", "milestones": [1], "factor": 0.0}, 9, "multistep: factor"),
    ],
)
def test_what_makes_no_schedule_is_refused_with_its_value(written, total, message):
    with pytest.raises(UsageError, match=message):
        schedule(written, total=total)


@pytest.mark.parametrize("name", list(SCHEDULES.entries()))
def test_every_schedule_documents_its_options(name):
    parameters = SCHEDULES.entries()[name].signature.parameters
    assert all(option.help for option in parameters)
    assert not {"optimizer", "span", "total_steps"} & {option.name for option in parameters}
