"""Training on auxiliary outputs."""

from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from tiny import document
from torch import nn
from torch.nn import functional

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.config.sections.training import Train
from segbench.engine.device import ComputeConfig
from segbench.engine.doctor.noise import noise_loader
from segbench.engine.training.auxiliary_losses import Supervised, SupervisedLoss, supervised, weights_by_path
from segbench.engine.training.epoch_meter import EpochMeter
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.trainer import Trainer
from segbench.errors import ModelRefusal, SuiteError
from segbench.models.external import ExternalNetwork

CLASSES = 3


class Deep(nn.Module):
    """Two score layers on one trunk, the second at half the size; in the structure that a function makes."""

    def __init__(self, made):
        super().__init__()
        self.trunk, self.head, self.side = nn.Conv2d(3, 4, 1), nn.Conv2d(4, CLASSES, 1), nn.Conv2d(4, CLASSES, 2, 2)
        self.made = made

    def forward(self, images):
        features = self.trunk(images).relu()
        return self.made(self.head(features), self.side(features), self.training)


STRUCTURES = {
    "torchvision": lambda main, side, training: OrderedDict(out=main, aux=side),
    "dict": lambda main, side, training: {"logits": main, "aux_1": side},
    "list": lambda main, side, training: [main, side],
    "tuple in training only": lambda main, side, training: (main, side) if training else main,
    "object": lambda main, side, training: SimpleNamespace(logits=main, aux_logits=side),
}
every_structure = pytest.mark.parametrize("made", STRUCTURES.values(), ids=list(STRUCTURES))


def network_of(made, **options):
    torch.manual_seed(0)
    return ExternalNetwork(Deep(made), CLASSES, name="python:deep", **options)


def trainer_of(network, size=(8, 12), **recipe):
    train = Train.model_validate(
        {"steps": 3, "batch_size": 4, "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.0}, **recipe}
    )
    loader = noise_loader(3, size, batch_size=4, classes=CLASSES, channels=3, pin_memory=False)
    loss = build_loss(train.loss, classes=CLASSES)
    arithmetic = ComputeConfig(torch.device("cpu"), train.precision)
    return Trainer(network, train, loader=loader, loss=loss, arithmetic=arithmetic, history=History("never.csv"))


def one_step(network, **recipe):
    """Make one step; return the batch and the change of every weight."""
    trainer = trainer_of(network, **recipe)
    trainer.network.train()
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    meter = EpochMeter(1, trainer.loss.names)
    with trainer.loader as loader:
        batch = next(loader.epoch(1))
        trainer.train_step(iter([batch]), meter)
    meter.check()
    changes = {name: weight.detach() - before[name] for name, weight in network.named_parameters()}
    return batch, changes, meter


def loss_by_hand(made, batch, weight):
    """Return the loss and gradients of fresh weights: main + weight times side, resized, void left out."""
    reference = Deep(made)
    reference.load_state_dict(network_of(made).model.state_dict())
    features = reference.trunk(batch.images).relu()
    side = functional.interpolate(reference.side(features), batch.images.shape[-2:], mode="bilinear")
    labels = batch.labels.long()
    main_loss = functional.cross_entropy(reference.head(features), labels, ignore_index=255)
    side_loss = functional.cross_entropy(side, labels, ignore_index=255)
    (main_loss + weight * side_loss).backward()
    return main_loss.item(), side_loss.item(), dict(reference.named_parameters())


@every_structure
@pytest.mark.parametrize("weights", [0.4, [0.4]], ids=["one", "list"])
def test_a_step_follows_the_gradient_of_the_main_loss_and_weight_times_the_auxiliary_one(made, weights):
    batch, changes, meter = one_step(network_of(made), auxiliary=weights)
    main_loss, side_loss, parameters = loss_by_hand(made, batch, 0.4)
    for name, parameter in parameters.items():
        assert torch.allclose(changes[f"model.{name}"], -0.1 * parameter.grad, atol=1e-7), name
    assert changes["model.side.weight"].abs().max() > 0
    assert meter.last_loss == pytest.approx(main_loss + 0.4 * side_loss, rel=1e-5)
    assert meter.totals().sums["loss_auxiliary"] == pytest.approx(0.4 * side_loss, rel=1e-5)


@every_structure
def test_without_weights_auxiliary_outputs_are_not_trained_on(made):
    batch, changes, meter = one_step(network_of(made))
    _, _, parameters = loss_by_hand(made, batch, 0.0)
    for name, parameter in parameters.items():
        assert torch.allclose(changes[f"model.{name}"], -0.1 * parameter.grad, atol=1e-7), name
    assert changes["model.side.weight"].abs().max() == 0
    assert "loss_auxiliary" not in meter.totals().sums


@pytest.mark.parametrize("weights", [{"aux": 0.4}, {"aux": 0.4, "elsewhere": 2.0}], ids=str)
def test_weights_may_be_given_by_name(weights):
    made = STRUCTURES["torchvision"]
    batch, changes, _ = one_step(network_of(made), auxiliary=weights)
    _, _, parameters = loss_by_hand(made, batch, 0.4)
    assert torch.allclose(changes["model.side.weight"], -0.1 * parameters["side.weight"].grad, atol=1e-7)


def test_a_name_makes_any_output_an_auxiliary_one():
    made = lambda main, side, training: {"out": main, "edges": side}  # noqa: E731
    _, changes, _ = one_step(network_of(made), auxiliary={"edges": 0.4})
    assert changes["model.side.weight"].abs().max() > 0
    _, changes, _ = one_step(network_of(made), auxiliary=0.4)
    assert changes["model.side.weight"].abs().max() == 0


def test_a_network_without_auxiliary_outputs_is_trained_as_without_weights():
    made = lambda main, side, training: main  # noqa: E731
    _, with_weights, _ = one_step(network_of(made), auxiliary=0.4)
    _, without, _ = one_step(network_of(made))
    assert all(torch.equal(change, without[name]) for name, change in with_weights.items())


def test_auxiliary_losses_are_the_recipes_losses():
    losses = [{"name": "cross_entropy", "weight": 0.5}, {"name": "dice", "weight": 2.0}]
    network = network_of(STRUCTURES["list"])
    batch, _, meter = one_step(network, auxiliary=0.4, loss=losses, optimizer={"name": "sgd", "lr": 1e-30})
    loss = build_loss(Train.model_validate({"steps": 1, "loss": losses}).loss, classes=CLASSES)
    main, side = network.outputs(batch.images).values()
    with torch.no_grad():
        expected = loss(main, batch.labels) + 0.4 * loss(side, batch.labels)
    assert meter.last_loss == pytest.approx(float(expected), rel=1e-5)
    assert set(meter.totals().sums) == {"loss", "loss_cross_entropy", "loss_dice", "loss_auxiliary"}


def test_parts_of_a_batch_and_blocks_computed_twice_give_the_step_of_the_whole():
    made = STRUCTURES["torchvision"]
    _, whole, _ = one_step(network_of(made), auxiliary=0.4)
    for recipe in ({"micro_batch": 1}, {"micro_batch": "auto"}, {"activation_checkpointing": True}):
        _, other, _ = one_step(network_of(made), auxiliary=0.4, **recipe)
        for name, change in whole.items():
            assert torch.allclose(other[name], change, atol=1e-6), (recipe, name)


def test_half_precision_computes_auxiliary_losses_in_float32():
    made = STRUCTURES["torchvision"]
    _, exact, _ = one_step(network_of(made), auxiliary=0.4)
    _, half, meter = one_step(network_of(made), auxiliary=0.4, precision="bf16")
    assert torch.allclose(half["model.side.weight"], exact["model.side.weight"], atol=1e-3)
    assert meter.last_loss == pytest.approx(meter.totals().sums["loss"])


def test_padded_images_give_auxiliary_outputs_of_the_images_size():
    network = network_of(STRUCTURES["dict"], step=8)
    images = torch.randn(2, 3, 10, 13)
    outputs = network.outputs(images)
    assert {path: tuple(value.shape) for path, value in outputs.items()} == {
        "logits": (2, 3, 10, 13),
        "aux_1": (2, 3, 10, 13),
    }
    by_hand = network.model(functional.pad(images, (0, 3, 0, 6)))["aux_1"]
    by_hand = functional.interpolate(by_hand, (16, 16), mode="bilinear")[..., :10, :13]
    assert torch.equal(outputs["aux_1"], by_hand)


def test_a_list_of_weights_of_another_length_is_refused_with_both():
    with pytest.raises(ModelRefusal, match=r"has 1 auxiliary outputs \(1\), and train.auxiliary has 2 weights"):
        one_step(network_of(STRUCTURES["list"]), auxiliary=[0.4, 0.2])


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (0.4, {"aux.0": 0.4, "aux.1": 0.4, "edge": 0.4}),
        ((0.4, 0.0, 1.0), {"aux.0": 0.4, "edge": 1.0}),
        ({"aux": 0.4}, {"aux.0": 0.4, "aux.1": 0.4}),
        ({"aux": 0.4, "aux.1": 0.2, "nothing": 1.0}, {"aux.0": 0.4, "aux.1": 0.2}),
    ],
    ids=str,
)
def test_weights_go_to_all_outputs_or_in_their_order_or_by_name(weights, expected):
    assert weights_by_path(weights, ["aux.0", "aux.1", "edge"]) == expected


def test_evaluation_and_averages_see_the_scores_alone():
    trainer = trainer_of(network_of(STRUCTURES["torchvision"]), auxiliary=0.4, ema_decay=0.9)
    assert isinstance(trainer.forward, Supervised)
    for network in (trainer.network, trainer.eval_network):
        assert network.eval()(torch.zeros(1, 3, 8, 8)).shape == (1, CLASSES, 8, 8)
    assert set(trainer.network.state_dict()) == set(network_of(STRUCTURES["torchvision"]).state_dict())


def test_what_was_seen_to_have_no_auxiliary_outputs_is_not_touched():
    network, loss = network_of(lambda main, side, training: main), build_loss((), classes=CLASSES)
    assert isinstance(supervised(network, loss, 0.4)[1], SupervisedLoss)
    from segbench.models.tryout import try_outputs

    try_outputs(network, channels=3, size=(8, 8))
    assert supervised(network, loss, 0.4) == (network, loss)
    assert supervised(nn.Conv2d(3, 3, 1), loss, 0.4)[1] is loss
    assert supervised(network_of(STRUCTURES["list"]), loss, None)[1] is loss


@pytest.mark.slow(reason="compiles networks")
def test_compiled_structures_give_what_eager_ones_give():
    for name, made in STRUCTURES.items():
        network = network_of(made)
        compiled = torch.compile(Supervised(network, ()), backend="eager")
        images = torch.randn(2, 3, 8, 8)
        for own, expected in zip(compiled(images).values(), network.outputs(images).values(), strict=True):
            assert torch.equal(own, expected), name


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (0, "train.auxiliary"),
        (-0.4, "train.auxiliary"),
        (True, "expected a number, not true or false"),
        ([], "train.auxiliary"),
        ({"aux": True}, "expected numbers, not true or false"),
        ({"aux": -1}, "train.auxiliary"),
        ("aux", "train.auxiliary"),
    ],
    ids=str,
)
def test_impossible_weights_are_refused(given, problem):
    with pytest.raises(SuiteError, match=problem):
        check(document(train={"auxiliary": given}))


def test_weights_are_part_of_the_protocol_only_where_they_are_given():
    plain, null = (plan(check(document(train=train)))[0] for train in ({"epochs": 2}, {"auxiliary": None}))
    weighted, by_name = (plan(check(document(train={"auxiliary": given})))[0] for given in (0.4, {1: 0.4}))
    assert plain.recipe.canonical()["train"].get("auxiliary", "absent") == "absent"
    assert plain.protocol_id == null.protocol_id
    assert len({plain.protocol_id, weighted.protocol_id, by_name.protocol_id}) == 3
    assert by_name.recipe.canonical()["train"]["auxiliary"] == {"1": 0.4}


def test_names_that_fit_no_auxiliary_output_are_refused():
    with pytest.raises(
        ModelRefusal, match=r"has the auxiliary outputs aux, none of which train.auxiliary names \(nope"
    ):
        weights_by_path({"nope": 0.4}, ["aux"])
    assert weights_by_path({"nope": 0.4, "aux": 0}, ["aux"]) == {}
    assert weights_by_path({"nope": 0.4}, []) == {}
