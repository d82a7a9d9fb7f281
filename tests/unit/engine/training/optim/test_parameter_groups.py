"""Parameter groups: what they match, and that every schedule keeps their ratios."""

from copy import deepcopy

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from segbench.config.component import ModelEntry, OptimizerEntry, ScheduleEntry
from segbench.config.load import check
from segbench.engine.suite.preflight_parts import check_groups
from segbench.engine.training.optim.optimizers import create_optimizer
from segbench.engine.training.optim.parameter_groups import shares, trainable_parameters
from segbench.engine.training.optim.schedules import create_schedule
from segbench.errors import SuiteError, UsageError
from segbench.models.build import build_network

SCHEDULES = ["constant", {"name": "poly", "minimum": 0.01}, {"name": "cosine", "minimum": 0.01}, "exponential", "step"]


def network():
    parts = {"encoder": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), "head": nn.Conv2d(4, 2, 1)}
    return nn.ModuleDict(parts)


def entry(groups, name="sgd", **options):
    return OptimizerEntry.model_validate({"name": name, "lr": 0.1, "groups": groups, **options})


def settings(optimizer, model):
    """Learning rate and weight decay of each parameter, by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def scheduled(given, model, schedule="constant", **options):
    optimizer = create_optimizer(given, model)
    asked = ScheduleEntry.model_validate({"name": schedule, **options} if isinstance(schedule, str) else schedule)
    return optimizer, create_schedule(asked, optimizer, total_steps=20, steps_per_epoch=5)


def test_every_group_that_matches_counts_and_the_later_one_wins():
    model = network()
    groups = [
        {"parameters": "encoder.*", "lr_scale": 0.1},
        {"parameters": ["*.bias", "encoder.1.*"], "weight_decay": 0},
        {"parameters": "head.bias", "lr": 0.3},
    ]
    optimizer, _ = scheduled(entry(groups, weight_decay=0.01), model)
    found = settings(optimizer, model)
    assert found == {
        "encoder.0.weight": pytest.approx((0.01, 0.01)),
        "encoder.0.bias": pytest.approx((0.01, 0)),
        "encoder.1.weight": pytest.approx((0.01, 0)),
        "encoder.1.bias": pytest.approx((0.01, 0)),
        "head.weight": pytest.approx((0.1, 0.01)),
        "head.bias": pytest.approx((0.3, 0)),
    }


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("groups", [[{"parameters": "enc*", "lr_scale": 0.1}], [{"parameters": "enc*", "lr": 0.01}]])
def test_schedules_keep_ratios_through_warm_up_and_down_to_the_minimum(schedule, groups):
    model = network()
    warm = {"warmup_steps": 4, "warmup_start": 0.02}
    given = {"name": schedule, **warm} if isinstance(schedule, str) else schedule | warm
    optimizer, found = scheduled(entry(groups), model, given)
    plain, alone = scheduled(OptimizerEntry.model_validate({"name": "sgd", "lr": 0.1}), network(), given)
    for done in range(21):
        found.step(done)
        alone.step(done)
        base = plain.param_groups[0]["lr"]
        rates = {name: rate for name, (rate, _) in settings(optimizer, model).items()}
        assert rates["encoder.0.weight"] == pytest.approx(0.1 * base)
        assert rates["head.weight"] == pytest.approx(base)
        assert found.learning_rate == pytest.approx(base)


def test_groups_and_decay_norm_and_bias_go_together():
    model = network()
    given = entry([{"parameters": "encoder.*", "weight_decay": 0.5}], weight_decay=0.01, decay_norm_and_bias=False)
    found = settings(create_optimizer(given, model), model)
    decays = {name: decay for name, (_, decay) in found.items()}
    assert (decays["encoder.0.weight"], decays["head.weight"]) == (0.5, 0.01)
    assert {decays[name] for name in decays if name.endswith("bias") or name.startswith("encoder.1")} == {0.0}


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "nadamw", "rmsprop", "lamb", "lion", "timm:adopt"])
def test_every_optimizer_steps_by_groups_and_resumes_them(name):
    groups = [{"parameters": "encoder.*", "lr_scale": 0.001}]
    models = [network(), network()]
    models[1].load_state_dict(models[0].state_dict())
    optimizer, schedule = scheduled(entry(groups, name=name), models[0], "cosine")
    images = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))

    def step(model, optimizer):
        optimizer.zero_grad()
        model["head"](model["encoder"](images)).square().sum().backward()
        optimizer.step()

    before = {key: value.clone() for key, value in models[0].state_dict().items()}
    for done in (1, 2):  # the first step of some only looks
        step(models[0], optimizer)
        schedule.step(done)
    moved = {key: (models[0].state_dict()[key] - before[key]).abs().max().item() for key in before}
    assert 0 < moved["encoder.0.weight"] < 0.1 * moved["head.weight"]
    again, entered = scheduled(entry(groups, name=name), models[1], "cosine")
    models[1].load_state_dict(models[0].state_dict())
    again.load_state_dict(deepcopy(optimizer.state_dict()))
    entered.step(2)
    step(models[0], optimizer)
    step(models[1], again)
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_frozen_parameters_are_in_no_group():
    model = network()
    model["encoder"][0].weight.requires_grad_(False)
    groups = entry([{"parameters": "encoder.*", "lr_scale": 0.1}])
    assert "encoder.0.weight" not in settings(create_optimizer(groups, model), model)
    (share,) = shares(groups.groups, model)
    assert share == (3, 4 + 4 + 4, 4 + 4 + 4 + 8 + 2)


@pytest.mark.parametrize("name", ["sgd", "adamw", "lion", "timm:adopt", "python:torch.optim.Adagrad"])
@pytest.mark.parametrize("zero", [{"lr_scale": 0}, {"lr": 0}])
def test_a_learning_rate_of_0_freezes_whatever_optimizer_and_schedule(name, zero):
    model = network()
    groups = [{"parameters": "encoder.*", **zero}, {"parameters": "*.bias", "weight_decay": 0.5}]
    warm = {"name": "cosine", "minimum": 0.01, "warmup_steps": 2, "warmup_start": 0.02}
    optimizer, schedule = scheduled(entry(groups, name=name, weight_decay=0.1), model, warm)
    before = deepcopy(model.state_dict())
    images = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    for done in range(1, 5):
        optimizer.zero_grad()
        model["head"](model["encoder"](images)).square().sum().backward()
        optimizer.step()
        schedule.step(done)
    moved = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    assert moved == {"head.weight", "head.bias"}
    assert model["encoder"][0].weight.grad is None


def test_a_later_group_takes_parameters_out_of_a_frozen_one():
    model = network()
    groups = [{"parameters": "encoder.*", "lr_scale": 0}, {"parameters": "encoder.1.*", "lr_scale": 0.5}]
    found = settings(create_optimizer(entry(groups), model), model)
    assert {name for name in found if name.startswith("encoder")} == {"encoder.1.weight", "encoder.1.bias"}
    assert found["encoder.1.weight"][0] == 0.1  # the schedule takes its half


def test_a_network_that_is_frozen_whole_cannot_be_trained():
    with pytest.raises(UsageError, match="no trainable parameters"):
        create_optimizer(entry([{"parameters": "*", "lr_scale": 0}]), network())


def test_it_is_told_which_groups_freeze():
    (line,) = check_groups(suite([{"parameters": "*", "lr_scale": 0}]), classes=2)
    assert line.startswith("parameter group * (frozen): unet ")


@pytest.mark.parametrize("name", ["smp:Unet", "torchvision:lraspp_mobilenet_v3_large", "unet"])
def test_names_are_those_that_the_network_itself_gives(name):
    model = build_network(ModelEntry.model_validate(name), classes=2, channels=3, seed=0)
    assert not any(key.startswith("model.") for key in trainable_parameters(model))


def suite(groups, **more):
    train = {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1, "groups": groups}}
    return check(
        {"dataset": "scenes", "models": ["unet", "cnn"], "defaults": {"width": 0.0625}, "train": train, **more}
    )


def test_what_a_group_takes_of_every_network_is_told():
    first = next(iter(trainable_parameters(build_network(suite([]).models[0], classes=2, channels=3, seed=0))))
    pattern = first.partition(".")[0] + ".*"
    (line,) = check_groups(suite([{"parameters": pattern, "lr_scale": 0.1}]), classes=2)
    assert line.startswith(f"parameter group {pattern}: unet ")
    assert "cnn nothing" in line


def test_a_group_that_fits_no_network_is_refused_with_the_names_there_are():
    groups = [{"parameters": "*", "lr_scale": 0.5}, {"parameters": "encodr.*", "lr_scale": 0.1}]
    with pytest.raises(
        SuiteError, match=r"groups\[1\]\.parameters: no parameter of any network is called encodr\.\*"
    ) as error:
        check_groups(suite(groups), classes=2)
    assert "unet " in str(error.value)


def test_groups_that_a_grid_or_a_tuning_tries_are_looked_at():
    wrong = [{"parameters": "nothing", "lr_scale": 0.1}]
    with pytest.raises(SuiteError, match="called nothing"):
        check_groups(suite(None, grid={"train.optimizer.groups": [None, wrong]}), classes=2)
    tuned = {"tuning": {"grid": {"train.optimizer.groups": [None, wrong]}}}
    splits = {"dataset": {"name": "scenes", "validation_split": "val"}}
    with pytest.raises(SuiteError, match="called nothing"):
        check_groups(suite(None, **tuned, **splits), classes=2)


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        ({"parameters": "a.*"}, "changes nothing"),
        ({"parameters": "a.*", "lr": 0.1, "lr_scale": 0.1}, "give either lr or lr_scale"),
        ({"parameters": "a.*", "lr_scale": -1}, "greater than or equal to 0"),
        ({"parameters": "a.*", "lr": -0.1}, "greater than or equal to 0"),
        ({"parameters": [], "lr_scale": 1}, "too_short|at least 1"),
        ({"parameters": "a.*", "weight_decy": 0}, "did you mean 'weight_decay'"),
        ({"lr_scale": 0.1}, "required"),
    ],
)
def test_groups_that_mean_nothing_are_refused(group, problem):
    with pytest.raises(ValidationError, match=problem):
        entry([group])


def test_a_learning_rate_of_its_own_needs_one_to_be_a_multiple_of():
    given = OptimizerEntry.model_validate({"name": "sgd", "lr": 0.0, "groups": [{"parameters": "*", "lr": 0.1}]})
    with pytest.raises(UsageError, match="above 0"):
        create_optimizer(given, network())
