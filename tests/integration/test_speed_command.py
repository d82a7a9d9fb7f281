"""``segbench speed``: measured in processes of their own, stored with every sample, shown and refused."""

from __future__ import annotations

import json

import pytest
import yaml
from tiny import document
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.errors import UsageError
from segbench.results.speed.store import scan_speeds

QUICK = ["--restarts", "1", "--seconds", "0.02", "--device", "cpu"]


def segbench(*arguments):
    return CliRunner().invoke(app, ["speed", *map(str, arguments)])


@pytest.fixture
def suite(tmp_path):
    """The tiny suite as a file."""
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in document().items() if key != "name"}))
    return file


@pytest.mark.slow(reason="measures each case in a fresh process, which imports torch")
def test_a_suite_is_measured_and_every_sample_kept(suite, tmp_path):
    done = segbench(suite, "--models", "cnn", "--results", tmp_path / "results", *QUICK)
    assert done.exit_code == 0, done.output
    records = scan_speeds(tmp_path / "results" / "tiny" / "speed").records
    assert sorted(str(record.case.task) for record in records) == ["inference", "loading", "training"]
    assert all(len(record.restarts) == 1 and record.restarts[0].host_seconds for record in records)
    assert records[0].environment["threads"] == 1
    assert "inference" in done.stdout
    assert "img/s" in done.stdout


@pytest.mark.slow(reason="measures each case in a fresh process, which imports torch")
def test_networks_are_measured_without_a_suite(tmp_path):
    done = segbench(
        *("--models", "cnn", "--size", "32x48", "--batch", "1,2", "--output", "classes", "--json"),
        *("--results", tmp_path, "--classes", "4", *QUICK),
    )
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [(row["size"], row["batch_size"], row["output"]) for row in rows] == [
        ("32x48", 1, "classes"),
        ("32x48", 2, "classes"),
    ]
    assert all(row["images_per_second"] > 0 and row["latency_p99_ms"] is None for row in rows)
    assert len(scan_speeds(tmp_path / "speed" / "speed").records) == 2


@pytest.mark.slow(reason="trains networks")
def test_a_case_that_cannot_be_measured_is_shown_with_its_reason_and_exits_1(tmp_path):
    done = segbench("--models", "cnn", "--size", "32x32", "--mode", "cuda_graph", "--results", tmp_path, *QUICK)
    assert done.exit_code == 1
    assert "skipped: CUDA graphs need a CUDA device, this is cpu" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a suite, or --models"),
        (["--models", "unett"], "did you mean 'unet'"),
        (["--models", "cnn", "--size", "big"], "expected HEIGHTxWIDTH"),
        (["--models", "cnn", "--batch", "two"], "--batch 'two'"),
        (["--models", "cnn", "--batch", "0"], "speed.batch_sizes"),
        (["--models", "cnn", "--mode", "turbo"], "'turbo' is none of eager"),
        (["--models", "cnn", "--precision", "fp8"], "speed.precisions"),
        (["--models", "cnn", "--casting", "half"], "speed.casting"),
        (["--models", "cnn", "--task", "loading"], "there is nothing to measure"),
        (["--models", "cnn", "--device", "xpu"], "this device does not exist here"),
        (["--models", "cnn", "--set", "train.epochs=1"], "--set changes a suite"),
        (["absent.yaml"], "absent.yaml"),
    ],
)
def test_what_is_wrong_is_named_and_exits_2(arguments, message, tmp_path):
    done = segbench(*arguments, "--results", tmp_path)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "speed").exists()


@pytest.mark.slow(reason="trains networks")
def test_a_speed_block_that_cannot_be_measured_leaves_the_leaderboard(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise UsageError("no such device here")

    monkeypatch.setattr("segbench.cli.support.suite_command.measure_block", refuse)
    file = tmp_path / "tiny.yaml"
    given = document(models=["cnn"], train={"epochs": 1}, speed={"tasks": ["inference"]})
    file.write_text(yaml.safe_dump({key: value for key, value in given.items() if key != "name"}))
    command = ["run", str(file), "--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    done = CliRunner().invoke(app, [*command, "--device", "cpu"])
    assert done.exit_code == 1
    assert "the speed was not measured: no such device here" in done.output
    assert (tmp_path / "reports" / "tiny" / "leaderboard.md").is_file()


BLOCK = {"tasks": ["inference", "training", "loading"], "batch_sizes": [1, 2], "restarts": 1, "seconds": 0.02}


@pytest.mark.slow(reason="measures each case in a fresh process, which imports torch")
def test_running_a_suite_measures_its_speed_block_once_and_joins_it_to_the_leaderboard(tmp_path):
    file = tmp_path / "tiny.yaml"
    given = document(models=["cnn"], train={"epochs": 1}, speed=BLOCK)
    file.write_text(yaml.safe_dump({key: value for key, value in given.items() if key != "name"}))
    command = ["run", str(file), "--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]

    def run(*options):
        done = CliRunner().invoke(app, [*command, "--device", "cpu", *options])
        assert done.exit_code == 0, done.output
        return done.output

    folder = tmp_path / "results" / "tiny" / "speed"
    run("--no-speed")
    assert not folder.exists()
    assert "measuring the speed of 4 cases" in run()
    (row,) = json.loads((tmp_path / "reports" / "tiny" / "leaderboard.json").read_text(encoding="utf-8"))["rows"]
    assert row["mean_iou"] >= 0
    for figure in (
        "throughput_images_per_second",
        "latency_p50_ms",
        "training_step_images_per_second",
        "loading_ratio",
    ):
        assert row[figure] > 0
    assert row["pareto"] is True
    assert "measuring" not in run()
    next(folder.glob("inference-*.json")).unlink()
    assert "measuring the speed of 1 case" in run()
