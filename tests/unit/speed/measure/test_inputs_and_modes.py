"""What networks are given, and how they are executed."""

from __future__ import annotations

import shutil

import pytest
import torch
from speed_cases import case
from torch import nn

from segbench.config.sections.training import EXECUTION_MODES
from segbench.engine.device import ComputeConfig
from segbench.errors import UsageError
from segbench.results.speed.record import Output, Task
from segbench.speed.measure.case import built, compute_config_of
from segbench.speed.measure.execution_modes import UnsupportedMode, executed, trained
from segbench.speed.measure.inference import delivering, inference_call
from segbench.speed.measure.inputs import CPU_CACHE_BYTES, MOST_BATCHES, random_batches

CPU = ComputeConfig(torch.device("cpu"))


def test_images_rotate_through_twice_the_cache():
    batches = random_batches(case(size=(512, 512), batch_size=4), CPU)
    assert sum(images.nbytes for images in batches.images) > 2 * CPU_CACHE_BYTES
    assert len({images.data_ptr() for images in batches.images}) == len(batches.images) > 1


def test_small_images_rotate_through_twice_the_cache_too():
    batches = random_batches(case(size=(128, 128)), CPU)
    assert sum(images.nbytes for images in batches.images) > 2 * CPU_CACHE_BYTES
    assert batches.spare_bytes == (len(batches.images) - 1) * batches.images[0].nbytes


def test_tiny_images_rotate_through_a_bounded_number_of_batches():
    assert len(random_batches(case(size=(8, 8)), CPU).images) == MOST_BATCHES


def test_images_are_never_zero_and_the_same_in_every_process():
    first, again = random_batches(case(), CPU), random_batches(case(), CPU)
    assert all(images.count_nonzero() == images.numel() for images in first.images)
    assert all(torch.equal(one, other) for one, other in zip(first.images, again.images, strict=True))


def test_inference_gets_no_labels():
    assert random_batches(case(size=(512, 512)), CPU).labels == ()


def test_labels_are_class_indices_at_the_image_size():
    batches = random_batches(case(task=Task.TRAINING, classes=3, size=(8, 12), batch_size=2), CPU)
    assert batches.labels[0].shape == (2, 8, 12)
    assert set(torch.cat([label.flatten() for label in batches.labels]).tolist()) == {0, 1, 2}


def test_batches_come_in_turn_over_and_over():
    batches = random_batches(case(size=(512, 512), batch_size=8), CPU)
    images = batches.next_images()
    turns = [images() for _ in range(2 * len(batches.images))]
    assert [turn.data_ptr() for turn in turns] == [batch.data_ptr() for batch in batches.images] * 2


def test_channels_last_images_are_laid_out_so():
    compute = ComputeConfig(torch.device("cpu"), channels_last=True)
    images = random_batches(case(channels_last=True), compute).images[0]
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_images_are_cast_as_the_weights_are_and_rotate_through_the_cache_all_the_same():
    plain, autocast, cast = (
        random_batches(case(size=(512, 512), **changes), CPU).images
        for changes in ({}, {"precision": "bf16"}, {"precision": "bf16", "casting": "weights"})
    )
    assert all(torch.equal(one, other) for one, other in zip(plain, autocast, strict=True))
    assert torch.equal(cast[1], plain[1].bfloat16())
    assert sum(images.nbytes for images in cast) > 2 * CPU_CACHE_BYTES


@pytest.mark.parametrize("channels_last", [False, True])
def test_images_on_a_processor_are_those_of_its_own_generator(channels_last):
    compute = ComputeConfig(torch.device("cpu"), channels_last=channels_last)
    found = random_batches(case(task=Task.TRAINING, batch_size=2, size=(512, 512)), compute)
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(2, 3, 512, 512, generator=generator) for _ in found.images]
    labels = [torch.randint(4, (2, 512, 512), generator=generator) for _ in found.labels]
    assert all(torch.equal(one, other) for one, other in zip(found.images, images, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(found.labels, labels, strict=True))


class Seen(nn.Conv2d):
    """A network that keeps what it saw: the type of its weights and images, and whether autocast is on."""

    seen: tuple[torch.dtype, torch.dtype, bool]

    def forward(self, images):
        self.seen = self.weight.dtype, images.dtype, torch.is_autocast_enabled("cpu")
        return super().forward(images)


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"precision": "fp32"}, (torch.float32, torch.float32, False)),
        ({"precision": "bf16"}, (torch.float32, torch.float32, True)),
        ({"precision": "bf16", "casting": "weights"}, (torch.bfloat16, torch.bfloat16, False)),
    ],
    ids=["fp32", "autocast", "weights"],
)
def test_weights_are_cast_once_or_in_every_call_as_the_case_says(changes, seen):
    network, wanted = Seen(3, 4, 3), case(**changes)
    with inference_call(network, wanted, compute=compute_config_of(wanted, CPU.device)) as prepared:
        result = prepared.call()
    assert network.seen == seen
    assert result.dtype is (torch.float32 if wanted.precision == "fp32" else torch.bfloat16)


def test_both_ways_of_casting_find_the_same_classes():
    classes = []
    for casting in (None, "weights"):
        wanted = case(precision="bf16", casting=casting, output=Output.CLASSES)
        with inference_call(built(wanted), wanted, compute=compute_config_of(wanted, CPU.device)) as prepared:
            classes.append(prepared.call())
    assert (classes[0] == classes[1]).float().mean() > 0.999


def test_a_cuda_graph_is_not_to_be_had_on_a_processor():
    with pytest.raises(UnsupportedMode, match="CUDA graphs need a CUDA device, this is cpu"):
        executed(torch.relu, "cuda_graph", torch.ones(1))


def test_training_steps_are_not_captured_as_a_graph():
    with pytest.raises(UnsupportedMode, match="training steps"):
        trained(nn.Identity(), "cuda_graph")


@pytest.mark.parametrize(
    "use", [lambda mode: executed(torch.relu, mode, torch.ones(1)), lambda mode: trained(nn.Identity(), mode)]
)
def test_an_unknown_mode_is_refused_with_those_that_exist(use):
    with pytest.raises(UsageError, match="unknown mode 'turbo'; expected one of: eager, cuda_graph") as refusal:
        use("turbo")
    assert all(mode in str(refusal.value) for mode in EXECUTION_MODES)


@pytest.mark.slow(reason="compiles a network")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a processor")
def test_a_compiled_network_computes_the_same():
    network = nn.Conv2d(3, 2, 3)
    images = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    compiled = executed(network, "compile", images)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(images), network(images))
    step = trained(network, "compile:default")(images)
    torch.testing.assert_close(step, network(images))


@pytest.mark.parametrize(
    ("output", "shape", "kind"),
    [
        (Output.LOGITS, (2, 5, 4, 4), torch.float32),
        (Output.CLASSES, (2, 4, 4), torch.int64),
        (Output.LABELS, (2, 9, 7), torch.int64),
    ],
)
def test_a_call_delivers_what_the_case_asks_for(output, shape, kind):
    network = nn.Conv2d(3, 5, 2, stride=2)
    wanted = case(size=(8, 8), output=output, label_size=(9, 7))
    result = delivering(network, wanted, CPU)(torch.randn(2, 3, 8, 8))
    assert result.shape == shape
    assert result.dtype is kind
