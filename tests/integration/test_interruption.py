"""Kills, Ctrl-C and a full disk: nothing that was done is lost, and the same command goes on."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

FIRST_SHORT_THEN_ENDLESS = [
    {"name": "python:misbehaving.pointwise", "label": "short"},
    {"name": "python:misbehaving.endless", "label": "endless"},
]
PATCHED = [FIRST_SHORT_THEN_ENDLESS[0], {"name": "python:misbehaving.pointwise", "label": "endless"}]


def wait_for(condition, *, seconds=600):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)
    return found


def interrupted(start_segbench, tmp_path, how):
    """Start a suite, wait until its first run is stored and its second is on its way, and interrupt it."""
    process = start_segbench("run", "tiny.yaml", "--jobs", "1")
    results = tmp_path / "results" / "tiny"
    wait_for(lambda: list(results.glob("short-*/run.json")))
    wait_for(lambda: list(results.glob(".endless-*")))
    children = psutil.Process(process.pid).children(recursive=True)
    how(process)
    process.wait(timeout=600)
    return process, children


def kill(process):
    process.kill()


def press_control_c(process):
    """Twice: a network that never comes to the end of a step cannot be saved."""
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.slow(reason="interrupts commands, whose processes import torch")
@pytest.mark.parametrize("how", [kill, press_control_c])
def test_an_interrupted_suite_keeps_what_was_done_and_goes_on(
    segbench, start_segbench, tiny_file, tmp_path, records, how
):
    tiny_file(models=FIRST_SHORT_THEN_ENDLESS, defaults={}, train={"epochs": 1})
    process, children = interrupted(start_segbench, tmp_path, how)
    if how is press_control_c:
        assert process.returncode == 130
        assert "Traceback" not in process.stderr.read()
    stored = records(tmp_path / "results")
    assert [record["label"] for record in stored.values()] == ["short"]
    wait_for(lambda: not any(child.is_running() and child.status() != "zombie" for child in children), seconds=300)

    tiny_file(models=PATCHED, defaults={}, train={"epochs": 1})
    done = segbench("run", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert sorted(record["label"] for record in records(tmp_path / "results").values()) == ["endless", "short"]
    assert not list((tmp_path / "results" / "tiny").glob(".*.tmp"))
    before = next(record for record in stored.values() if record["label"] == "short")
    after = next(record for record in records(tmp_path / "results").values() if record["label"] == "short")
    assert after == before


@pytest.mark.slow(reason="interrupts commands, whose processes import torch")
def test_control_c_ends_runs_that_are_done_at_a_time_and_stores_no_failure(
    segbench, start_segbench, tiny_file, tmp_path, records
):
    models = [{"name": "python:misbehaving.endless", "label": name} for name in ("one", "two", "three")]
    tiny_file(models=models, defaults={}, train={"epochs": 1})
    process = start_segbench("run", "tiny.yaml", "--jobs", "2")
    results = tmp_path / "results" / "tiny"
    wait_for(lambda: len(list(results.glob(".*.tmp"))) == 2)
    children = psutil.Process(process.pid).children(recursive=True)
    press_control_c(process)
    process.wait(timeout=600)
    assert process.returncode == 130
    assert "Traceback" not in process.stderr.read()
    assert records(tmp_path / "results") == {}
    wait_for(lambda: not any(child.is_running() and child.status() != "zombie" for child in children), seconds=300)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system to fill")
def test_a_full_disk_is_named_and_loses_nothing(segbench, tiny_file, tmp_path, records):
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode()}")
    try:
        tiny_file(models=["python:misbehaving.pointwise"], defaults={}, train={"epochs": 1})
        assert segbench("run", "tiny.yaml", "--no-report", "--results", disk).returncode == 0
        tiny_file(models=["python:misbehaving.pointwise", "unet"], defaults={}, train={"epochs": 1})
        done = segbench("run", "tiny.yaml", "--no-report", "--results", disk, "--set", "defaults.width=0.25")
        assert done.returncode == 2
        assert "No space left" in done.stderr
        assert "Traceback" not in done.stderr
        assert len(records(disk)) == 1
    finally:
        subprocess.run(["umount", disk], check=True)
