"""One restart: what is measured, and how it ends when it cannot be."""

from __future__ import annotations

import os

import pytest
import torch
from speed_cases import case, record
from tiny import document

from segbench.config.load import check
from segbench.engine.device import ComputeConfig
from segbench.report.ranking.speed_summary import speed_frame
from segbench.results.speed.fingerprint import HARD_KEYS, differences
from segbench.results.speed.record import Output, SpeedStatus, Task
from segbench.speed.cases import suite_cases
from segbench.speed.measure.case import fingerprint, forget_compiled, measure
from segbench.speed.measure.training import PARTS, training_step

SECONDS = 0.05
TRAINING = {"steps": 1, "batch_size": 2, "optimizer": {"name": "adamw", "lr": 0.01}, "clip_gradient_norm": 1.0}


@pytest.fixture(autouse=True)
def threads():
    """Put the number of threads back, which a measurement sets for its whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("output", list(Output))
def test_inference_is_measured_with_every_sample(output):
    found = measure(case(output=output, label_size=(40, 40)), "cpu", SECONDS)
    assert found.status is SpeedStatus.MEASURED
    assert len(found.host_seconds) > 1
    assert min(found.host_seconds) > 0
    assert found.device_seconds == ()
    assert found.warmup.calls > 1
    assert found.warmup.first_call_seconds > 0
    assert found.memory.process_peak_bytes > 0
    assert found.energy_joules is None


def test_a_training_step_is_split_into_its_parts():
    found = measure(case(task=Task.TRAINING, batch_size=2, recipe=TRAINING), "cpu", SECONDS)
    assert found.status is SpeedStatus.MEASURED
    assert tuple(found.parts_seconds) == PARTS
    assert all(min(times) > 0 for times in found.parts_seconds.values())
    assert len(found.parts_seconds["forward"]) == min(50, len(found.host_seconds))


@pytest.mark.slow(reason="times networks in processes of their own")
@pytest.mark.parametrize("compute", ["fp32", "tf32", "bf16 autocast", "bf16 weights"])
def test_inference_is_measured_in_every_arithmetic_of_a_processor(compute):
    precision, _, cast = compute.partition(" ")
    wanted = case(precision=precision, casting="weights" if cast == "weights" else None)
    assert measure(wanted, "cpu", SECONDS).status is SpeedStatus.MEASURED


def test_a_network_that_computes_in_float32_alone_has_failed_with_what_to_do():
    model = {"name": "python:misbehaving.float32_alone"}
    found = measure(case(model=model, precision="bf16", casting="weights"), "cpu", SECONDS)
    assert found.status is SpeedStatus.FAILED
    assert "should be the same" in found.reason
    assert found.reason.endswith("'casting: autocast' leaves its weights in float32")
    assert measure(case(model=model, precision="bf16"), "cpu", SECONDS).status is SpeedStatus.MEASURED


def test_a_size_that_a_network_cannot_take_is_skipped_with_the_reason():
    found = measure(case(model={"name": "deconvnet", "width": 0.0625}), "cpu", SECONDS)
    assert found.status is SpeedStatus.SKIPPED
    assert "32" in found.reason


def test_a_mode_that_the_device_lacks_is_skipped_with_the_reason():
    found = measure(case(mode="cuda_graph"), "cpu", SECONDS)
    assert found.status is SpeedStatus.SKIPPED
    assert found.reason == "CUDA graphs need a CUDA device, this is cpu"


def test_a_batch_that_does_not_fit_is_out_of_memory_and_never_a_smaller_batch():
    found = measure(case(batch_size=2**22, size=(512, 512)), "cpu", SECONDS)
    assert found.status is SpeedStatus.OUT_OF_MEMORY
    assert found.reason.startswith("out of memory with batches of 4194304 images")
    assert found.host_seconds == ()


def test_nothing_is_taken_from_the_compilers_caches():
    import torch._inductor.config as compiler

    before = compiler.force_disable_caches, os.environ.pop("TORCHINDUCTOR_FORCE_DISABLE_CACHES", None)
    try:
        forget_compiled()
        assert compiler.force_disable_caches
    finally:
        compiler.force_disable_caches = before[0]
        os.environ.pop("TORCHINDUCTOR_FORCE_DISABLE_CACHES", None)
        os.environ.update({"TORCHINDUCTOR_FORCE_DISABLE_CACHES": before[1]} if before[1] else {})


def test_a_network_that_raises_has_failed_with_its_message():
    model = {"name": "python:misbehaving.raising"}
    found = measure(case(model=model), "cpu", SECONDS)
    assert found.status is SpeedStatus.FAILED
    assert "flux capacitor" in found.reason


def test_a_network_that_is_no_longer_there_has_failed_with_its_name():
    found = measure(case(model={"name": "cnn", "colour": 1}), "cpu", SECONDS)
    assert found.status is SpeedStatus.FAILED
    assert "colour" in found.reason


def test_inputs_beyond_one_batch_are_told_apart_from_the_networks_memory():
    found = measure(case(size=(256, 256)), "cpu", SECONDS)
    assert found.memory.spare_inputs_bytes >= 2 * 64 * 2**20 - 4 * 3 * 256 * 256
    (row,) = speed_frame([record(found)]).to_dict("records")
    grown = found.memory.process_peak_bytes - found.memory.process_before_bytes
    assert row["peak_memory_bytes"] == max(0, grown - found.memory.spare_inputs_bytes)


def test_a_step_of_several_batches_counts_all_their_images():
    accumulating = case(task=Task.TRAINING, batch_size=2, recipe=TRAINING | {"accumulate": 3})
    assert accumulating.images_per_call == 6
    network = torch.nn.Conv2d(3, accumulating.classes, 1)
    with training_step(network, accumulating, compute=ComputeConfig(torch.device("cpu"))) as step:
        step()
    assert step.turn == 3


def loading_case(**changes):
    """Return the loading case of the tiny suite."""
    suite = check(document(speed={"tasks": ["loading"]}, **changes))
    (planned,) = suite_cases(suite, device="cpu")
    return planned


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_loading_tells_start_first_and_later_epochs_apart(cache):
    planned = loading_case(loader={"cache": cache})
    found = measure(planned.case, "cpu", SECONDS, planned.run)
    assert len(found.parts_seconds["start"]) == 1
    assert len(found.parts_seconds["first"]) in (1, 2)
    assert found.host_seconds == found.parts_seconds["later"]
    assert min(found.host_seconds) > 0


def test_an_epoch_of_one_batch_is_too_short_to_time_its_loading():
    planned = loading_case(train={"batch_size": 12})
    found = measure(planned.case, "cpu", SECONDS, planned.run)
    assert found.status is SpeedStatus.SKIPPED
    assert "an epoch of 1 batches is too short" in found.reason


def test_a_fingerprint_holds_every_hard_key_and_does_not_change():
    first, again = fingerprint("cpu", 1), fingerprint("cpu", 1)
    assert differences(first, again, keys=HARD_KEYS) == []
    assert first["threads"] == 1
    lacking = [found.key for found in differences(first, {}, keys=HARD_KEYS) if repr(found.before) == "missing"]
    assert lacking == []
