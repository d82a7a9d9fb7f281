"""The training loop against a bare PyTorch loop over the same batches."""

from __future__ import annotations

from copy import deepcopy

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional
from trainers import CLASSES, SGD, Batches, trainer_of

from segbench.engine.device import ComputeConfig
from segbench.errors import ModelRefusal, NonFiniteLossError


def network():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, CLASSES, 1))


def trainer(tmp_path, *, loader=None, net=None, **recipe):
    return trainer_of(net or network(), tmp_path, loader=loader, **recipe)


def bare_loop(net, batches, epochs, *, clip=None):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(epochs):
        for batch in batches:
            loss = functional.cross_entropy(net(batch.images), batch.labels.long())
            optimizer.zero_grad()
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(net.parameters(), clip)
            optimizer.step()
            losses.append(loss.item())
    return losses


def assert_same_weights(one, other, **tolerance):
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(
            tensor, other.state_dict()[name], msg=lambda text, name=name: f"{name}: {text}", **tolerance
        )


@pytest.mark.parametrize("clip", [None, 0.05])
def test_training_equals_a_bare_loop(tmp_path, clip):
    bare = network().train()
    losses = bare_loop(bare, Batches().batches, 2, clip=clip)
    trained = trainer(tmp_path, clip_gradient_norm=clip).fit()
    assert_same_weights(trained.network, bare)
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["loss"].tolist() == pytest.approx([sum(losses[:3]) / 3, sum(losses[3:]) / 3], rel=1e-5)
    assert trained.images == 24
    assert trained.selected_epoch == 2


def test_full_batch_gradient_descent_equals_one_step_on_all_images(tmp_path):
    batches = Batches((4, 4, 2)).batches
    plain = nn.Conv2d(3, CLASSES, 1)
    whole = deepcopy(plain)
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.1)
    for _ in range(3):
        images = torch.cat([batch.images for batch in batches])
        labels = torch.cat([batch.labels for batch in batches]).long()
        optimizer.zero_grad()
        functional.cross_entropy(whole(images), labels).backward()
        optimizer.step()
    recipe = {"epochs": 3, "accumulate": "epoch", "optimizer": SGD | {"momentum": 0.0}}
    subject = trainer(tmp_path, loader=Batches((4, 4, 2)), net=plain, **recipe)
    trained = subject.fit()
    assert subject.total_steps == 3
    assert_same_weights(trained.network, whole, rtol=1e-5, atol=1e-6)


def test_accumulation_makes_a_last_smaller_step(tmp_path):
    subject = trainer(tmp_path, accumulate=2)
    subject.fit()
    assert subject.steps_per_epoch == 2
    assert pd.read_csv(tmp_path / "history.csv")["step"].tolist() == [2, 4]


def test_steps_may_end_within_an_epoch(tmp_path):
    trained = trainer(tmp_path, epochs=None, steps=5).fit()
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["step"].tolist() == [3, 5]
    assert trained.images == 20


def test_the_moving_average_is_what_is_evaluated(tmp_path):
    expected = network().train()
    average = deepcopy(expected)
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1, momentum=0.9)
    for batch in Batches().batches:
        optimizer.zero_grad()
        functional.cross_entropy(expected(batch.images), batch.labels.long()).backward()
        optimizer.step()
        for mean, now in zip(average.parameters(), expected.parameters(), strict=True):
            mean.data.lerp_(now.data, 1 - 0.9)
    trained = trainer(tmp_path, epochs=1, ema_decay=0.9).fit()
    for mean, found in zip(average.parameters(), trained.network.parameters(), strict=True):
        torch.testing.assert_close(found, mean)


def test_a_loss_that_becomes_nan_is_named_with_its_step(tmp_path):
    batches = Batches()
    broken = batches.batches[1]
    batches.batches[1] = broken._replace(images=broken.images * float("nan"))
    with pytest.raises(NonFiniteLossError) as caught:
        trainer(tmp_path, loader=batches).fit()
    assert (caught.value.epoch, caught.value.step, caught.value.learning_rate) == (1, 2, 0.1)


def test_an_infinite_learning_rate_ends_in_a_failure_not_in_a_score(tmp_path):
    with pytest.raises(NonFiniteLossError):
        trainer(tmp_path, net=nn.Conv2d(3, CLASSES, 1), epochs=30, optimizer=SGD | {"lr": 1e38}).fit()


def test_a_network_that_shrinks_its_input_is_refused(tmp_path):
    with pytest.raises(ModelRefusal, match="every class at every pixel"):
        trainer(tmp_path, net=nn.Conv2d(3, CLASSES, 3)).fit()


def test_weights_that_the_last_step_blew_up_are_not_reported(tmp_path):
    with pytest.raises(NonFiniteLossError, match="epoch 1, step 1"):
        trainer(
            tmp_path,
            net=nn.Conv2d(3, CLASSES, 1),
            epochs=None,
            steps=1,
            optimizer=SGD | {"lr": 1e38},
            loss={"name": "cross_entropy", "weight": 1e6},
        ).fit()


def test_a_network_of_too_many_classes_is_refused(tmp_path):
    with pytest.raises(ModelRefusal, match=r"expected \(4, 3, 6, 5\)"):
        trainer(tmp_path, net=nn.Conv2d(3, CLASSES + 1, 1)).fit()


def test_several_loss_terms_stand_in_the_history(tmp_path):
    trainer(tmp_path, loss=["cross_entropy", {"name": "dice", "weight": 0.5}]).fit()
    history = pd.read_csv(tmp_path / "history.csv")
    total = history["loss_cross_entropy"] + 0.5 * history["loss_dice"]
    assert history["loss"].tolist() == pytest.approx(total.tolist(), rel=1e-5)


def test_waiting_for_data_is_part_of_the_epoch(tmp_path):
    trainer(tmp_path).fit()
    history = pd.read_csv(tmp_path / "history.csv")
    assert ((history["data_wait_share"] >= 0) & (history["data_wait_share"] <= 1)).all()
    assert (history["peak_memory_bytes"] > 0).all()
    assert history["images_per_second"].tolist() == pytest.approx((12 / history["seconds"]).tolist())


def test_bf16_trains_with_float32_weights(tmp_path):
    trained = trainer(tmp_path, precision="bf16").fit()
    assert {parameter.dtype for parameter in trained.network.parameters()} == {torch.float32}
    assert pd.read_csv(tmp_path / "history.csv")["loss"].notna().all()


def test_the_best_validation_epoch_gives_the_weights(tmp_path):
    scores = iter([0.2, 0.9, 0.4])
    seen = []

    def validate(candidate):
        seen.append(deepcopy(candidate.state_dict()))
        return {"validation_mean_iou": next(scores)}

    subject = trainer(tmp_path, epochs=3, select="best")
    subject.validate = validate
    trained = subject.fit()
    assert trained.selected_epoch == 2
    for name, tensor in trained.network.state_dict().items():
        assert torch.equal(tensor, seen[1][name])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_cuda_trains_in_every_precision(tmp_path, precision):
    subject = trainer(tmp_path, precision=precision)
    subject.compute = ComputeConfig(torch.device("cuda"), precision, channels_last=True)
    subject.network = subject.compute.place(subject.network)
    subject.loss.to("cuda")
    assert subject.fit().images == 24
