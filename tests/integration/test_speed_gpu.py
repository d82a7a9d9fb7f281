"""What only an accelerator shows: events, graphs, peaks, energy, and the machine's name, on real networks."""

from __future__ import annotations

import pytest
import torch
from speed_cases import case

from segbench.results.speed_record import Output, SpeedStatus, Task
from segbench.speed.measure import fingerprint, measure

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and there is none"),
]
SECONDS = 0.2
NETWORK = {"model": {"name": "unet", "width": 0.25}, "size": (128, 128), "batch_size": 2, "device": "cuda"}
TRAINING = {"steps": 1, "batch_size": 2, "optimizer": {"name": "sgd", "lr": 0.01}}


def measured(**changes):
    found = measure(case(**NETWORK | {"threads": None} | changes), "cuda", SECONDS, None, False)
    assert found.status is SpeedStatus.MEASURED, found.reason
    return found


@pytest.mark.parametrize("mode", ["eager", "cuda_graph", "compile", "compile:reduce-overhead"])
@pytest.mark.parametrize("output", list(Output))
def test_inference_is_timed_by_events_and_by_the_host_in_every_mode(mode, output):
    found = measured(mode=mode, output=output, label_size=(128, 128))
    assert len(found.device_seconds) == len(found.host_seconds) >= 10
    assert 0 < found.call_seconds <= 1.5 * sorted(found.host_seconds)[len(found.host_seconds) // 2]
    assert found.memory.allocated_peak_bytes > found.memory.spare_inputs_bytes


def test_a_graph_needs_the_memory_of_its_network():
    eager, graph = (measured(mode=mode, batch_size=8).memory for mode in ("eager", "cuda_graph"))
    assert graph.reserved_peak_bytes > 0.8 * (eager.allocated_peak_bytes - eager.spare_inputs_bytes)


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_every_arithmetic_and_layout_is_measured(precision, channels_last):
    assert measured(precision=precision, channels_last=channels_last).call_seconds > 0


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_training_step_is_measured_with_its_parts(precision):
    found = measured(task=Task.TRAINING, recipe=TRAINING, precision=precision)
    whole, parts = found.call_seconds, found.parts_seconds
    assert sum(sorted(times)[len(times) // 2] for times in parts.values()) > 0.5 * whole


def test_the_fingerprint_names_the_accelerator():
    found = fingerprint("cuda", None)
    assert found["accelerator"]["name"] == torch.cuda.get_device_name()
    assert found["accelerator"]["memory_bytes"] > 2**30


def test_a_batch_that_does_not_fit_is_out_of_memory():
    found = measure(case(**NETWORK | {"batch_size": 2**16, "size": (512, 512)}), "cuda", SECONDS, None, False)
    assert found.status is SpeedStatus.OUT_OF_MEMORY
