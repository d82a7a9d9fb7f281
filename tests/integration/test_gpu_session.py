"""The script for a short time on a GPU, tried on a processor: what it trains is carried home."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_session.sh"


@pytest.fixture
def session(tmp_path):
    """Return a function that runs the script."""

    def run(*arguments):
        environment = {
            **os.environ,
            "SEGBENCH": f"{shlex.quote(sys.executable)} -m segbench",
            "RESULTS": str(tmp_path / "there"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(SCRIPT.parents[1]),
        }
        command = ["bash", SCRIPT, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800, check=False)

    return run


def test_without_a_word_it_says_how_it_is_used(session):
    told = session()
    assert told.returncode == 2
    assert told.stdout.startswith("Uses a GPU that is there for a short time")
    assert "set -uo" not in told.stdout


@pytest.mark.slow(reason="three commands of a shell script, each of which imports torch")
def test_what_was_trained_is_packed_for_home(session, segbench, tiny_file, tmp_path, records):
    file = tiny_file(models=["cnn"], train={"epochs": 1})
    told = session("train", tmp_path / "home", 200, file, "--device", "cpu")
    assert told.returncode == 0, told.stderr
    archives = list((tmp_path / "home").glob("facts*.tar.xz"))
    assert segbench("results", "merge", *archives, "--into", "here").returncode == 0
    assert records(tmp_path / "here") == records(tmp_path / "there") != {}
