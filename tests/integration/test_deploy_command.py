"""``segbench deploy`` and ``segbench export``: by hand, by ``segbench run``, in pieces, and refused."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time

import numpy as np
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.engine.checkpoint import load_checkpoint
from segbench.results.deployments.store import DEPLOYMENTS
from segbench.results.record import Status

BLOCK = {"targets": ["onnxruntime"], "restarts": 1, "seconds": 0.02, "images": 4}


@pytest.mark.slow(reason="trains, and times in fresh processes")
def test_a_suite_with_a_deploy_block_is_deployed_after_its_runs(tiny_file, segbench, tmp_path):
    suite = tiny_file(models=["cnn"], deploy=BLOCK, train={"epochs": 1})
    done = segbench("run", suite, "--no-estimate", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    found = DEPLOYMENTS.scan(tmp_path / "results" / "tiny" / "deployments")
    assert [test.record.target.key for test in found.tests] == ["eager-fp32", "onnxruntime-fp32"]
    report = (tmp_path / "reports" / "tiny" / "leaderboard.md").read_text(encoding="utf-8")
    assert "| cnn | onnxruntime fp32 |" in report
    again = segbench("deploy", suite, "--json")
    assert "0 deployments to do, 2 done before" in again.stderr
    (table,) = json.loads(again.stdout)
    assert [row["target"] for row in table["rows"]] == ["eager-fp32", "onnxruntime-fp32"]
    assert table["rows"][1]["agreement"] == 1.0
    left = segbench("deploy", suite, "--targets", "onnxruntime:int8", "--time-limit", "0.001s")
    assert left.returncode == 3
    assert "the same command goes on" in left.stderr
    _exported(segbench, next((tmp_path / "results" / "tiny").glob("cnn-*/checkpoint.safetensors")))


@pytest.mark.slow(reason="trains, and times in fresh processes")
def test_a_killed_or_interrupted_command_goes_on_with_what_is_missing(tiny_file, segbench, start_segbench, tmp_path):
    suite = tiny_file(models=["cnn"], train={"epochs": 1})
    assert segbench("run", suite, "--no-estimate", "--no-report", "--device", "cpu").returncode == 0
    asked = ("deploy", suite, "--targets", "onnxruntime,onnxruntime:int8", "--set", "deploy.restarts=1")
    folder = tmp_path / "results" / "tiny" / "deployments"
    killed = start_segbench(*asked)
    wait_for(lambda: any(folder.glob("cnn-*/eager-fp32.json")))
    killed.kill()
    killed.wait()
    assert any(folder.glob(".work-*"))
    first = next(folder.glob("cnn-*/eager-fp32.json")).read_bytes()
    interrupted = start_segbench(*asked)
    wait_for(lambda: any(folder.glob(f".work-*-{interrupted.pid}")))
    os.killpg(interrupted.pid, signal.SIGINT)
    _, told = interrupted.communicate(timeout=300)
    assert interrupted.returncode == 130, told
    assert "it was time to stop; the same command goes on with the deployments that are left" in told
    assert all(test.record.status is Status.COMPLETED for test in DEPLOYMENTS.scan(folder).tests)
    done = segbench(*asked)
    assert done.returncode == 0, done.stderr
    assert re.search("[12] done before", done.stderr)
    assert len(DEPLOYMENTS.scan(folder).tests) == 3
    assert next(folder.glob("cnn-*/eager-fp32.json")).read_bytes() == first
    assert not any(folder.glob(".work-*"))


def wait_for(condition, *, seconds=300):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to this in time"
        time.sleep(0.05)


def _exported(segbench, checkpoint):
    """Export a checkpoint, and compare the file in an independent run."""
    done = segbench("export", checkpoint, "--to", "onnx", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["size"] == [32, 32]
    assert told["open_sizes"]
    session = onnxruntime.InferenceSession(told["files"][0], providers=["CPUExecutionProvider"])
    images = torch.randn(2, 3, 48, 32)
    with torch.inference_mode():
        expected = load_checkpoint(checkpoint).network(images).numpy()
    assert np.allclose(session.run(None, {"images": images.numpy()})[0], expected, atol=1e-4)


@pytest.mark.slow(reason="starts a command that imports everything")
def test_there_is_nothing_to_deploy_before_networks_are_trained(tiny_file, segbench):
    done = segbench("deploy", tiny_file(deploy=BLOCK), "--device", "cpu")
    assert done.returncode == 2
    assert "no trained network to test; 'segbench run' trains them first" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--targets", "onnx"), "deploy.targets[0].runtime"),
        (("--targets", "torchao:fp16"), "torchao has no fp16, only int8"),
        (("--targets", "eager/2"), "less than 1"),
    ],
)
def test_targets_that_do_not_exist_are_named(tiny_file, segbench, arguments, told):
    done = segbench("deploy", tiny_file(), *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_an_export_to_another_format_or_of_no_checkpoint_is_refused(segbench, tmp_path):
    wrong = segbench("export", tmp_path / "checkpoint.safetensors", "--to", "coreml")
    assert wrong.returncode == 2
    assert "expected one of onnx, openvino, torchscript, pt2" in wrong.stderr
    missing = segbench("export", tmp_path / "checkpoint.safetensors", "--to", "onnx")
    assert missing.returncode == 2
    assert "cannot be read as a checkpoint" in missing.stderr
    assert list(tmp_path.glob("*.onnx")) == []


@pytest.mark.parametrize("command", ["run", "deploy"])
def test_absent_extras_are_told_before_anything_is_trained(tiny_file, tmp_path, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as Python itself finds no such module
    done = CliRunner().invoke(app, [command, str(tiny_file(deploy=BLOCK)), "--results", str(tmp_path / "results")])
    assert done.exit_code == 2
    assert "onnxruntime needs onnxruntime: install with pip install 'segbench[onnx]'" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.slow(reason="times real steps of networks")
def test_an_estimate_tells_how_many_deployments_follow(tiny_file, segbench):
    suite = tiny_file(models=["cnn"], seeds=[0, 1], deploy={"targets": ["onnxruntime", "onnxruntime:int8"]})
    done = segbench("plan", suite, "--estimate", "--device", "cpu", "--json")
    assert json.loads(done.stdout)["deployments"] == 6
    assert "then 6 deployments: 2 networks to each target" in segbench("plan", suite, "--estimate").stderr
