"""Statistics of batch norm that are computed anew: against plain moments, and within a training."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import nn
from trainers import Batches, trainer_of

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.device import ComputeConfig
from segbench.engine.training.batch_norm import compute_statistics

CPU = ComputeConfig(torch.device("cpu"))


def images(*sizes, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 3, 6, 5, generator=draw) * (index + 1) + index for index, size in enumerate(sizes)]


def dropping(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(0.5), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1))


def test_the_statistics_are_those_of_all_pixels_of_batches_of_any_size_with_dropout_off():
    batches, network = images(4, 4, 1), dropping().train()
    compute_statistics(network, batches, compute=CPU)
    with torch.no_grad():
        features = network[0](torch.cat(batches)).double()
    torch.testing.assert_close(network[2].running_mean.double(), features.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        network[2].running_var.double(), features.var((0, 2, 3), correction=0), rtol=1e-5, atol=1e-6
    )
    assert not any(part.training for part in network.modules())


def test_running_statistics_after_dropout_are_too_large_and_these_are_not():
    batches, network = images(8) * 50, dropping()
    network.train()
    for batch in batches:
        network(batch)
    running = network[2].running_var.clone()
    compute_statistics(network, batches[:1], compute=CPU)
    with torch.no_grad():
        features = network[0](batches[0])
    # p = 0.5 keeps the mean and turns E[x^2] into 2 E[x^2]
    expected = 2 * features.square().mean((0, 2, 3)) - features.mean((0, 2, 3)).square()
    torch.testing.assert_close(running, expected, rtol=0.2, atol=0.05)
    assert (running > 1.5 * network[2].running_var).all()


def test_means_are_those_of_torchs_update_bn_where_there_is_no_dropout():
    """``update_bn`` averages the batches' own variances, which leaves out how far their means lie apart."""
    batches = images(4, 4, 4)
    one, other = (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 1), nn.BatchNorm2d(5))
        for _ in range(2)
    )
    other.load_state_dict(one.state_dict())
    compute_statistics(one, batches, compute=CPU)
    torch.optim.swa_utils.update_bn(batches, other)
    for place in (1, 4):
        torch.testing.assert_close(one[place].running_mean, other[place].running_mean, rtol=1e-4, atol=1e-6)
        assert (one[place].running_var >= 0.95 * other[place].running_var).all()


@dataclass
class Together:
    """Stands for a group: its processes' sums are exchanged by hand."""

    shares: list = field(default_factory=list)

    def all_gather(self, part):
        self.shares.append(part)
        return self.shares


def test_processes_take_their_batches_together():
    batches, alone, group = images(4, 4), dropping(), Together()
    compute_statistics(alone, batches, compute=CPU)
    for batch in batches:
        shared = dropping()
        compute_statistics(shared, [batch], compute=CPU, group=group)
    torch.testing.assert_close(shared[2].running_mean, alone[2].running_mean)
    torch.testing.assert_close(shared[2].running_var, alone[2].running_var)


def test_what_is_not_batch_norm_or_is_passed_by_nothing_stays():
    network = dropping()
    network[0].idle = nn.BatchNorm2d(4)  # a module that no forward pass reaches
    network[0].idle.running_mean.fill_(7.0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    compute_statistics(network, images(4), compute=CPU)
    changed = [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])]
    assert changed == ["2.running_mean", "2.running_var"]


def test_a_training_learns_the_same_weights_and_ends_with_precise_statistics(tmp_path):
    torch.manual_seed(1)
    running = trainer_of(dropping(), tmp_path).fit()
    torch.manual_seed(1)
    precise = trainer_of(dropping(), tmp_path, batch_norm_statistics="precise").fit()
    found = precise.network.state_dict()
    for name, tensor in running.network.state_dict().items():
        assert torch.equal(tensor, found[name]) == ("running" not in name), name
    assert precise.digest == running.digest
    expected = dropping()
    expected.load_state_dict(precise.network.state_dict())
    compute_statistics(expected, [batch.images for batch in Batches().batches], compute=CPU)
    assert torch.equal(expected[2].running_var, precise.network[2].running_var)


@pytest.mark.parametrize("select", ["last", "best"])
def test_validations_see_precise_statistics_and_the_best_weights_keep_them(tmp_path, select):
    seen = []

    def validate(network):
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {"validation_mean_iou": [0.2, 0.9, 0.1][len(seen) - 1]}

    subject = trainer_of(
        dropping(), tmp_path, epochs=3, batch_norm_statistics="precise", validate_every=1, select=select
    )
    subject.validate = validate
    trained = subject.fit()
    expected = seen[1 if select == "best" else 2]
    assert all(torch.equal(tensor, expected[name]) for name, tensor in trained.network.state_dict().items())
    for weights in seen:
        again = dropping()
        again.load_state_dict(weights)
        compute_statistics(again, [batch.images for batch in Batches().batches], compute=CPU)
        assert torch.equal(again[2].running_var, weights["2.running_var"])


def test_the_moving_average_gets_statistics_of_its_own(tmp_path):
    subject = trainer_of(dropping(), tmp_path, batch_norm_statistics="precise", ema_decay=0.9)
    trained = subject.fit()
    again = dropping()
    again.load_state_dict(trained.network.state_dict())
    compute_statistics(again, [batch.images for batch in Batches().batches], compute=CPU)
    assert torch.equal(again[2].running_var, trained.network[2].running_var)
    assert not torch.equal(subject.network[2].running_var, trained.network[2].running_var)


def test_the_key_changes_the_protocol_and_its_default_does_not():
    def protocol(**train):
        document = {"dataset": "scenes", "models": ["unet"], "train": {"epochs": 1} | train}
        run, *_ = plan(check(document))
        return run.recipe.protocol_id

    assert protocol(batch_norm_statistics="running") == protocol()
    assert protocol(batch_norm_statistics="precise") != protocol()
