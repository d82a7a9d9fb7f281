"""Estimates of a tiny suite by real steps of real networks."""

import json

import pytest

pytestmark = pytest.mark.slow(reason="times real steps of networks")

FIGURES = {"seconds", "peak_memory_bytes", "disk_bytes"}
PARTS = {"overhead_seconds", "training_seconds", "evaluation_seconds"}


def test_every_run_and_the_suite_have_an_estimate_and_seeds_share_it(tiny_file, segbench):
    block = {"corruptions": ["fog"], "severities": [3], "images": 2, "train_split": True}
    done = segbench("plan", tiny_file(seeds=[0, 1], robustness=block), "--estimate", "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    estimates = [run["estimate"] for run in document["runs"]]
    assert len(estimates) == 4
    for estimate in estimates:
        assert set(estimate) == FIGURES | PARTS | {"problem"}
        assert estimate["problem"] is None
        assert all(estimate[name] > 0 for name in FIGURES | PARTS)
        assert estimate["seconds"] == pytest.approx(sum(estimate[name] for name in PARTS))
    assert estimates[:2] == estimates[2:]  # the second seed's networks are not tried again
    total = document["estimate"]
    assert set(total) == FIGURES | {"unknown_runs"}
    assert total["seconds"] == pytest.approx(sum(estimate["seconds"] for estimate in estimates))
    assert total["disk_bytes"] == sum(estimate["disk_bytes"] for estimate in estimates)
    assert total["peak_memory_bytes"] == max(estimate["peak_memory_bytes"] for estimate in estimates)
    tests = document["robustness"]
    assert (tests["conditions"], tests["tests"], tests["images"]) == (2, 8, 16)
    assert tests["seconds"] > 0


def test_a_network_that_cannot_be_tried_is_named_with_the_reason(tiny_file, segbench):
    models = [{"name": "cnn", "width": 0.0625}, {"name": "python:misbehaving.raising", "label": "raising"}]
    done = segbench("plan", tiny_file(models=models, defaults={}), "--estimate", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    header, *rows = [line.split() for line in done.stdout.splitlines() if line and not line.startswith("─")]
    assert header == ["run", "status", "time", "memory", "disk"]
    assert [row[0].split("-")[0] for row in rows] == ["cnn", "raising"]
    assert rows[1][-3:] == ["-", "-", "-"]
    assert "note: raising, seed 0: no estimate: RuntimeError: the flux capacitor is empty" in done.stderr
    assert "and 1 run of unknown length" in done.stderr


def test_missing_data_exits_with_2_and_names_the_suite(tiny_file, segbench):
    suite = tiny_file(dataset={"test_split": "tset"})
    done = segbench("plan", suite, "--estimate")
    assert done.returncode == 2
    assert "dataset: scenes has no split 'tset', did you mean 'test'?" in done.stderr


def test_a_run_tells_its_length_before_it_begins_unless_it_is_short(tiny_file, segbench):
    suite = tiny_file(models=["cnn"], transforms={"train": ["normalize"], "test": ["normalize"]})
    short = segbench("run", suite, "--no-report", "--device", "cpu")
    assert short.returncode == 0, short.stderr
    assert "about" not in short.stderr
    longer = segbench("run", suite, "--no-report", "--device", "cpu", "--set", "train.epochs=90")
    assert longer.returncode == 0, longer.stderr
    announced, started = longer.stderr.index("about "), longer.stderr.index("[1/1] cnn")
    assert announced < started
    assert "of memory at most" in longer.stderr
    again = segbench("run", suite, "--no-report", "--device", "cpu", "--set", "train.epochs=90")
    assert "0 runs done, 1 was done before" in again.stderr
    assert "about" not in again.stderr


def test_a_speed_block_is_counted_with_what_it_takes_at_least(tiny_file, segbench):
    suite = tiny_file(models=["cnn"], speed={"batch_sizes": [1, 2], "restarts": 2, "seconds": 0.5})
    command = ("plan", suite, "--estimate", "--device", "cpu")
    assert json.loads(segbench(*command, "--json").stdout)["speed"] == {
        "cases": 4,  # two batches, training, loading
        "processes": 8,
        "least_seconds": 4.0,
    }
    assert "then the speed of 4 cases in 8 processes, at least 4.0 s more" in segbench(*command).stderr
