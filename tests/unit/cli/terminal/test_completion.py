"""Shells complete commands, suites, models and data sets, at once and without a message."""

import os
import pty
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from segbench.config.shipped import shipped_suites

ROOT = Path(__file__).parents[4]
SUITE = """\
dataset: {name: scenes}
transforms: {train: [normalize], test: [normalize]}
models: [{name: unet, label: small}, {name: unet, label: U-Net (large)}, segnet]
train: {epochs: 1}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Enter a folder of suites and others; the command ``segbench`` is that of this tree."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "segbench"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m segbench "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "quick-own.yaml").write_text(SUITE)
    (tmp_path / "broken.yaml").write_text("models: [")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(*command, **environment):
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **environment}, timeout=120
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def completed(typed):
    """Return what bash offers after a line; its last word is what is to be completed."""
    words = typed.split(" ")
    found = lines(
        "segbench", _SEGBENCH_COMPLETE="complete_bash", COMP_WORDS=typed.strip(), COMP_CWORD=str(len(words) - 1)
    )
    return [word for word in found if word]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("segbench ru", ["run"]),
        ("segbench results m", ["merge"]),
        ("segbench run --per", ["--per-class"]),
        ("segbench describe deeplabv", ["deeplabv3plus"]),
        ("segbench list mo", ["models"]),
        ("segbench data check nuc", ["nuclei"]),
        ("segbench speed --models une", ["unet"]),
        ("segbench speed --models unet,segnet,segn", ["unet,segnet,segnet_basic"]),
        ("segbench run voc --models fcn16", ["fcn16s"]),
        ("segbench run quick-own.yaml --models ", ["unet", "small", "segnet"]),
        ("segbench run broken.yaml --models une", ["unet"]),
        ("segbench run nowhere.yaml --models une", ["unet"]),
    ],
)
def test_what_can_follow_is_offered(typed, offered, folder):
    assert completed(typed) == offered


@pytest.mark.parametrize("command", ["run", "speed", "doctor", "regress ab", "regress save"])
def test_a_suite_is_completed_to_the_names_of_those_that_are_shipped(command, folder):
    assert completed(f"segbench {command} ") == [*shipped_suites(), "broken.yaml", "quick-own.yaml"]


def test_a_suite_of_ones_own_is_offered_beside_a_shipped_one(folder):
    shipped = [name for name in shipped_suites() if name.startswith("quick")]
    assert completed("segbench run quick") == [*shipped, "quick-own.yaml"]


def test_where_no_shipped_suite_begins_so_the_shell_completes_paths(folder):
    assert completed("segbench run brok") == []


def test_bash_completes_with_the_script_that_it_is_given(folder):
    script = "\n".join(lines("segbench", _SEGBENCH_COMPLETE="source_bash"))
    ask = 'COMP_WORDS=(segbench run tun); COMP_CWORD=2; _segbench_completion segbench; echo "${COMPREPLY[@]}"'
    assert lines("bash", "--norc", "-c", f"{script}\n{ask}") == ["tuned"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_completes_with_the_script_that_it_is_given(folder):
    script = "\n".join(lines("segbench", _SEGBENCH_COMPLETE="source_fish"))
    assert lines("fish", "-c", f'{script}\ncomplete -C "segbench run tun"') == ["tuned"]


def test_zsh_and_fish_are_answered_in_their_own_forms(folder):
    asked = {"_TYPER_COMPLETE_ARGS": "segbench run tun", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert lines("segbench", _SEGBENCH_COMPLETE="complete_zsh", **asked) == ["""_arguments '*: :(("tuned"))'"""]
    assert lines("segbench", _SEGBENCH_COMPLETE="complete_fish", **asked) == ["tuned"]
    assert "compdef _segbench_completion segbench" in lines("segbench", _SEGBENCH_COMPLETE="source_zsh")


@pytest.mark.parametrize("typed", ["run quick", "speed --models une", "describe une", "regress ab --models s"])
def test_completing_imports_no_torch(typed, folder, monkeypatch):
    words = ["segbench", *typed.split()]
    code = (
        "import sys\n"
        "from segbench.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "assert not {'torch', 'torchvision', 'timm', 'pandas'} & set(sys.modules)\n"
    )
    asked = {"_SEGBENCH_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    assert lines(sys.executable, "-c", code, **asked)


def test_no_spinner_is_drawn_into_the_line_that_is_typed(folder):
    code = (
        "import time\n"
        "import segbench.config.shipped as shipped\n"
        "shipped.shipped_suites = lambda: time.sleep(1.5) or {'voc': None}\n"
        "from segbench.cli.app import main\n"
        "main()\n"
    )
    asked = {"_SEGBENCH_COMPLETE": "complete_bash", "COMP_WORDS": "segbench run v", "COMP_CWORD": "2"}
    terminal, there = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=there, env={**os.environ, **asked}, check=False
        )
        assert done.stdout.split() == [b"voc"]
        os.set_blocking(terminal, False)
        with pytest.raises(BlockingIOError):
            os.read(terminal, 100)
    finally:
        os.close(there)
        os.close(terminal)
