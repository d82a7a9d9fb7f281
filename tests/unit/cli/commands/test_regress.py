"""The gate's commands: cases from names and suites, every exit code, every file; the workers are scripted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from segbench.cli.app import Commands
from segbench.cli.commands import regress
from segbench.errors import UnknownNameError
from segbench.speed.gate import worker_client as dialogue
from segbench.speed.gate.gate_case import GateCase

SCRIPTED = Path(__file__).parents[3] / "support" / "scripted_worker.py"
REVISIONS = {
    "plain": {"seconds": 0.01},
    "slower": {"seconds": 0.012},
    "noisy": {"seconds": 0.01, "spread": 0.3},
    "without-unet": {"seconds": 0.01, "refuses": ["unet"]},
    "broken": {"seconds": 0.01, "crash_on": "time"},
}
LIKE = GateCase({"name": ""}, classes=5)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Enter a repository whose tags tell the scripted worker how to behave."""
    monkeypatch.setattr(dialogue, "WORKER", SCRIPTED)
    folder = tmp_path / "repository"
    folder.mkdir()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], cwd=folder, check=True)
    for tag, behaviour in REVISIONS.items():
        (folder / "behaviour.json").write_text(json.dumps(behaviour), encoding="utf-8")
        for arguments in (["add", "."], ["commit", "--quiet", "-m", tag], ["tag", tag]):
            subprocess.run([*git, *arguments], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    return folder


def call(*arguments):
    root = typer.Typer(cls=Commands)
    root.add_typer(regress.app, name="regress")
    return CliRunner().invoke(root, ["regress", *map(str, arguments)])


def ab(head, *options):
    return call("ab", "--base", "plain", "--head", head, "--models", "unet,cnn", "--rounds", "8", *options)


@pytest.mark.parametrize(
    ("head", "code", "told"),
    [
        ("plain", 0, "nothing became slower"),
        ("slower", 1, "slower: unet, cnn"),
        ("broken", 2, "head broken"),
        ("nowhere", 2, "'nowhere' is no revision"),
        ("noisy", 3, "too noisy to tell: unet, cnn"),
        ("without-unet", 4, "not everything could be compared: unet"),
    ],
)
def test_every_exit_code(repository, head, code, told):
    done = ab(head)
    assert done.exit_code == code, done.output
    assert told in done.stderr


def test_the_files_are_written_whatever_the_verdict(repository, tmp_path):
    files = [tmp_path / name for name in ("a.json", "a.md", "b.json")]
    options = zip(("--json", "--markdown", "--pytest-benchmark"), files, strict=True)
    done = ab("without-unet", *(part for option in options for part in option))
    assert done.exit_code == 4
    document = json.loads(files[0].read_text(encoding="utf-8"))
    assert document["exit_code"] == 4
    assert [case["decision"]["verdict"] for case in document["cases"]] == ["not_comparable", "passed"]
    assert "🚫 not comparable" in files[1].read_text(encoding="utf-8")
    assert {one["group"] for one in json.loads(files[2].read_text(encoding="utf-8"))["benchmarks"]} == {
        document["cases"][1]["key"]
    }


def test_calibrating_shows_the_noise_floor(repository, tmp_path):
    done = call(
        "calibrate", "--environment", "plain", "--models", "unet", "--restarts", 3, "--json", tmp_path / "c.json"
    )
    assert done.exit_code == 0, done.output
    assert "spread" in done.stdout
    assert len(json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))["cases"][0]["restarts"]) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "big"], "expected HEIGHTxWIDTH"),
        (["--threshold", "0"], "expected a share above 0"),
        (["--set", "width"], "expected key=value"),
    ],
)
def test_mistakes_are_told(repository, options, message):
    done = ab("plain", *options)
    assert (done.exit_code, message in done.stderr) == (2, True), done.output


def test_named_networks_get_the_options_and_nothing_else():
    (unet, other) = regress._cases(None, ["unet", "python:a.b"], ["width=0.5"], like=LIKE)
    assert unet.model == {"name": "unet", "width": 0.5}
    assert other.model == {"name": "python:a.b", "width": 0.5}
    assert unet.classes == 5


def test_networks_of_a_suite_come_as_written(suite):
    cases = regress._cases(suite, None, ["models.cnn.width=0.1"], like=LIKE)
    assert [case.model for case in cases] == [
        {"name": "cnn", "width": 0.1},
        {"name": "unet", "label": "U-Net", "width": 0.05},
    ]


@pytest.mark.parametrize("name", ["U-Net", "unet"])
def test_networks_of_a_suite_are_chosen_by_label_or_name(suite, name):
    assert [case.label for case in regress._cases(suite, [name], [], like=LIKE)] == ["U-Net"]


def test_a_network_that_a_suite_lacks_is_named(suite):
    with pytest.raises(UnknownNameError, match="did you mean 'unet'"):
        regress._cases(suite, ["unett"], [], like=LIKE)
