"""Networks are deployed once to every target; what cannot be is a row, and a stopped command goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time

import numpy as np
import onnxruntime
import pytest
import torch
from tiny import document

from segbench.config.load import check_part
from segbench.config.plan import plan
from segbench.config.sections.deploy import Deploy
from segbench.config.suite import Suite
from segbench.deployment import packages
from segbench.deployment.export import export
from segbench.deployment.export.difference import difference_of
from segbench.deployment.runtimes.catalog import RUNTIMES, knows_memory
from segbench.deployment.suite import timing
from segbench.deployment.suite.deploy import deploy
from segbench.deployment.suite.prepare import calibration_images, sizes_given
from segbench.deployment.suite.suite import deploy_networks, open_deployments, refuse_absent_packages
from segbench.deployment.suite.task import trained_network
from segbench.deployment.suite.timing import time_calls
from segbench.engine.inference.apply import ready
from segbench.engine.run.splits import open_splits
from segbench.engine.stopping import Stop
from segbench.engine.suite.planning import planned
from segbench.engine.suite.run_suite import run_suite
from segbench.errors import RunInterrupted, UsageError
from segbench.results.arrays.matrices import load_matrices
from segbench.results.deployments.store import DEPLOYMENTS
from segbench.results.files import host_mark
from segbench.results.record import Status
from segbench.results.speed.record import SpeedStatus
from segbench.results.store import Store

pytestmark = pytest.mark.slow(reason="deploys networks to other runtimes")

QUICK = {"restarts": 1, "seconds": 0.01, "calibration_images": 4}
MODELS = [
    "cnn",
    {"name": "python:opaque.opaque", "label": "opaque"},
    {"name": "python:opaque.killed_by_export", "label": "killed"},
]


def trained_suite(folder, **changes):
    """Return a tiny suite and its store, trained for one epoch."""
    suite = Suite.model_validate(document(train={"epochs": 1} | changes.pop("train", {}), **changes))
    run_suite(suite, results=folder, in_process=True)
    return suite, Store(folder, suite.name)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny suite of a network that can be exported and of others."""
    return trained_suite(tmp_path_factory.mktemp("results"), defaults={}, models=MODELS)


def block(*targets, **changes) -> Deploy:
    return check_part(Deploy, {"targets": list(targets), **QUICK, **changes}, key="deploy")


def tasks_of(trained, wanted, label="cnn"):
    """Return the open deployments of one network, by target."""
    suite, store = trained
    found = open_deployments([run for run in planned(suite, store).shown if run.label == label], store, wanted)
    return {task.target.key: task for task in found.tasks}


def deployed_here(task):
    """Deploy in this process, and leave the files."""
    task.folder.mkdir(parents=True, exist_ok=True)
    return deploy(task)


def predictions(task, run) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return what a function predicts of a run's test images, and their labels."""
    network = ready(task.checkpoint, device="cpu")
    split = open_splits(task.run).test
    found, labels = [], []
    for index in range(len(split)):
        sample = split.read(index)
        found.append(run(network.pipeline(sample).image[None].numpy())[0].argmax(0))
        labels.append(sample.label)
    return found, labels


def confusion(label, prediction, classes):
    """Count pixel by pixel, void left out."""
    counts = np.zeros((classes, classes), np.int64)
    for true, guess in zip(label.ravel(), prediction.ravel(), strict=True):
        if true != 255:
            counts[true, guess] += 1
    return counts


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_stored_deployment_is_that_of_an_independent_run_of_onnxruntime(trained, precision):
    task = tasks_of(trained, block(f"onnxruntime:{precision}"))[f"onnxruntime-{precision}"]
    found = deployed_here(task)
    assert found.record.status is Status.COMPLETED, found.record.reason
    session = onnxruntime.InferenceSession(str(task.files / "network.onnx"), providers=["CPUExecutionProvider"])
    there, labels = predictions(task, lambda images: session.run(None, {"images": images})[0])
    classes = found.matrices.matrices.shape[1]
    expected = [confusion(label, one, classes) for label, one in zip(labels, there, strict=True)]
    assert np.array_equal(found.matrices.matrices, np.stack(expected))
    network = ready(task.checkpoint, device="cpu").checkpoint.network
    with torch.inference_mode():
        eager, _ = predictions(task, lambda images: network(torch.from_numpy(images)).numpy())
    equal = sum(int((one == other).sum()) for one, other in zip(there, eager, strict=True))
    assert found.record.agreement.equal == equal
    assert found.record.agreement.pixels == sum(one.size for one in there)
    assert found.record.file_bytes == (task.files / "network.onnx").stat().st_size
    if precision == "fp32":
        assert equal == found.record.agreement.pixels
        assert found.record.largest_difference < 1e-4
        eager_matrices = load_matrices(task.checkpoint.parent / "confusion.npz")
        assert np.array_equal(found.matrices.matrices, eager_matrices.matrices)


def test_int8_files_hold_int8_weights_for_each_channel(trained):
    import onnx

    task = tasks_of(trained, block("onnxruntime:int8"))["onnxruntime-int8"]
    deployed_here(task)
    graph = onnx.load(str(task.files / "network.onnx")).graph
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in graph.node}
    weights = [one for one in graph.initializer if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 4]
    scales = {one.name: one.dims for one in graph.initializer if one.name.endswith("_scale")}
    assert weights
    for one in weights:
        name = one.name.replace("_quantized", "_scale")
        assert list(scales[name]) == [one.dims[0]]


def test_calibration_images_are_fixed_and_their_digest_is_stored(trained):
    task = tasks_of(trained, block("onnxruntime:int8"))["onnxruntime-int8"]
    network, train = ready(task.checkpoint, device="cpu"), open_splits(task.run).train
    first, again = (
        calibration_images(train, network.pipeline, task.run.recipe.evaluate, count=4).record for _ in range(2)
    )
    assert first == again == deployed_here(task).record.calibration
    digest = hashlib.sha256()
    names = sorted(train.names, key=lambda name: hashlib.sha256(name.encode()).digest())[:4]
    for index, name in enumerate(train.names):
        if name in names:
            digest.update(name.encode() + network.pipeline(train.read(index)).image.numpy().tobytes())
    assert set(first.images) == set(names)
    assert first.digest == digest.hexdigest()
    more = calibration_images(train, network.pipeline, task.run.recipe.evaluate, count=5).record
    assert set(first.images) < set(more.images)
    assert more.digest != first.digest


def test_sizes_are_those_that_the_network_is_given(trained):
    task = tasks_of(trained, block("onnxruntime"))["onnxruntime-fp32"]
    pipeline, split = ready(task.checkpoint, device="cpu").pipeline, open_splits(task.run).test
    settings = task.run.recipe.evaluate
    assert sizes_given(split, pipeline, settings) == ((32, 32),)
    scales = settings.model_copy(update={"scales": (1.0, 0.5)})
    assert set(sizes_given(split, pipeline, scales)) == {(32, 32), (16, 16)}
    tiles = type(settings).model_validate({"window": {"size": [24, 40], "stride": [8, 8]}})
    assert sizes_given(split, pipeline, tiles) == ((24, 32),)


def test_calls_are_timed_with_samples_and_memory(trained):
    task = tasks_of(trained, block("onnxruntime"))["onnxruntime-fp32"]
    restart = time_calls(task, deployed_here(task).job, 2)
    assert restart.status is SpeedStatus.MEASURED, restart.reason
    assert len(restart.host_seconds) >= 2
    assert restart.warmup.calls >= 1
    assert restart.memory.process_peak_bytes > 0


def test_memory_does_not_count_the_runtime_itself(trained, monkeypatch):
    task = tasks_of(trained, block("onnxruntime"))["onnxruntime-fp32"]
    job, before = deployed_here(task).job, []
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.setattr(timing, "resident_bytes", lambda: before.append("onnxruntime" in sys.modules) or 0)
    assert time_calls(task, job, 1).status is SpeedStatus.MEASURED
    assert before == [True]


def test_memory_of_other_allocators_is_not_known_on_cuda():
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert not knows_memory("onnxruntime", cuda)
    assert knows_memory("onnxruntime", cpu)
    assert knows_memory("eager", cuda)


def test_the_time_of_an_export_does_not_hold_the_comparison_of_scores(trained, monkeypatch):
    task = tasks_of(trained, block("onnxruntime"))["onnxruntime-fp32"]

    def slow(*given, **options):
        time.sleep(3.0)
        return difference_of(*given, **options)

    monkeypatch.setattr(export, "difference_of", slow)
    record = deployed_here(task).record
    assert record.seconds > 3.0 > record.export_seconds


def test_a_deployment_whose_files_are_gone_is_not_timed_and_says_why(trained):
    task = tasks_of(trained, block("onnxruntime"))["onnxruntime-fp32"]
    job = deployed_here(task).job
    (task.files / "network.onnx").unlink()
    restart = time_calls(task, job, 1)
    assert restart.status is SpeedStatus.FAILED
    assert "network.onnx" in restart.reason


def test_images_are_taken_as_asked(trained):
    task = tasks_of(trained, block("eager", images=3))["eager-fp32"]
    record = deployed_here(task).record
    assert record.images == 3
    assert record.agreement.equal == record.agreement.pixels == 3 * 32 * 32


def test_pruned_networks_are_smaller_and_trained_on(trained):
    found = tasks_of(trained, block({"runtime": "onnxruntime", "prune": 0.5}))
    record = deployed_here(found["onnxruntime-fp32-pruned-0.5"]).record
    assert record.status is Status.COMPLETED, record.reason
    assert record.pruning.parameters < 0.5 * record.pruning.parameters_before
    assert record.pruning.fine_tuned_epochs == 1
    whole = deployed_here(found["eager-fp32"]).record
    assert record.file_bytes < whole.file_bytes


def test_what_this_machine_cannot_run_is_a_row_with_its_reason(tmp_path):
    suite, store = trained_suite(tmp_path, models=["cnn"])
    found = open_deployments(planned(suite, store).shown, store, block("tensorrt"), device="cpu")
    with pytest.raises(RunInterrupted):  # nothing but the row without a process
        deploy_networks(found, store, stop=Stop.after(0.0))
    only = type(found)(found.tasks[1:], 0, ())
    deploy_networks(only, store)
    (stored,) = DEPLOYMENTS.scan(store.folder / DEPLOYMENTS.folder).tests
    assert stored.record.status is Status.SKIPPED
    assert stored.record.reason == "TensorRT needs a CUDA device, this is cpu"
    again = open_deployments(planned(suite, store).shown, store, block("tensorrt"), device="cpu")
    assert (len(again.tasks), again.done) == (1, 1)


def test_what_was_skipped_is_tried_again_once_its_packages_change(trained, monkeypatch, tmp_path):
    suite, first = trained
    runs = [run for run in planned(suite, first).shown if run.label == "cnn"]
    store = Store(tmp_path, suite.name)
    shutil.copytree(first.folder / runs[0].id, store.folder / runs[0].id)
    wanted = block("openvino", "onnxruntime")
    for task in open_deployments(runs, store, wanted).tasks:
        DEPLOYMENTS.write(store.folder / DEPLOYMENTS.folder, task.record(Status.SKIPPED, "cannot"), None)
    assert open_deployments(runs, store, wanted).tasks == ()
    real = packages.package_version
    monkeypatch.setattr(packages, "package_version", lambda name: "99" if name == "openvino" else real(name))
    assert [task.target.key for task in open_deployments(runs, store, wanted).tasks] == ["openvino-fp32"]


def test_pytorch_lays_images_out_as_the_suite_says(tmp_path):
    found = tasks_of(trained_suite(tmp_path, models=["cnn"], train={"channels_last": True}), block("onnxruntime"))
    eager, onnx = (deployed_here(found[key]) for key in ("eager-fp32", "onnxruntime-fp32"))
    assert (eager.record.channels_last, onnx.record.channels_last) == (True, False)
    module = RUNTIMES["eager"].load(lambda: trained_network(found["eager-fp32"]), eager.job)
    seen = []
    first = next(layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d))
    first.register_forward_hook(lambda layer, given, scores: seen.append((layer.weight, given[0])))
    module(torch.randn(2, 3, 32, 32))
    assert all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in seen[0])


@pytest.mark.slow(reason="times in fresh processes, each of which imports PyTorch")
def test_a_stopped_command_goes_on_and_leaves_no_files(tmp_path):
    suite, store = trained_suite(tmp_path, models=["cnn"])
    runs, wanted = planned(suite, store).shown, block("onnxruntime")

    class AfterOne(Stop):
        """Is due once one deployment is stored."""

        @property
        def due(self):
            return bool(DEPLOYMENTS.scan(store.folder / DEPLOYMENTS.folder).tests)

    with pytest.raises(RunInterrupted, match="goes on"):
        deploy_networks(open_deployments(runs, store, wanted), store, stop=AfterOne())
    left = open_deployments(runs, store, wanted)
    assert [task.target.key for task in left.tasks] == ["onnxruntime-fp32"]
    assert left.done == 1
    deploy_networks(left, store)
    found = DEPLOYMENTS.scan(store.folder / DEPLOYMENTS.folder)
    assert {test.record.status for test in found.tests} == {Status.COMPLETED}
    assert all(timing.call_seconds > 0 for test in found.tests for timing in test.record.timings)
    assert len({test.record.test_digest for test in found.tests}) == 1
    assert open_deployments(runs, store, wanted).tasks == ()
    assert len(open_deployments(runs, store, block("onnxruntime", images=2)).tasks) == 2
    assert [one.name for one in (store.folder / DEPLOYMENTS.folder).iterdir()] == [runs[0].id]


def test_files_of_a_killed_command_are_removed(tmp_path):
    _, store = trained_suite(tmp_path, models=["cnn"])
    left, old, foreign = (
        store.folder / DEPLOYMENTS.folder / f".work-{name}"
        for name in (f"{host_mark()}-999999999", "00000000-1", "00000001-1")
    )
    for folder in (left, old, foreign):
        folder.mkdir(parents=True)
        (folder / "network.onnx").touch()
    os.utime(old, (0, 0))
    deploy_networks(open_deployments([], store, block("eager")), store)
    assert [folder.exists() for folder in (left, old, foreign)] == [False, False, True]


def test_a_process_that_dies_is_a_row_and_is_tried_again(trained):
    _, store = trained
    killed = tasks_of(trained, block("onnxruntime"), label="killed")["onnxruntime-fp32"]
    runs = [killed.run]
    deploy_networks(type(open_deployments(runs, store, killed.block))((killed,), 0, ()), store)
    records = {
        test.record.target.key: test.record
        for test in DEPLOYMENTS.scan(store.folder / DEPLOYMENTS.folder).tests
        if test.record.label == "killed"
    }
    assert records["onnxruntime-fp32"].status is Status.FAILED
    assert "SIGKILL" in records["onnxruntime-fp32"].reason
    assert killed.target in [task.target for task in open_deployments(runs, store, killed.block).tasks]


@pytest.mark.slow(reason="tries PyTorch's second exporter, which takes 20 s")
def test_a_network_that_cannot_be_exported_is_a_row_with_its_reason(trained):
    task = tasks_of(trained, block("openvino"), label="opaque")["openvino-fp32"]
    record = deployed_here(task).record
    assert record.status is Status.SKIPPED
    assert record.reason.startswith("cannot be exported to ONNX (trace: its scores are not those of PyTorch")
    assert "dynamo: " in record.reason


@pytest.mark.slow(reason="NNCF takes 10 s")
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_openvino_agrees_with_an_independent_run_of_openvino(trained, precision):
    import openvino

    task = tasks_of(trained, block(f"openvino:{precision}"))[f"openvino-{precision}"]
    found = deployed_here(task)
    assert found.record.status is Status.COMPLETED, found.record.reason
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(str(task.files / "network.xml"), "CPU", settings)
    there, labels = predictions(task, lambda images: compiled(images)[0])
    classes = found.matrices.matrices.shape[1]
    expected = [confusion(label, one, classes) for label, one in zip(labels, there, strict=True)]
    assert np.array_equal(found.matrices.matrices, np.stack(expected))


@pytest.mark.slow(reason="torch.compile takes a minute")
@pytest.mark.parametrize("target", ["compile", "torchao"])
def test_compiled_networks_run_and_agree(trained, target):
    (task,) = [one for key, one in tasks_of(trained, block(target)).items() if key.startswith(target)]
    record = deployed_here(task).record
    assert record.status is Status.COMPLETED, record.reason
    assert record.agreement.share > (0.999 if target == "compile" else 0.5)


def test_absent_extras_are_told_before_anything_runs(monkeypatch):
    for name in ("onnxruntime", "nncf", "torch_pruning"):
        monkeypatch.setitem(sys.modules, name, None)  # as Python itself finds no such module
    with pytest.raises(UsageError, match=r"onnxruntime needs onnxruntime.*segbench\[onnx\]"):
        refuse_absent_packages(block("onnxruntime"), device="cpu")
    with pytest.raises(UsageError, match=r"segbench\[openvino,pruning\]"):
        refuse_absent_packages(block("openvino:int8", {"runtime": "eager", "prune": 0.5}), device="cpu")
    refuse_absent_packages(block("tensorrt", "eager:bf16"), device="cpu")  # a row says that it needs CUDA


def test_a_deploy_block_changes_no_run():
    without, with_block = (Suite.model_validate(document(**more)) for more in ({}, {"deploy": {"images": 3}}))
    assert [run.identity for run in plan(without)] == [run.identity for run in plan(with_block)]


def test_a_deployment_is_stored_as_json_of_this_schema(trained):
    record = deployed_here(tasks_of(trained, block("eager"))["eager-fp32"]).record
    assert json.loads(record.model_dump_json())["schema_version"] == 1
    assert record.environment["threads"] == 1
