"""Claims about distillation: the loss against values worked by hand and torch's, a step against a bare loop."""

from __future__ import annotations

from copy import deepcopy
from math import log

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from segbench.config.sections.training import Distill, Train
from segbench.data.loading.batch import Batch
from segbench.engine.device import ComputeConfig
from segbench.engine.training.distillation import DistilledLoss, Teacher, distillation_loss
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.trainer import Trainer
from segbench.errors import ModelRefusal

CLASSES, VOID = 3, 255
CPU = ComputeConfig(torch.device("cpu"))


def pixels(*logits):
    """Return logits (1, C, 1, W) of pixels, each given by the logits of its classes."""
    return torch.tensor(logits).T[None, :, None, :]


def labels(*values):
    return torch.tensor(values)[None, None, :]


def random_case(size=(2, CLASSES, 4, 5), void=0.3):
    draw = torch.Generator().manual_seed(1)
    student, teacher = (3 * torch.randn(size, generator=draw) for _ in range(2))
    truth = torch.randint(0, CLASSES, (size[0], *size[2:]), generator=draw)
    return student, teacher, truth.where(torch.rand(truth.shape, generator=draw) > void, VOID)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 0.5])
def test_the_loss_of_one_pixel_is_that_worked_by_hand(temperature):
    """Teacher (3/4, 1/4), student (1/2, 1/2): 3/4 log 3/2 + 1/4 log 1/2, times the squared temperature."""
    found = distillation_loss(
        pixels((0.0, 0.0)), temperature * pixels((log(3), 0.0)), labels(1), temperature=temperature
    )
    assert found.item() == pytest.approx(temperature**2 * (0.75 * log(1.5) + 0.25 * log(0.5)), rel=1e-5)


def test_the_divergence_is_that_of_the_student_from_the_teacher_and_not_the_other_way_round():
    """Student (3/4, 1/4), teacher (1/2, 1/2): 1/2 log 2/3 + 1/2 log 2."""
    found = distillation_loss(pixels((log(3), 0.0)), pixels((0.0, 0.0)), labels(0), temperature=1.0)
    assert found.item() == pytest.approx(0.5 * log(2 / 3) + 0.5 * log(2), rel=1e-5)


@pytest.mark.parametrize("void", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("temperature", [1.0, 2.0, 7.5])
def test_the_loss_is_that_of_torch_over_the_labelled_pixels(temperature, void):
    student, teacher, truth = random_case(void=void)
    rows = [logits.permute(0, 2, 3, 1)[truth != VOID] / temperature for logits in (student, teacher)]
    expected = functional.kl_div(
        rows[0].double().log_softmax(1), rows[1].double().log_softmax(1), reduction="batchmean", log_target=True
    )
    found = distillation_loss(student, teacher, truth, temperature=temperature)
    assert found.item() == pytest.approx(temperature**2 * expected.item(), rel=1e-5)


def test_at_high_temperatures_the_gradient_is_the_difference_of_the_centred_logits():
    """Hinton et al. 2015, equation 4, times the squared temperature: (z - v) / classes for each pixel."""
    student, teacher, truth = random_case(void=0.0)
    centred = [logits - logits.mean(dim=1, keepdim=True) for logits in (student, teacher)]
    student.requires_grad_()
    distillation_loss(student, teacher, truth, temperature=1000.0).backward()
    expected = (centred[0] - centred[1]).detach() / CLASSES / truth.numel()
    torch.testing.assert_close(student.grad, expected, rtol=0.02, atol=1e-3 * expected.abs().max().item())


def test_void_pixels_change_neither_the_loss_nor_a_gradient():
    student, teacher, truth = random_case()
    void = (truth == VOID)[:, None]
    other = student.where(~void, 100.0).requires_grad_(), teacher.where(~void, -50.0)
    found = distillation_loss(*other, truth, temperature=2.0)
    assert found.item() == distillation_loss(student, teacher, truth, temperature=2.0).item()
    found.backward()
    assert other[0].grad.where(void, 0).abs().max() == 0
    assert other[0].grad.where(~void, 0).abs().max() > 0


def test_a_batch_that_is_void_altogether_has_the_loss_0_and_a_gradient():
    student, teacher, truth = random_case()
    student.requires_grad_()
    found = distillation_loss(student, teacher, torch.full_like(truth, VOID), temperature=2.0)
    found.backward()
    assert found.item() == 0
    assert student.grad.abs().max() == 0


def test_a_student_that_agrees_with_its_teacher_has_no_loss():
    student, _, truth = random_case()
    assert distillation_loss(student, student + 5.0, truth, temperature=2.0).item() == pytest.approx(0, abs=1e-6)


def test_the_loss_is_computed_in_float32_under_autocast_too():
    student, teacher, truth = random_case()
    expected = distillation_loss(student.bfloat16().float(), teacher.bfloat16().float(), truth, temperature=2.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = distillation_loss(student.bfloat16(), teacher.bfloat16(), truth, temperature=2.0)
    assert found.dtype == torch.float32
    assert found.item() == expected.item()


@pytest.mark.parametrize(("weight", "expected"), [(0.0, 2.0), (0.25, 4.0), (1.0, 10.0)])
def test_the_weight_lies_between_the_labels_and_the_teacher(weight, expected):
    loss = DistilledLoss(build_loss(Train(epochs=1).loss, classes=CLASSES), weight)
    assert loss.names == ("cross_entropy", "distillation")
    terms = {"cross_entropy": torch.tensor(2.0), "distillation": torch.tensor(10.0)}
    assert loss.combine(terms).item() == expected


class Batches:
    """Stands for a loader: the same random batches in every epoch, some of whose pixels are void."""

    def __init__(self, sizes=(4, 4, 2)):
        draw = torch.Generator().manual_seed(0)
        self.batches = [self._batch(index, size, draw) for index, size in enumerate(sizes)]

    def _batch(self, index, size, draw):
        names = tuple(f"{index}-{row}" for row in range(size))
        truth = torch.randint(0, CLASSES, (size, 6, 5), generator=draw)
        truth = truth.where(torch.rand(truth.shape, generator=draw) > 0.4, VOID).to(torch.uint8)
        labelled = tuple(int((one != VOID).sum()) for one in truth)
        digests = tuple(name.encode().hex() for name in names)
        return Batch(names, torch.rand(size, 3, 6, 5, generator=draw), truth, digests, labelled)

    def epoch(self, number, *, skip=0):
        return iter(self.batches[skip:])

    def __len__(self):
        return len(self.batches)


def network(*, seed=3, width=4, dropout=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(width, CLASSES, 1),
        )


def group_normed():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, CLASSES, 1))


def trainer(tmp_path, student, teacher=None, *, distill=None, sizes=(4, 4, 2), **recipe):
    sgd = {"name": "sgd", "lr": 0.1, "momentum": 0.0}
    train = Train.model_validate({"epochs": 2, "batch_size": 4, "optimizer": sgd} | recipe)
    compute = ComputeConfig(torch.device("cpu"), train.precision)
    return Trainer(
        student,
        train,
        loader=Batches(sizes),
        loss=build_loss(train.loss, classes=CLASSES),
        compute=compute,
        history=History(tmp_path / "history.csv"),
        teacher=teacher and Teacher(teacher, Distill.model_validate({"teacher": "t"} | (distill or {})), compute),
    )


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_same(one, other, **tolerance):
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], msg=lambda text, name=name: f"{name}: {text}", **tolerance)


@pytest.mark.parametrize("weight", [0.5, 0.9])
def test_a_training_with_a_teacher_equals_a_bare_loop(tmp_path, weight):
    bare, teacher = network().train(), network(seed=8, width=7).eval()
    optimizer = torch.optim.SGD(bare.parameters(), lr=0.1)
    for batch in Batches((4, 4, 4)).batches * 2:
        truth, logits = batch.labels.long(), bare(batch.images)
        labelled = truth != VOID
        rows = [one.permute(0, 2, 3, 1)[labelled] / 3.0 for one in (logits, teacher(batch.images).detach())]
        divergence = functional.kl_div(rows[0].log_softmax(1), rows[1].softmax(1), reduction="batchmean")
        hard = functional.cross_entropy(logits, truth, ignore_index=VOID)
        optimizer.zero_grad()
        ((1 - weight) * hard + weight * 9.0 * divergence).backward()
        optimizer.step()
    settings = {"weight": weight, "temperature": 3.0}
    trained = trainer(tmp_path, network(), deepcopy(teacher), distill=settings, sizes=(4, 4, 4)).fit()
    assert_same(weights(trained.network), weights(bare))
    assert pd.read_csv(tmp_path / "history.csv")["loss_distillation"].gt(0).all()


def test_a_weight_of_0_is_training_without_a_teacher_bit_for_bit(tmp_path):
    found = []
    for name, teacher in (("plain", None), ("taught", network(seed=8, dropout=0.5))):
        (tmp_path / name).mkdir()
        subject = trainer(tmp_path / name, network(dropout=0.5), teacher, distill={"weight": 0.0}, ema_decay=0.5)
        with torch.random.fork_rng():
            torch.manual_seed(5)
            found.append(weights(subject.fit().network))
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())


def test_a_teacher_is_applied_as_in_evaluation_and_never_changed(tmp_path):
    teacher = network(seed=8, dropout=0.5)
    before = weights(teacher)
    modes = []
    teacher.register_forward_hook(lambda module, given, out: modes.append((module.training, out.requires_grad)))
    trainer(tmp_path, network(), teacher).fit()
    assert set(modes) == {(False, False)}
    assert_same(weights(teacher), before, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_teacher_gets_the_batches_of_its_student_in_the_same_precision(tmp_path):
    student, teacher, seen = network(), network(seed=8), {}
    for name, module in (("student", student), ("teacher", teacher)):
        module.register_forward_hook(
            lambda _, given, out, name=name: seen.setdefault(name, []).append((given[0].clone(), out.dtype))
        )
    trainer(tmp_path, student, teacher, precision="bf16").fit()
    assert len(seen["student"]) == len(seen["teacher"]) == 6
    for (images, dtype), (others, other_dtype) in zip(seen["student"], seen["teacher"], strict=True):
        assert torch.equal(images, others)
        assert dtype == other_dtype == torch.bfloat16


@pytest.mark.parametrize("recipe", [{"micro_batch": 1}, {"micro_batch": 3}, {"micro_batch": 3, "accumulate": 3}])
def test_parts_of_a_batch_give_the_step_of_the_whole_batch(tmp_path, recipe):
    teacher = network(seed=8)
    common = {"accumulate": recipe.get("accumulate", 1)}
    whole = trainer(tmp_path, group_normed(), deepcopy(teacher), **common).fit()
    parts = trainer(tmp_path, group_normed(), deepcopy(teacher), **recipe).fit()
    assert_same(weights(parts.network), weights(whole.network), rtol=1e-4, atol=1e-6)


def test_accumulated_batches_give_the_step_of_their_mean_gradient(tmp_path):
    student, teacher = group_normed(), network(seed=8).eval()
    start, gradients = weights(student), {}
    for batch in Batches((4, 4, 4)).batches:
        twin = deepcopy(student)
        logits = twin(batch.images)
        hard = functional.cross_entropy(logits, batch.labels.long(), ignore_index=VOID)
        soft = distillation_loss(logits, teacher(batch.images).detach(), batch.labels, temperature=2.0)
        (0.5 * hard + 0.5 * soft).backward()
        for name, parameter in twin.named_parameters():
            gradients[name] = gradients.get(name, 0) + parameter.grad / 3
    recipe = {"accumulate": 3, "epochs": 1, "sizes": (4, 4, 4)}
    trained = trainer(tmp_path, student, teacher, **recipe).fit()
    expected = {name: start[name] - 0.1 * gradient for name, gradient in gradients.items()}
    assert_same(expected, weights(trained.network), rtol=1e-4, atol=1e-6)


def test_a_teacher_of_other_classes_is_refused_with_both_shapes(tmp_path):
    other = nn.Conv2d(3, CLASSES + 1, 1)
    with pytest.raises(ModelRefusal, match=r"\(4, 3, 6, 5\), and its teacher \(4, 4, 6, 5\): expected the same"):
        trainer(tmp_path, network(), other).fit()
