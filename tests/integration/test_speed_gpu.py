"""What only an accelerator shows: events, graphs, peaks, energy, and the machine's name, on real networks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import torch
from speed_cases import case
from tiny import document

from segbench.engine.device import use_device
from segbench.results.speed.baseline import ENVIRONMENT_KEY
from segbench.results.speed.fingerprint import machine_digest
from segbench.results.speed.record import Output, SpeedStatus, Task
from segbench.speed.gate.gate_case import Activity, GateCase
from segbench.speed.gate.worker import Session
from segbench.speed.measure.case import arithmetic_of, built, fingerprint, measure
from segbench.speed.measure.conditions import nvml_of
from segbench.speed.measure.inference import inference_call
from segbench.speed.measure.inputs import random_batches
from segbench.speed.measure.memory import resident_bytes

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and there is none"),
]
SECONDS = 0.1
NETWORK = {"model": {"name": "unet", "width": 0.25}, "size": (128, 128), "batch_size": 2, "device": "cuda"}
TRAINING = {"steps": 1, "batch_size": 2, "optimizer": {"name": "sgd", "lr": 0.01}}
HALF = [{"precision": name, "casting": casting} for name in ("bf16", "fp16") for casting in (None, "weights")]
ARITHMETICS = [{"precision": "fp32"}, {"precision": "tf32"}, *HALF]
needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="Triton needs a C compiler")


def name_of(changes):
    return " ".join(str(value) for value in changes.values())


def gpu_case(**changes):
    return case(**NETWORK | {"threads": None} | changes)


def measured(**changes):
    found = measure(gpu_case(**changes), "cuda", SECONDS, None, False)
    assert found.status is SpeedStatus.MEASURED, found.reason
    return found


def check_times(found):
    assert len(found.device_seconds) == len(found.host_seconds) >= 10
    assert 0 < found.call_seconds <= 1.5 * sorted(found.host_seconds)[len(found.host_seconds) // 2]
    assert found.memory.allocated_peak_bytes > found.memory.spare_inputs_bytes


@pytest.mark.parametrize("mode", ["eager", "cuda_graph"])
@pytest.mark.parametrize("output", list(Output))
def test_inference_is_timed_by_events_and_by_the_host(mode, output):
    check_times(measured(mode=mode, output=output, label_size=(128, 128)))


@needs_compiler
@pytest.mark.parametrize(
    "mode",
    ["compile", pytest.param("compile:reduce-overhead", marks=pytest.mark.slow(reason="compiles for CUDA graphs"))],
)
def test_a_compiled_network_is_timed_in_one_graph_without_breaks(mode):
    model = {"name": "cnn", "width": 0.0625}
    found = measured(mode=mode, model=model, precision="bf16", casting="weights")
    check_times(found)
    assert found.warmup.graphs >= 1
    assert found.warmup.graph_breaks == 0


def test_a_graph_needs_the_memory_of_its_network():
    torch.cuda.empty_cache()
    eager, graph = (measured(mode=mode, batch_size=8).memory for mode in ("eager", "cuda_graph"))
    assert graph.reserved_peak_bytes > 0.8 * (eager.allocated_peak_bytes - eager.spare_inputs_bytes)


@pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=name_of)
def test_every_arithmetic_is_measured(arithmetic):
    assert measured(**arithmetic, channels_last=arithmetic["precision"] in ("bf16", "fp16")).call_seconds > 0


@pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=name_of)
def test_a_graph_computes_what_its_network_does(arithmetic):
    results = []
    for mode in ("eager", "cuda_graph"):
        wanted = gpu_case(mode=mode, size=(64, 64), **arithmetic)
        with inference_call(built(wanted), wanted, arithmetic=arithmetic_of(wanted, use_device("cuda"))) as prepared:
            results.append([prepared.call().float().clone() for _ in range(3)])
    for eager, graph in zip(*results, strict=True):
        torch.testing.assert_close(graph, eager, rtol=0.02, atol=0.02)
    assert not torch.equal(results[1][0], results[1][1])


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_training_step_is_measured_with_its_parts(precision):
    found = measured(task=Task.TRAINING, recipe=TRAINING, precision=precision)
    whole, parts = found.call_seconds, found.parts_seconds
    assert sum(sorted(times)[len(times) // 2] for times in parts.values()) > 0.5 * whole


def test_the_fingerprint_names_the_accelerator_and_its_number():
    found = fingerprint("cuda", None)
    assert found["accelerator"]["name"] == torch.cuda.get_device_name()
    assert found["accelerator"]["memory_bytes"] > 2**30
    assert found["device"] == f"cuda:{torch.cuda.current_device()}"
    assert machine_digest(found) == machine_digest(fingerprint(found["device"], None))


def test_energy_is_that_of_the_sampled_calls():
    if nvml_of(use_device("cuda")).energy_joules() is None:
        pytest.skip("needs NVML with an energy counter: pip install nvidia-ml-py")
    found = measure(gpu_case(batch_size=64, size=(256, 256)), "cuda", 1.0)
    assert found.energy_calls >= len(found.device_seconds)
    assert 30 < found.energy_joules / (found.energy_calls * found.call_seconds) < 1500  # watts
    assert found.conditions.gpu_clock_mhz > 0
    assert found.conditions.throttled in (True, False)


def test_large_batches_are_drawn_by_the_device():
    torch.randn(1, device="cuda")
    before = resident_bytes()
    wanted = gpu_case(batch_size=700, size=(512, 512))
    one, other = (random_batches(wanted, arithmetic_of(wanted, use_device("cuda"))).images for _ in range(2))
    assert one[0].nbytes > 2 * 2**30
    assert resident_bytes() - before < 2**30
    assert torch.equal(one[0], other[0])


@pytest.fixture
def one_gibibyte():
    """Let this process have 1 GiB of the device."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(2**30 / torch.cuda.get_device_properties(0).total_memory, 0)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, 0)


def test_a_batch_that_does_not_fit_is_out_of_memory(one_gibibyte):
    found = measure(gpu_case(batch_size=64, size=(512, 512)), "cuda:0", SECONDS, None, False)
    assert found.status is SpeedStatus.OUT_OF_MEMORY, found.reason


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
@pytest.mark.parametrize("what", list(Activity))
def test_a_gates_worker_measures_on_a_device_with_or_without_its_number(device, what):
    wanted = GateCase({"name": "cnn", "width": 0.0625}, size=(64, 64), device=device, what=what).document()
    session = Session()
    loaded = session.load({"devices": [device]})
    session.build({"case_document": wanted | {"device": device}})
    assert loaded["accelerator"] == torch.cuda.get_device_name(0)
    assert min(session.time({"iterations": 3})["seconds"]) > 0


def test_the_fixture_measures_on_a_device_without_its_number(speed_case, request):
    speed_case({"name": "cnn", "width": 0.0625}, size=(64, 64), batch_size=4, device="cuda")
    assert request.getfixturevalue("benchmark").extra_info[ENVIRONMENT_KEY]["device"].startswith("cuda:")


PLANNING = """
import sys
from pathlib import Path
import torch
from segbench.cli.support.speed_jobs import extent_of, work_of
from segbench.config.load import load_suite

file = Path(sys.argv[1])
works = [work_of(file, None, {}, classes=4, device="auto"), work_of(None, "cnn", {}, classes=4, device="cuda")]
assert extent_of(load_suite(file), device="auto").cases
assert all(work.planned and work.settings.device == "cuda:0" for work in works)
print(torch.cuda.is_initialized())
"""


def test_what_only_starts_measurements_opens_no_device(tmp_path):
    suite = tmp_path / "suite.yaml"
    suite.write_text(json.dumps(document(speed={})), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", PLANNING, suite], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False"], done.stderr
