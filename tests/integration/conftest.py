"""A suite small enough to be run whole in seconds, and ways to run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import forked
import pytest
import yaml
from tiny import document

from segbench.config.load import check

PATIENCE = 600
"""Seconds that a command may take: other processes may keep all cores busy."""


@pytest.fixture
def tiny():
    """Return a function that makes the tiny suite with dotted keys changed."""

    def make(**changes: Any):
        return check(document(**changes))

    return make


@pytest.fixture
def tiny_file(tmp_path):
    """Return a function that writes the tiny suite as a file, with top-level keys changed."""

    def write(**changes: Any) -> Path:
        file = tmp_path / "tiny.yaml"
        file.write_text(yaml.safe_dump(document(**changes), sort_keys=False))
        return file

    return write


@pytest.fixture
def segbench(tmp_path):
    """Return a function that runs the command line in a folder of its own and returns what it did.

    Its process is forked from one that has imported torch already.
    """

    def run(*arguments: Any, **environment: str) -> subprocess.CompletedProcess[str]:
        return forked.segbench(
            *map(str, arguments), cwd=tmp_path, environment=surroundings(**environment), timeout=PATIENCE
        )

    return run


@pytest.fixture
def torchrun_segbench(tmp_path):
    """Return a function that runs the command line in two processes of torchrun and returns what they did."""

    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        return subprocess.run(
            [*start, "-m", "segbench", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=surroundings(),
        )

    return run


@pytest.fixture
def start_segbench(tmp_path):
    """Return a function that starts the command line and does not wait for it."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: Any) -> subprocess.Popen[str]:
        forked.heed_signals()
        process = subprocess.Popen(
            command(*arguments),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=surroundings(),
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def records():
    """Return a function that reads every stored record of a suite by its run's folder name."""

    def read(results: Path, suite: str = "tiny") -> dict[str, Any]:
        return {file.parent.name: json.loads(file.read_text()) for file in (results / suite).glob("*/run.json")}

    return read


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "segbench", *map(str, arguments)]


def surroundings(**changes: str) -> dict[str, str]:
    """Return the environment for a command: one thread, so that tests share two cores."""
    root = Path(__file__).parents[2]
    path = os.pathsep.join(filter(None, [str(root), str(root / "tests" / "support"), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "COLUMNS": "200", **changes}
