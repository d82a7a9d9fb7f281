"""The gate, whole: real revisions of a small repository, real worker processes, real times."""

from __future__ import annotations

import json
import sys

import pytest
import typer
from repositories import git
from typer.testing import CliRunner

from segbench.cli.app import Commands
from segbench.cli.commands import regress
from segbench.speed.gate.compare import compare
from segbench.speed.gate.decision import ExitCode, Rule
from segbench.speed.gate.environments import Environment
from segbench.speed.gate.gate_case import GateCase
from segbench.speed.gate.interleaved import Settings

NETWORK = """\
import time

from torch import nn

print("modules may print")


class Net(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, classes, 1))

    def forward(self, images):
        print("networks may print")
        {work}
        return self.layers(images)
"""
REVISIONS = {
    "once": "pass",
    "slow": "time.sleep(0.05)",  # many times its work, so that a busy machine changes no verdict
    "broken": "raise RuntimeError('the head is broken')",
}
"""By tag: what the network does besides its work."""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Enter a repository whose tags are the revisions; its working copy is broken."""
    folder = tmp_path / "theirs"
    (folder / "their_package").mkdir(parents=True)
    git(folder, "init", "--quiet")
    for tag, work in REVISIONS.items():
        (folder / "their_package" / "networks.py").write_text(NETWORK.format(work=work), encoding="utf-8")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", tag)
        git(folder, "tag", tag)
    monkeypatch.chdir(folder)
    return folder


def ab(base, head, *options, restarts=2):
    """Call the command as its registered form does."""
    root = typer.Typer(cls=Commands)
    root.add_typer(regress.app, name="regress")
    network = ("--models", "python:their_package.networks.Net", "--size", "64x64", "--classes", "4")
    brief = ("--rounds", "10", "--restarts-limit", str(restarts))
    command = ["regress", "ab", "--base", base, "--head", head, *network, *brief, *map(str, options)]
    return CliRunner().invoke(root, command)


@pytest.mark.slow(reason="measures two revisions in fresh processes, each of which imports torch")
def test_a_head_that_waits_is_slower(repository, tmp_path):
    documents = {name: tmp_path / name for name in ("json", "markdown", "pytest-benchmark")}
    written = [part for name, file in documents.items() for part in (f"--{name}", file)]
    done = ab("once", "slow", *written, restarts=4)  # Student's t of two restarts would have to exceed 12.7
    assert done.exit_code == 1, done.output
    (case,) = json.loads(documents["json"].read_text(encoding="utf-8"))["cases"]
    assert case["decision"]["ratio"] > 1.5
    assert len(case["confirming_restarts"]) == 4
    assert "❌ regressed" in documents["markdown"].read_text(encoding="utf-8")
    assert len(json.loads(documents["pytest-benchmark"].read_text(encoding="utf-8"))["benchmarks"]) == 2
    assert "regressed" in done.stdout
    assert "may print" not in done.stdout


@pytest.mark.slow(reason="measures two revisions in fresh processes, each of which imports torch")
def test_one_revision_is_not_slower_than_itself(repository):
    done = ab("once", "once")
    assert done.exit_code in (0, 3), done.output  # two restarts may be too few to be sure


@pytest.mark.slow(reason="measures two revisions in fresh processes, each of which imports torch")
def test_a_crash_of_the_head_is_told(repository):
    done = ab("once", "broken")
    assert done.exit_code == 2
    assert "RuntimeError: the head is broken (networks.py, line 15)" in done.stderr


def test_an_unknown_revision_is_told(repository):
    done = ab("once", "v9")
    assert done.exit_code == 2
    assert "'v9' is no revision" in done.stderr


def test_no_model_is_a_mistake(repository):
    root = typer.Typer(cls=Commands)
    root.add_typer(regress.app, name="regress")
    done = CliRunner().invoke(root, ["regress", "ab", "--base", "once"])
    assert (done.exit_code, "give --models" in done.stderr) == (2, True)


def test_an_unforeseen_error_is_no_regression(repository, monkeypatch):
    monkeypatch.setattr("segbench.speed.gate.compare.compare", lambda *_, **__: 1 / 0)
    done = ab("once", "once")
    assert done.exit_code == 2
    assert "the gate crashed: ZeroDivisionError" in done.stderr


@pytest.mark.slow(reason="measures two revisions in fresh processes, each of which imports torch")
def test_two_folders_are_compared_from_python(tmp_path):
    for name in ("once", "slow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "their_network.py").write_text(NETWORK.format(work=REVISIONS[name]), encoding="utf-8")
    result = compare(
        *(Environment(name, paths=(tmp_path / name,)) for name in ("slow", "once")),
        cases=[GateCase({"name": "python:their_network.Net"}, classes=4, size=(64, 64))],
        rule=Rule(looks=(4,), error_rate=0.3),
        settings=Settings(rounds=10, warm_up_seconds=0.5),
    )
    assert result.exit_code is ExitCode.PASSED
    assert result.cases[0].decision.ratio < 0.8
    assert result.software["base"]["python"] == sys.version.split()[0]
