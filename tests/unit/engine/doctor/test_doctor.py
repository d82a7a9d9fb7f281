"""Networks with a deliberate fault are named with what is wrong; sound ones are not."""

import math

import pytest
import torch
from tiny import document
from torch import nn

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.data.loading.loader import Batch
from segbench.engine.doctor.cases import SMALL_BATCH, SMALL_SIZE, NetworkCase, cases_of, catalogue_suite, images_of
from segbench.engine.doctor.checkup import check_network
from segbench.engine.doctor.noise import noise_loader
from segbench.engine.doctor.numbers import fill_zeros, reference, relative_error
from segbench.engine.doctor.record import NetworkCheck
from segbench.engine.doctor.trial import Trial
from segbench.engine.events import ignore
from segbench.models.build import build_network
from segbench.registry import MODELS

CPU = torch.device("cpu")


def case_of(model, **changes) -> NetworkCase:
    (run,) = plan(check(document(models=[model], defaults={}, **changes)))
    (case,) = cases_of([run], images_of(run), device=CPU, adapts=False)
    return case


def checked(name, **changes) -> NetworkCheck:
    return check_network(case_of(f"python:misbehaving.{name}", **changes), observer=ignore)


def test_a_sound_network_has_figures_and_no_problem():
    found = check_network(case_of({"name": "unet", "width": 0.0625}, train={"precision": "bf16"}), observer=ignore)
    assert found.problems == ()
    assert found.ok
    assert (found.label, found.precision, found.reference_precision) == ("unet", "bf16", "float64")
    assert (found.batch_size, found.training_size) == (SMALL_BATCH, SMALL_SIZE)
    assert 0 < found.logits_relative_error < 1e-5
    assert 0 < found.gradients_relative_error < 1e-4
    assert 1e-4 < found.precision_logits_relative_error < 0.1
    assert found.same_bits is True
    assert found.training_images_per_second == pytest.approx(SMALL_BATCH / found.training_step_ms * 1e3)
    assert min(found.inference_ms, found.evaluation_batch_ms, found.training_peak_bytes) > 0


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("raising", "training: RuntimeError: the flux capacitor is empty"),
        ("raising_backward", "numbers: RuntimeError: the way back is closed"),
        ("not_finite", "numbers: 1 of 12,288 logits are not finite in float64 on the CPU"),
        ("coarse", "numbers: fp32 logits differ from the CPU's in float64 by"),
        ("whimsical", "deterministic training: two trainings from one seed differ in 2 of 2 tensors"),
        ("out_of_memory", "training: out of memory: CUDA out of memory. Tried to allocate 2.00 GiB."),
        (
            "too_many_classes",
            "building: python:misbehaving.too_many_classes returns a tensor (2, 9, 64, 96): scores",
        ),
        ("without_weights", "training: adamw: the network has no trainable parameters"),
    ],
)
def test_a_fault_is_named_with_the_part_that_it_showed_in(name, problem):
    found = checked(name)
    assert not found.ok
    assert any(text.startswith(problem) for text in found.problems), found.problems


def test_a_network_that_is_right_in_inference_keeps_those_figures_when_its_training_fails():
    found = checked("raising_backward")
    assert found.training_step_ms is None
    assert found.inference_ms > 0


def test_nan_in_training_alone_is_found():
    assert any("the loss became nan" in problem for problem in checked("nan_in_training").problems)


def test_nan_after_a_first_step_is_left_to_the_learning_rate_and_compared_as_any_bits():
    found = checked("diverging")
    assert found.ok
    assert found.same_bits is True


def test_an_operator_that_refuses_is_named_and_is_a_problem_only_where_the_recipe_is_deterministic():
    found = checked("refusing")
    assert found.nondeterministic_operator == "max_unpooling2d_forward_out"
    assert found.same_bits is None
    assert found.ok
    strict = checked("refusing", train={"deterministic": True})
    assert strict.problems == (
        "deterministic training: max_unpooling2d_forward_out has no deterministic implementation",
    )


def test_a_network_that_cannot_be_built_is_looked_at_no_further():
    found = check_network(case_of({"name": "cnn", "weights": "/absent.safetensors"}), observer=ignore)
    assert len(found.problems) == 1
    assert found.problems[0].startswith("building: ")
    assert "/absent.safetensors" in found.problems[0]


def test_a_network_that_is_only_evaluated_is_not_trained():
    found = check_network(case_of({"name": "cnn", "width": 0.05}, train=None), observer=ignore)
    assert found.ok
    assert found.training_step_ms is None
    assert found.same_bits is None
    assert found.inference_ms > 0


class Uncopyable(nn.Module):
    def __deepcopy__(self, memo):
        raise TypeError("holds a lock")


@pytest.mark.parametrize("init", ["paper", "kaiming"])
def test_a_network_is_tried_from_the_initial_weights_of_its_recipe(init):
    case = case_of({"name": "cnn", "width": 0.05}, train={"init": init})
    expected = build_network(case.model, classes=case.classes, channels=case.channels, seed=case.seed, init=init)
    trial = Trial(case, CPU)
    trial.build()
    copied = trial.network()
    trial.base = Uncopyable()
    for network in (copied, trial.network()):
        found = network.state_dict()
        assert all(torch.equal(tensor, found[name]) for name, tensor in expected.state_dict().items())


def test_networks_that_hold_on_to_float32_are_compared_in_it():
    class Stubborn(nn.Conv2d):
        def forward(self, images):
            return super().forward(images) + nn.functional.conv2d(images, torch.ones(3, 3, 1, 1, dtype=torch.float32))

    network, images = Stubborn(3, 3, 1), torch.randn(1, 3, 4, 4)
    found, precision = reference(network, images, torch.zeros(1, 4, 4, dtype=torch.int64))
    assert precision == "float32"
    assert found.logits.isfinite().all()


def test_relative_errors_worked_by_hand():
    assert relative_error([torch.tensor([3.0, 5.0])], [torch.tensor([3.0, 4.0])]) == pytest.approx(1 / 5)
    assert relative_error([torch.zeros(2)], [torch.zeros(2)]) == 0
    assert relative_error([torch.ones(2)], [torch.zeros(2)]) == math.inf


def test_layers_of_zeros_are_filled_and_others_left():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    nn.init.zeros_(network[1].weight)
    before = network[0].weight.clone()
    fill_zeros(network)
    assert network[1].weight.all()
    assert torch.equal(network[0].weight, before)


def test_noise_is_the_same_every_time_and_partly_void():
    def batch() -> Batch:
        return next(noise_loader(2, (4, 6), batch_size=3, classes=5, channels=3, pin_memory=False).epoch(1))

    one, again = batch(), batch()
    assert one.images.shape == (3, 3, 4, 6)
    assert torch.equal(one.images, again.images)
    assert one.labelled == (18, 18, 18)
    assert set(one.labels.unique().tolist()) <= {0, 1, 2, 3, 4, 255}


def test_the_catalogue_is_every_network_that_needs_no_option_and_small_on_a_processor():
    suite = catalogue_suite(CPU)
    assert [model.name for model in suite.models] == MODELS.complete_names()
    assert suite.models[0].options["width"] == 0.125
    assert catalogue_suite(CPU, overrides=["defaults.width=0.5"]).models[0].options["width"] == 0.5


def test_each_network_is_tried_once_whatever_the_seeds():
    runs = plan(check(document(seeds=[0, 1])))
    cases = cases_of(runs, images_of(runs[0]), device=CPU, adapts=False)
    assert [case.model.name for case in cases] == ["unet", "cnn"]


def test_on_an_accelerator_the_sizes_are_those_of_the_suite():
    crop = {"name": "random_crop", "size": [24, 40]}
    runs = plan(check(document(transforms={"train": [crop], "test": []}, train={"batch_size": 5})))
    case = cases_of(runs, images_of(runs[0]), device=torch.device("cuda", 0), adapts=False)[0]
    assert (case.training_size, case.test_size) == ((24, 40), (32, 32))
    assert case.recipe.train.batch_size == 5
    assert case.device == "cuda:0"


def test_sizes_are_assumed_and_the_reason_is_kept_where_the_data_is_missing(tmp_path):
    dataset = {"name": "camvid", "root": str(tmp_path / "absent")}
    transforms = {"train": [{"name": "random_crop", "size": [64, 96]}], "test": []}
    suite = check({**document(transforms=transforms), "dataset": dataset})
    images = images_of(plan(suite)[0])
    assert "absent" in images.problem
    assert (images.training_size, images.test_size) == ((64, 96), (360, 480))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_sound_network_has_no_problem_on_cuda():
    (run,) = plan(check(document(models=["cnn"], defaults={"width": 0.0625}, train={"precision": "bf16"})))
    (case,) = cases_of([run], images_of(run), device=torch.device("cuda", 0), adapts=True)
    found = check_network(case, observer=ignore)
    assert found.ok, found.problems
    assert found.inference_peak_bytes > 0
