"""A suite in pieces: by a time limit or by SIGTERM, to the same end as in one go."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import psutil
import pytest

SLOW = [{"name": "python:misbehaving.slow", "label": name} for name in ("one", "two", "three")]
SIX_STEPS = {"models": SLOW[:1], "defaults": {}, "train": {"epochs": 2}}
"""A run of three seconds of training: six steps."""


def facts(results):
    """What must not depend on how often a suite was stopped."""
    found = {}
    for file in results.glob("tiny/*/run.json"):
        record = json.loads(file.read_text())
        record["environment"] = record["timings"] = record["checksums"] = None  # files with times have others
        found[file.parent.name] = record, (file.parent / "confusion.npz").read_bytes()
    return found


def in_one_go(segbench, tmp_path):
    done = segbench("run", "tiny.yaml", "--results", "whole", "--reports", "whole-reports", "--no-estimate")
    assert done.returncode == 0, done.stderr
    return facts(tmp_path / "whole")


def start(start_segbench, tmp_path, *options):
    """Start the suite and wait until its run has told of its training, or all is over."""
    file = tmp_path / "events.jsonl"
    file.unlink(missing_ok=True)
    process = start_segbench("run", "tiny.yaml", "--no-estimate", "--events", file, *options)
    deadline = time.monotonic() + 600
    while process.poll() is None and not (file.exists() and '"stage": "training"' in file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def saved_steps(results):
    return [int(re.search(r"step-(\d+)-", file.name)[1]) for file in results.glob("tiny/.*.resume/*.state")]


@pytest.mark.slow(reason="starts and stops two commands")
@pytest.mark.parametrize(
    ("number", "to_all", "code"),
    [(signal.SIGTERM, False, 3), (signal.SIGTERM, True, 3), (signal.SIGHUP, True, 3), (signal.SIGINT, True, 130)],
    ids=["its process", "all its processes", "closed terminal", "control-c"],
)
def test_a_terminated_suite_saves_its_step_and_goes_on(start_segbench, tiny_file, tmp_path, number, to_all, code):
    """Containers tell the first process alone; Slurm and terminals tell all, also those that read images."""
    many = {"models": [*SLOW[:1]], "defaults": {}, "train": {"epochs": 20}, "loader": {"workers": 1}}
    tiny_file(**many)
    process = start(start_segbench, tmp_path)
    children = psutil.Process(process.pid).children(recursive=True)
    if to_all:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, told = process.communicate(timeout=600)
    assert process.returncode == code, told
    assert ("Ctrl-C again ends at once" in told) is (code == 130)
    if number != signal.SIGHUP:  # Python's own resource tracker dies of it, with words that no closed terminal shows
        assert "Traceback" not in told
    (step,) = saved_steps(tmp_path / "results")
    assert f"stopped after step {step} of 60, which is saved" in told
    assert "1 run left, the same command goes on: one, seed 0" in told
    assert not facts(tmp_path / "results")
    psutil.wait_procs(children, timeout=300)
    assert not any(child.is_running() for child in children)

    again = start(start_segbench, tmp_path)
    again.send_signal(signal.SIGTERM)
    _, told = again.communicate(timeout=600)
    assert again.returncode == 3, told
    assert min(saved_steps(tmp_path / "results")) >= step


@pytest.mark.slow(reason="starts and stops about four commands")
def test_a_suite_that_is_terminated_again_and_again_ends_as_in_one_go(segbench, start_segbench, tiny_file, tmp_path):
    tiny_file(**SIX_STEPS)
    whole = in_one_go(segbench, tmp_path)
    steps, code = [], 3
    while code == 3:
        process = start(start_segbench, tmp_path, "--no-report")
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=600)
        code = process.returncode
        steps += re.findall(r"(?:resumes from|stopped after) step (\d+)", told)
        assert code in (0, 3), told
        assert len(steps) < 20
    assert steps
    assert steps[1::2] == steps[: 2 * len(steps[1::2]) : 2]  # each goes on from the very step after which it stopped
    assert facts(tmp_path / "results") == whole


@pytest.mark.slow(reason="two commands that train for twelve seconds in all, and one that is stopped")
def test_a_time_limit_ends_a_command_with_3_and_the_next_goes_on_to_the_same_end(segbench, tiny_file, tmp_path):
    tiny_file(models=SLOW[:1], defaults={}, train={"epochs": 8})
    whole = in_one_go(segbench, tmp_path)
    told = segbench("run", "tiny.yaml", "--time-limit", "10s", "--no-estimate", "--no-report")
    assert told.returncode == 3, told.stderr
    assert "1 run left, the same command goes on: one, seed 0" in told.stderr
    steps = saved_steps(tmp_path / "results")  # none where ten seconds are too few to begin
    told = segbench("run", "tiny.yaml", "--no-estimate", "--no-report")
    assert told.returncode == 0, told.stderr
    assert not steps or f"resumes from step {max(steps)} of 24" in told.stderr
    assert facts(tmp_path / "results") == whole


@pytest.mark.slow(reason="stopped after 45 seconds")
def test_with_an_estimate_only_the_first_run_of_a_command_is_begun_in_vain(segbench, tiny_file, tmp_path):
    tiny_file(models=SLOW, defaults={}, train={"epochs": 200})
    told = segbench("run", "tiny.yaml", "--time-limit", "45", "--order", "cheapest", "--jobs", "1")
    assert told.returncode == 3, told.stderr
    assert len(re.findall(r"^\[\d/3\]", told.stderr, re.MULTILINE)) == 1
    assert "3 runs left" in told.stderr
    assert len(saved_steps(tmp_path / "results")) == 1


@pytest.mark.slow(reason="stopped after 45 seconds: starting takes up to thirty on a busy machine")
def test_runs_that_are_done_at_a_time_stop_together(segbench, tiny_file, tmp_path):
    tiny_file(models=SLOW, defaults={}, train={"epochs": 200})
    told = segbench("run", "tiny.yaml", "--time-limit", "45", "--jobs", "2", "--no-estimate")
    assert told.returncode == 3, told.stderr
    assert len(saved_steps(tmp_path / "results")) == 2
    assert "3 runs left" in told.stderr


@pytest.mark.parametrize("time", ["soon", "0", "-5m", "5 x"])
def test_a_time_limit_that_is_no_time_is_refused(segbench, tiny_file, time):
    tiny_file()
    told = segbench("run", "tiny.yaml", f"--time-limit={time}")
    assert told.returncode == 2
    assert "--time-limit" in told.stderr
    assert "expected a time such as" in told.stderr
